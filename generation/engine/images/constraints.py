"""What a source holds fast while the rest is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional


class LatentConstraint(Protocol):
    """A source's clean latents and the noise in which they drown, and what of them is held."""

    @property
    def source(self) -> Tensor:
        """The clean latents."""

    @property
    def noise(self) -> Tensor:
        """What they drown in."""

    def apply(self, latents: Tensor, source: Tensor, noise_fraction: float) -> Tensor:
        """Put into `latents` what is held of the `source` just as noisy, while this share of the noise is left."""


@dataclass(frozen=True, slots=True)
class MaskConstraint:
    """A part of the source is kept as it is, as StableDiffusionInpaintPipeline does.

    `freedom` is the share of the noise from which on a place is drawn anew: 0 keeps the source, 1 forgets it.
    """

    change_map: Tensor
    source: Tensor
    noise: Tensor

    def apply(self, latents: Tensor, source: Tensor, noise_fraction: float) -> Tensor:
        """Put the source back where nothing may be drawn yet."""
        return torch.where(self.change_map > noise_fraction, latents, source)


@dataclass(frozen=True, slots=True)
class LowPassConstraint:
    """What can be seen of the source from `factor` times as far away stays; only what is finer is drawn.

    Without it every window of an enlargement would show the whole prompt once more (ILVR, Choi et al. 2021), and for
    the same reason the prompt has less to say.
    """

    factor: int
    source: Tensor
    noise: Tensor

    def apply(self, latents: Tensor, source: Tensor, noise_fraction: float) -> Tensor:
        """Put back the coarse forms and colours of the source."""
        coarse = functional.avg_pool2d(source - latents, self.factor, ceil_mode=True, count_include_pad=False)
        return latents + functional.interpolate(coarse, latents.shape[-2:], mode="bilinear")

    def reduced_guidance_scale(self, scale: float) -> float:
        """Give the guidance for windows that show so small a part each of what the prompt speaks of."""
        return min(scale, 1 + (scale - 1) / self.factor**2)
