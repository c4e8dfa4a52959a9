"""Constraints that keep part of a source while the rest is generated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional


class LatentConstraint(Protocol):
    """A source's clean latents, the noise that is added to them, and which part of them is kept."""

    @property
    def source(self) -> Tensor:
        """The clean latents."""

    @property
    def noise(self) -> Tensor:
        """The noise that is added to them."""

    def apply(self, latents: Tensor, source: Tensor, noise_fraction: float) -> Tensor:
        """Return `latents` with the kept part of `source`, which is as noisy; `noise_fraction` is the noise left."""


@dataclass(frozen=True, slots=True)
class MaskConstraint:
    """Keeps part of the source unchanged, as StableDiffusionInpaintPipeline does.

    `change_map` is the fraction of the noise below which a place is regenerated: 0 keeps the source, 1 ignores it.
    """

    change_map: Tensor
    source: Tensor
    noise: Tensor

    def apply(self, latents: Tensor, source: Tensor, noise_fraction: float) -> Tensor:
        """Restore the source where nothing may change yet."""
        return torch.where(self.change_map > noise_fraction, latents, source)


@dataclass(frozen=True, slots=True)
class HeldSource:
    """Is the picture that is held while words change (see `Hold`); the one with other words is drawn freely."""

    source: Tensor
    noise: Tensor

    def apply(self, latents: Tensor, source: Tensor, noise_fraction: float) -> Tensor:
        """Return the source, as noisy as it is to be."""
        return source.expand_as(latents)


@dataclass(frozen=True, slots=True)
class LowPassConstraint:
    """Keeps what remains of the source when it is downsampled by `factor`; only finer detail is generated.

    Without it every window of an upscaled image would show the whole prompt again (ILVR, Choi et al. 2021). For the
    same reason the guidance is reduced.
    """

    factor: int
    source: Tensor
    noise: Tensor

    def apply(self, latents: Tensor, source: Tensor, noise_fraction: float) -> Tensor:
        """Restore the coarse shapes and colours of the source."""
        coarse = functional.avg_pool2d(source - latents, self.factor, ceil_mode=True, count_include_pad=False)
        return latents + functional.interpolate(coarse, latents.shape[-2:], mode="bilinear")

    def reduced_guidance_scale(self, scale: float) -> float:
        """Return the guidance scale for windows, each of which shows a small part of what the prompt describes."""
        return min(scale, 1 + (scale - 1) / self.factor**2)


@dataclass(frozen=True, slots=True)
class MixConstraint:
    """Mixes the source in while its shapes are decided, so that another idea is drawn on them (MagicMix).

    `share` is how much of each step's latents is the source's, down to the noise `until`.
    """

    share: float
    until: float
    source: Tensor
    noise: Tensor

    def apply(self, latents: Tensor, source: Tensor, noise_fraction: float) -> Tensor:
        """Move the latents towards the source, as long as there is enough noise."""
        return latents + self.share * (source - latents) if noise_fraction >= self.until else latents
