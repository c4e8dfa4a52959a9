"""Noisy latents with which a UNet is asked what a text changes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from generation.engine.device.transfer import to_device
from generation.engine.networks.vae import Vae
from generation.params import Params, ReadingKind

ATTEMPT = 1000  # between the seeds of one description of a picture and the next
SEED = 20260711  # of the first one, so that the same question has the same answer


class Probe(NamedTuple):
    """Noisy latents (1×C×H×W), their timestep (1), and what a perfect prediction for them is, if that is known."""

    latents: Tensor
    timestep: Tensor
    target: Tensor | None = None


class ProbeMaker:
    """Makes probes at the size of a job; `scheduler` is the model's own."""

    def __init__(self, params: Params, vae: Vae, scheduler: Any) -> None:
        self._params, self._vae = params, vae
        self._attempt = params.seed if params.reading is ReadingKind.DESCRIBE else 0
        self._alphas, self._prediction_type = scheduler.alphas_cumprod, scheduler.config.prediction_type

    def noise(self, number: int) -> Tensor:
        """Return noise number `number`."""
        generator = Generator("cpu").manual_seed(SEED + number + ATTEMPT * self._attempt)
        return self._vae.noise(self._params.width, self._params.height, [generator])

    def of_noise(self, fractions: Iterable[float]) -> list[Probe]:
        """Return pure noise as at these fractions of all timesteps, with another noise for each."""
        return [Probe(self.noise(number), self._timestep(fraction)) for number, fraction in enumerate(fractions)]

    def of_picture(self, clean: Tensor, fraction: float, number: int) -> Probe:
        """Return a picture's latents with noise number `number`, as at a fraction of all timesteps."""
        noise, alpha = self.noise(number), float(self._alphas[self._index(fraction)])
        of_clean, of_noise = math.sqrt(alpha), math.sqrt(1 - alpha)
        match self._prediction_type:
            case "sample":
                target = clean
            case "v_prediction":
                target = of_clean * noise - of_noise * clean
            case _:
                target = noise
        return Probe(of_clean * clean + of_noise * noise, self._timestep(fraction), target)

    def _index(self, fraction: float) -> int:
        return min(round(fraction * len(self._alphas)), len(self._alphas) - 1)

    def _timestep(self, fraction: float) -> Tensor:
        return to_device(torch.tensor([float(self._index(fraction))]), self._vae.device)
