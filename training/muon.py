"""Muon: momentum whose steps are made orthogonal, so that no direction of a weight matrix is learnt last."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

# Five steps of Newton and Schulz with the coefficients of Keller Jordan, "Muon" (2024).
ITERATIONS, FIRST, THIRD, FIFTH = 5, 3.4445, -4.7750, 2.0315


@torch.no_grad()
def orthogonalize(matrix: Tensor) -> Tensor:
    """Return nearly the nearest matrix whose singular values are all one, rows × columns."""
    tall = matrix.shape[0] > matrix.shape[1]
    made = (matrix.T if tall else matrix).bfloat16()
    made = made / (made.norm() + 1e-7)
    for _ in range(ITERATIONS):
        square = made @ made.T
        made = FIRST * made + (THIRD * square + FIFTH * (square @ square)) @ made
    result: Tensor = (made.T if tall else made).float()
    return result


class Muon(torch.optim.Optimizer):
    """Train weight matrices, and convolutions as matrices; a step is as long as AdamW's at the same rate."""

    def __init__(self, weights: Iterable[Tensor], lr: float, momentum: float = 0.95, decay: float = 0.01) -> None:
        super().__init__(list(weights), {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every weight along its orthogonal momentum."""
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
