"""Hold a picture while words change: where they make no difference, the picture with other words takes over its own.

As DiffEdit (Couairon et al., arXiv 2210.11427), the place of a change is found where the predictions for both texts
differ. Both pictures are drawn from the same noise, step by step, so no picture has to be inverted.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn import functional

from generation.engine.images.noise import Noise, NoiseBetween

# Of the difference that all but a fiftieth of the places have: less is held, more may change, and between them in part.
HELD, CHANGED = 0.2, 0.4
_MOST = 0.98
NOTHING = 1e-3  # of the prediction: texts that differ by less are read as the same, and nothing changes
_RADIUS_SHARE = 48  # latents of the shorter side for one of smoothing, and of what a change may extend


class Hold:
    """Twice a job's tiles: first those of the picture that is held, then as many with other words.

    The latents and predictions that it takes have both. It knows more of the place of the change with each step.
    """

    def __init__(self) -> None:
        self._differences: Tensor | None = None
        self._mask: Tensor | None = None

    def look(self, predicted: Tensor, with_other_words: Tensor) -> None:
        """Find the change in the predictions for the latents that are held, with their own words and with the others.

        The latents of the picture with other words would tell where it has changed already, so that it changes more.
        """
        differences = (predicted - with_other_words).abs().mean(1, keepdim=True)
        typical, size = _mean(differences), _mean(predicted.abs().mean(1, keepdim=True))
        relative = torch.where(typical > NOTHING * size, differences / typical.clamp(min=1e-12), 0.0)
        self._differences = relative if self._differences is None else self._differences + relative
        self._mask = _mask(self._differences)

    def apply(self, values: Tensor) -> Tensor:
        """Return values of both pictures, those of the second equal to the first's where words change nothing."""
        held, edited = values.chunk(2)
        assert self._mask is not None, "found by the first step's predictions"
        return torch.cat([held, torch.lerp(held, edited, self._mask)])


def _mean(values: Tensor) -> Tensor:
    return values.mean((-2, -1), keepdim=True)


def _mask(differences: Tensor) -> Tensor:
    """Return how much may change at each place, from 0 to 1."""
    radius = max(1, min(differences.shape[-2:]) // _RADIUS_SHARE)
    padded = functional.pad(differences, (radius,) * 4, mode="replicate")
    smooth = functional.avg_pool2d(padded, 2 * radius + 1, 1)
    most = torch.quantile(smooth.flatten(1), _MOST, dim=1).clamp(min=1e-12)[:, None, None, None]
    changed = ((smooth / most - HELD) / (CHANGED - HELD)).clamp(0, 1)
    return functional.max_pool2d(changed, 2 * radius + 1, 1, radius)


def twin(noise: Noise) -> Noise:
    """Return a source of the same noise from here on."""
    if isinstance(noise, NoiseBetween):
        return NoiseBetween(_twin(noise.start), _twin(noise.end), noise.place)
    return _twin(noise)


def _twin(generator: Generator) -> Generator:
    copied = Generator(generator.device)
    copied.set_state(generator.get_state())
    return copied
