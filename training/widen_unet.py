"""Give a trained UNet twice the channels at full resolution, where edges are drawn, and keep what it has learnt."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from training import unet
from training.settings import SEED

# How unevenly the two copies of a channel are listened to: copies that are heard alike would learn alike for ever.
COPY_ASYMMETRY = 0.08


def widen_unet(narrow: Path, state: Path = unet.STATE) -> None:
    """Write a checkpoint of the shape in the settings from one with half the channels; the optimisers begin anew."""
    saved = torch.load(narrow, weights_only=True, map_location="cpu")
    weights = widen_weights(saved["average"], unet.build_unet().state_dict())
    unet.save_checkpoint(unet.state_from_weights(weights, saved["samples"]), state)


def widen_weights(narrow: dict[str, Tensor], shapes: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights in wider shapes; what they make is the same but for norms over old and doubled channels at once.

    Source: Chen et al., "Net2Net: Accelerating Learning via Knowledge Transfer" (2016).
    """
    torch.manual_seed(SEED + 7)
    made = {}
    for name, weights in narrow.items():
        shape = shapes[name].shape
        if name == "time_embedding.linear_1.weight":
            made[name] = _expand_time_embedding(weights, shape[1])
            continue
        listening = weights if weights.ndim == 1 else _duplicate_inputs(weights, shape[1])
        made[name] = _duplicate_outputs(listening, shape[0])
    return made


def _expand_time_embedding(weights: Tensor, waves: int) -> Tensor:
    """Listen to the old waves of the timestep, which are every other one of twice as many."""
    made = torch.zeros(len(weights), waves)
    made[:, :: waves // weights.shape[1]] = weights
    return made


def _duplicate_outputs(weights: Tensor, count: int) -> Tensor:
    """Make the last outputs twice, side by side, so that there are `count`."""
    single = 2 * len(weights) - count
    return torch.cat([weights[:single], weights[single:].repeat_interleave(2, dim=0)])


def _duplicate_inputs(weights: Tensor, count: int) -> Tensor:
    """Listen to the last inputs twice, together as much as before, so that there are `count`."""
    single = 2 * weights.shape[1] - count
    halves = weights[:, single:, None] / 2
    shift = COPY_ASYMMETRY * torch.randn(halves.shape[:2]).view(*halves.shape[:2], *[1] * (halves.ndim - 2))
    pairs = torch.cat([halves * (1 + shift), halves * (1 - shift)], dim=2)
    return torch.cat([weights[:, :single], pairs.flatten(1, 2)], dim=1)
