"""Split a canvas into overlapping windows, and merge them again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

import torch
from torch import Tensor

from generation.planning.tiling import window_positions


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows on a canvas: all of one `size`, their top left corners at `positions`; each pair is (down, right).

    A window that reaches over the canvas's edge continues at the opposite one.
    """

    canvas: tuple[int, int]
    size: tuple[int, int]
    positions: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.positions)

    def crop(self, image: Tensor, scale: int = 1) -> Iterator[Tensor]:
        """Yield each window of an image (…×H×W); here and in `merge` everything may be `scale` times as large."""
        for position in self.positions:
            rows, columns = self._indices(position, scale, image.device)
            yield image if self.size == self.canvas else image[..., rows, columns]

    def merge(self, patches: Iterable[Tensor], scale: int = 1) -> Tensor:
        """Return the merged windows, averaged where they overlap: the middle of a window counts more than its edge."""
        patches = iter(patches)
        first = next(patches)
        if self.size == self.canvas:
            return first
        size = [side * scale for side in self.canvas]
        total, weights, weight = (
            first.new_zeros(*first.shape[:-2], *size),
            first.new_zeros(size),
            _pyramid_weights(first),
        )
        for position, patch in zip(self.positions, chain([first], patches), strict=True):
            rows, columns = self._indices(position, scale, patch.device)
            total[..., rows, columns] += weight * patch
            weights[rows, columns] += weight
        return total / weights.clamp(min=torch.finfo(weights.dtype).tiny)

    def covering(self, mask: Tensor) -> Windows:
        """Return only the windows that show part of `mask` (…×H×W)."""
        covering = [position for position, view in zip(self.positions, self.crop(mask), strict=True) if view.any()]
        return replace(self, positions=tuple(covering or self.positions[:1]))

    def time_ids(self, scale: int) -> Tensor:
        """Return SDXL's `time_ids` (windows × 6), in pixels: the canvas's size, the window's position and its size.

        Given its position, the UNet generates a part of an image there instead of another whole one (as in DemoFusion,
        Du et al. 2023).
        """
        sides = [(*self.canvas, *position, *self.size) for position in self.positions]
        return torch.tensor(sides, dtype=torch.float32) * scale

    def _indices(self, position: tuple[int, int], scale: int, device: torch.device) -> tuple[Tensor, Tensor]:
        rows, columns = (
            torch.arange(start * scale, (start + length) * scale, device=device) % (side * scale)
            for start, length, side in zip(position, self.size, self.canvas, strict=True)
        )
        return rows[:, None], columns


def layout_windows(canvas: tuple[int, int], size: tuple[int, int], *, wrap: bool = False) -> Windows:
    """Cover a canvas with windows; with `wrap`, its opposite edges meet and windows continue over them."""
    size = min(size[0], canvas[0]), min(size[1], canvas[1])
    return Windows(canvas, size, tuple(window_positions(canvas, size, wrap=wrap)))


def _pyramid_weights(patch: Tensor) -> Tensor:
    """Return the weight of each place in a window: lowest at its edges, where the UNet lacks context."""
    sides = [torch.arange(1, length + 1, device=patch.device, dtype=patch.dtype) for length in patch.shape[-2:]]
    down, right = (torch.minimum(side, side.flip(0)) for side in sides)
    return down[:, None] / down.max() * (right / right.max())
