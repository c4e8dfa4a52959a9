"""Pictures of which a part is kept: what the rest starts from, and how the two are put together again."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

SEAM_CHANGE = 0.5  # the share of the noise right beside what is kept
SMOOTHING_ITERATIONS = 20  # at each size; more change nothing that can be seen


def fill_smooth(values: Tensor, known: Tensor) -> Tensor:
    """Fill what is not `known` (1×1×H×W, 1 or 0) of N×C×H×W smoothly from what is, which stays as it is.

    The filling is a membrane hung up at the edges of what is known (each place the mean of its neighbours), found from
    the small to the large.
    """
    if known.min() > 0 or max(known.shape[-2:]) == 1:
        return values
    share = _downsample(known)
    smaller = fill_smooth(_downsample(values * known) / share.clamp(min=1e-6), (share > 0).float())
    filling = functional.interpolate(smaller, known.shape[-2:], mode="bilinear")
    for _ in range(SMOOTHING_ITERATIONS):
        filling = _blur(torch.where(known > 0, values, filling))
    return torch.where(known > 0, values, filling)


def _downsample(values: Tensor) -> Tensor:
    return functional.avg_pool2d(values, 2, ceil_mode=True, count_include_pad=False)


def _blur(values: Tensor) -> Tensor:
    return functional.avg_pool2d(values, 3, stride=1, padding=1, count_include_pad=False)


def change_map(mask: Tensor, radius: int) -> Tensor:
    """Say from which share of the noise on each place of `mask` (1×1×H×W, 1 is drawn anew) may be drawn freely.

    `reach` places away from what is kept, or where it is farthest, that is from the start (1). Until then a place
    follows the filling, so that what is drawn near a kept part goes on where that ends, in colours and forms
    (Differential Diffusion, Levin and Fried 2023).
    """
    near, away = 1 - mask, torch.zeros_like(mask)
    for _ in range(radius):
        away = away + (1 - near)
        near = functional.max_pool2d(near, 3, stride=1, padding=1)
    return mask * (SEAM_CHANGE + (1 - SEAM_CHANGE) * away / away.max().clamp(min=1))


def blend_seam(generated: Tensor, original: Tensor, mask: Tensor, edge: int, radius: int) -> Tensor:
    """Put what is kept of `original` back into `drawn`, both 1×3×H×W between −1 and 1; 1 in `mask` was drawn anew.

    What is kept is kept to the pixel. What was drawn meets it without a step, as in seamless cloning (Pérez et al.
    2003): the step is taken out of the drawing, less and less until `reach` pixels away. Within `edge` pixels the
    decoder has mixed both sides, so the drawing is taken to be there what it is a bit farther off.
    """
    kept = 1 - mask
    clear = 1 - _dilate(kept, edge)
    drawing = fill_smooth(generated, clear) if clear.any() else generated
    step = fill_smooth((original - drawing) * kept, kept) * _falloff(kept, radius)
    return torch.where(mask > 0, drawing + step, original)


def _dilate(values: Tensor, radius: int) -> Tensor:
    for shape, margin in _separable_kernels(radius):
        values = functional.max_pool2d(values, shape, stride=1, padding=margin)
    return values


def _separable_kernels(radius: int) -> tuple[tuple[tuple[int, int], tuple[int, int]], ...]:
    """Give the window and its margin for one way and then the other: that is much faster than both at once."""
    size = 2 * radius + 1
    return ((size, 1), (radius, 0)), ((1, size), (0, radius))


def _falloff(kept: Tensor, radius: int) -> Tensor:
    """Give 1 where something is kept, and less and less around it, 0 from `reach` pixels away."""
    half = max(1, radius // 2)
    values = _dilate(kept, half)
    for shape, margin in _separable_kernels(half):
        values = functional.avg_pool2d(values, shape, stride=1, padding=margin, count_include_pad=False)
    return values
