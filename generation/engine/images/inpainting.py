"""Inpainting: fill the masked part before denoising, and blend the result with the kept part afterwards."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

SEAM_CHANGE = 0.5  # the change map right beside the kept part
SMOOTHING_ITERATIONS = 20  # at each size; more make no visible difference


def fill_smooth(values: Tensor, known: Tensor) -> Tensor:
    """Fill the part of `values` (N×C×H×W) that is not `known` (1×1×H×W, 1 or 0) smoothly from the part that is.

    The known part is unchanged. The filling approximates Laplace's equation (each place is the mean of its neighbours),
    from coarse to fine.
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
    """Return the change map (see `MaskConstraint`) of a `mask` (1×1×H×W, 1 is regenerated).

    It is 1 from `radius` places away from the kept part, or at the farthest place. Nearer places follow the filling
    first, so that colours and shapes continue those of the kept part (Differential Diffusion, Levin and Fried 2023).
    """
    near, away = 1 - mask, torch.zeros_like(mask)
    for _ in range(radius):
        away = away + (1 - near)
        near = functional.max_pool2d(near, 3, stride=1, padding=1)
    return mask * (SEAM_CHANGE + (1 - SEAM_CHANGE) * away / away.max().clamp(min=1))


def blend_seam(generated: Tensor, original: Tensor, mask: Tensor, edge: int, radius: int) -> Tensor:
    """Put the kept part of `original` back into `generated`, both 1×3×H×W in −1…1; 1 in `mask` was regenerated.

    The kept part is exact to the pixel. The step at the seam is subtracted from the generated part, less and less
    until `radius` pixels away, as in seamless cloning (Pérez et al. 2003). Within `edge` pixels the decoder has mixed
    both sides, so the generated part is filled from farther away there.
    """
    kept = 1 - mask
    clear = 1 - _dilate(kept, edge)
    filled = fill_smooth(generated, clear) if clear.any() else generated
    step = fill_smooth((original - filled) * kept, kept) * _falloff(kept, radius)
    return torch.where(mask > 0, filled + step, original)


def _dilate(values: Tensor, radius: int) -> Tensor:
    for size, padding in _separable_kernels(radius):
        values = functional.max_pool2d(values, size, stride=1, padding=padding)
    return values


def _separable_kernels(radius: int) -> tuple[tuple[tuple[int, int], tuple[int, int]], ...]:
    """Return kernel size and padding for each axis: two passes are much faster than one in both directions."""
    size = 2 * radius + 1
    return ((size, 1), (radius, 0)), ((1, size), (0, radius))


def _falloff(kept: Tensor, radius: int) -> Tensor:
    """Return 1 in the kept part, falling to 0 at `radius` pixels away from it."""
    half = max(1, radius // 2)
    values = _dilate(kept, half)
    for size, padding in _separable_kernels(half):
        values = functional.avg_pool2d(values, size, stride=1, padding=padding, count_include_pad=False)
    return values
