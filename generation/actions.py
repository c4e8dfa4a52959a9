"""What a button makes of its parent: pure functions from `Params` to `Params`."""

from __future__ import annotations

import secrets
from dataclasses import replace

from generation.models import Model, size_for
from generation.params import MAX_SEED, Params, Tile

# Shares of the noise: how far a result may leave its source. Subtle keeps the composition, strong keeps the idea.
VARY_SUBTLE = 0.45
VARY_STRONG = 0.75
UPSCALE = 0.3


def new_seed() -> int:
    """Draw a seed; four below the largest, so that every tile's own seed is one too."""
    return secrets.randbelow(MAX_SEED - 3)


def reroll(parent: Params, seed: int) -> Params:
    """Ask for the same again from other noise."""
    return replace(parent, seed=seed)


def vary(parent: Params, tile: Tile, model: Model, strength: float, seed: int) -> Params:
    """Ask for a grid near `tile`, at the model's own size even when the tile was upscaled."""
    width, height = size_for(model, parent.aspect)
    return replace(parent, width=width, height=height, seed=seed, count=4, source=tile, strength=strength, mask=None)


def upscale(parent: Params, tile: Tile) -> Params:
    """Ask for `tile` at twice its size, gone over lightly with the same prompt and its own seed."""
    return replace(
        parent,
        width=2 * parent.width,
        height=2 * parent.height,
        seed=parent.seed_of(tile.index),
        count=1,
        source=tile,
        strength=UPSCALE,
        mask=None,
    )
