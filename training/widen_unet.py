"""Double a trained UNet's channels at full resolution, where edges are drawn, without losing what it has learnt."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from training import unet
from training.settings import SEED

# Random asymmetry of the weights that read the two copies of a channel: equal weights would get equal gradients.
COPY_ASYMMETRY = 0.08


def widen_unet(narrow: Path, state: Path = unet.STATE) -> None:
    """Write a checkpoint with the configured channels from one with half of them, with fresh optimisers."""
    saved = torch.load(narrow, weights_only=True, map_location="cpu")
    weights = widen_weights(saved["average"], unet.build_unet().state_dict())
    unet.save_checkpoint(unet.state_from_weights(weights, saved["samples"]), state)


def widen_weights(narrow: dict[str, Tensor], shapes: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights widened to `shapes`; only norms over old and doubled channels together change the output.

    Source: Chen et al., "Net2Net: Accelerating Learning via Knowledge Transfer" (2016).
    """
    torch.manual_seed(SEED + 7)
    widened = {}
    for name, weights in narrow.items():
        shape = shapes[name].shape
        if name == "time_embedding.linear_1.weight":
            widened[name] = _expand_time_embedding(weights, shape[1])
            continue
        inputs_widened = weights if weights.ndim == 1 else _duplicate_inputs(weights, shape[1])
        widened[name] = _duplicate_outputs(inputs_widened, shape[0])
    return widened


def _expand_time_embedding(weights: Tensor, frequencies: int) -> Tensor:
    """Return weights that read the old frequencies of the timestep, which are every other one of twice as many."""
    expanded = torch.zeros(len(weights), frequencies)
    expanded[:, :: frequencies // weights.shape[1]] = weights
    return expanded


def _duplicate_outputs(weights: Tensor, count: int) -> Tensor:
    """Duplicate the last outputs, copies side by side, up to `count` outputs."""
    single = 2 * len(weights) - count
    return torch.cat([weights[:single], weights[single:].repeat_interleave(2, dim=0)])


def _duplicate_inputs(weights: Tensor, count: int) -> Tensor:
    """Duplicate the last inputs up to `count` inputs; the weights of both copies add up to the old ones."""
    single = 2 * weights.shape[1] - count
    halves = weights[:, single:, None] / 2
    shift = COPY_ASYMMETRY * torch.randn(halves.shape[:2]).view(*halves.shape[:2], *[1] * (halves.ndim - 2))
    pairs = torch.cat([halves * (1 + shift), halves * (1 - shift)], dim=2)
    return torch.cat([weights[:, :single], pairs.flatten(1, 2)], dim=1)
