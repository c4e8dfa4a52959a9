"""Pictures of which a part is kept: what the rest starts from, and how the two are put together again."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def spread(values: Tensor, known: Tensor) -> Tensor:
    """Fill what is not `known` (1×1×H×W, 1 or 0) of N×C×H×W smoothly from what is, which stays as it is.

    Push-pull interpolation (Gortler et al. 1996, The Lumigraph): each gap is closed at the size at which it has shrunk
    to nothing.
    """
    return _spread(values * known, known)


def _spread(weighted: Tensor, weights: Tensor) -> Tensor:
    own = weighted / weights.clamp(min=1e-6)
    if weights.min() > 0 or max(weights.shape[-2:]) == 1:
        return own
    smaller = _spread(_half(weighted), _half(weights))
    filling = functional.interpolate(smaller, weights.shape[-2:], mode="bilinear")
    return torch.lerp(filling, own, weights)


def _half(values: Tensor) -> Tensor:
    return functional.avg_pool2d(values, 2, ceil_mode=True, count_include_pad=False)


def mend(drawn: Tensor, original: Tensor, mask: Tensor, reach: int) -> Tensor:
    """Put what is kept of `original` back into `drawn`, both 1×3×H×W between −1 and 1; 1 in `mask` was drawn anew.

    What is kept is kept to the pixel. What was drawn meets it without a step: the differences at its edge are taken
    out of the drawing too, less and less until `reach` pixels away.
    """
    kept = 1 - mask
    gap = spread(original - drawn, kept) * _fading(kept, reach)
    return torch.where(mask > 0, drawn + gap, original)


def _fading(kept: Tensor, reach: int) -> Tensor:
    """Give 1 where something is kept, and less and less around it, 0 from `reach` pixels away."""
    half = max(1, reach // 2)
    size = 2 * half + 1
    for shape, margin in (((size, 1), (half, 0)), ((1, size), (0, half))):  # both ways apart: that is much faster
        kept = functional.max_pool2d(kept, shape, stride=1, padding=margin)
    for shape, margin in (((size, 1), (half, 0)), ((1, size), (0, half))):
        kept = functional.avg_pool2d(kept, shape, stride=1, padding=margin, count_include_pad=False)
    return kept
