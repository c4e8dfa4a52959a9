"""The Muon optimiser: momentum with orthogonalised steps, so that all directions of a weight matrix learn equally."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

# Newton–Schulz iterations with the coefficients of Keller Jordan, "Muon" (2024).
ITERATIONS, FIRST, THIRD, FIFTH = 5, 3.4445, -4.7750, 2.0315


@torch.no_grad()
def orthogonalize(matrix: Tensor) -> Tensor:
    """Return approximately the nearest matrix whose singular values are all one, rows × columns."""
    tall = matrix.shape[0] > matrix.shape[1]
    wide = (matrix.T if tall else matrix).bfloat16()
    wide = wide / (wide.norm() + 1e-7)
    for _ in range(ITERATIONS):
        square = wide @ wide.T
        wide = FIRST * wide + (THIRD * square + FIFTH * (square @ square)) @ wide
    result: Tensor = (wide.T if tall else wide).float()
    return result


class Muon(torch.optim.Optimizer):
    """Optimise weight matrices, and convolutions as matrices, with steps as long as AdamW's at the same rate."""

    def __init__(self, weights: Iterable[Tensor], lr: float, momentum: float = 0.95, decay: float = 0.01) -> None:
        super().__init__(list(weights), {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every weight along its orthogonalised momentum."""
        for group in self.param_groups:
            for weight in group["params"]:
                self._update(weight, group["lr"], group["momentum"], group["decay"])

    def _update(self, weight: Tensor, rate: float, momentum: float, decay: float) -> None:
        state = self.state[weight]
        assert weight.grad is not None
        if "average" not in state:
            state["average"] = torch.zeros_like(weight)
        state["average"].lerp_(weight.grad, 1 - momentum)
        ahead = weight.grad.lerp(state["average"], momentum).flatten(1)
        length = 0.2 * max(ahead.shape) ** 0.5
        weight.mul_(1 - rate * decay).add_(orthogonalize(ahead).view_as(weight), alpha=-rate * length)
