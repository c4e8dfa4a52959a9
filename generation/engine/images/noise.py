"""Where a tile's noise comes from: its own seed, or between the noises of two seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

SMALL_ANGLE = 1e-4  # radians, below which a straight line is as good


@dataclass(frozen=True, slots=True)
class NoiseBetween:
    """Noise at a `place` from 0, the noise of `start`, to 1, that of `end`, as large as theirs all the way."""

    start: Generator
    end: Generator
    place: float

    def draw(self, shape: tuple[int, ...]) -> Tensor:
        """Return the next noise; both generators go on, as each would alone."""
        start, end = (torch.randn(shape, generator=generator) for generator in (self.start, self.end))
        return slerp(start, end, self.place)


Noise = Generator | NoiseBetween


def draw_noise(noise: Noise, shape: tuple[int, ...]) -> Tensor:
    """Return the next noise of a tile, on the CPU."""
    return noise.draw(shape) if isinstance(noise, NoiseBetween) else torch.randn(shape, generator=noise)


def slerp(start: Tensor, end: Tensor, place: float) -> Tensor:
    """Return the tensor at `place` on the arc from `start`, exactly at 0, to `end`, exactly at 1.

    A straight line would pass through shorter vectors, which are no noise: the images would be grey.
    """
    if place in (0, 1):
        return end if place else start
    cosine = float((start.double() * end.double()).sum() / (start.double().norm() * end.double().norm()))
    angle = math.acos(max(-1.0, min(1.0, cosine)))
    if not math.sin(angle) > SMALL_ANGLE:
        return start + place * (end - start)
    return (math.sin((1 - place) * angle) * start + math.sin(place * angle) * end) / math.sin(angle)
