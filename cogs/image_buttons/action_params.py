"""The Params of the job that each image button submits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bot.ui.i18n import tr
from bot.ui.job_views import NEVER_REMIXED
from generation.errors import UserError
from generation.job import Action
from generation.models.model import Model
from generation.params import Params, Tile
from generation.planning import actions


def params_for(action: Action, parent: Params, tile: Tile, model: Model, seed: int) -> Params:
    """Return the Params of a button's job; raise UserError if `model` cannot do it with this image."""
    if action is Action.REROLL:
        return replace(actions.reroll(parent, seed), model=model.name)
    if action not in actions.available_actions(parent, model):
        raise UserError(tr("This cannot be done with this picture."))
    return replace(ACTION_PARAMS[action](parent, tile, model, seed), model=model.name)


def _vary(strength: float) -> Callable[[Params, Tile, Model, int], Params]:
    return lambda parent, tile, model, seed: actions.vary(parent, tile, model, strength, seed)


def _upscale(factor: int, strength: float) -> Callable[[Params, Tile, Model, int], Params]:
    return lambda parent, tile, model, seed: actions.upscale(parent, tile, factor, strength)


def _zoom(factor: float) -> Callable[[Params, Tile, Model, int], Params]:
    return lambda parent, tile, model, seed: actions.zoom_out(parent, tile, model, seed, factor)


def _pan(direction: actions.Direction) -> Callable[[Params, Tile, Model, int], Params]:
    return lambda parent, tile, model, seed: actions.pan(parent, tile, model, seed, direction)


ACTION_PARAMS: dict[Action, Callable[[Params, Tile, Model, int], Params]] = {
    Action.UPSCALE_SUBTLE: _upscale(2, actions.UPSCALE_SUBTLE),
    Action.UPSCALE_CREATIVE: _upscale(2, actions.UPSCALE_CREATIVE),
    Action.UPSCALE_CREATIVE_4: _upscale(4, actions.UPSCALE_CREATIVE),
    Action.CLEAN_UP: _upscale(1, actions.UPSCALE_SUBTLE),
    Action.VARY_SUBTLE: _vary(actions.VARY_SUBTLE),
    Action.VARY_STRONG: _vary(actions.VARY_STRONG),
    Action.ZOOM_2: _zoom(2),
    Action.ZOOM_1_5: _zoom(1.5),
    Action.COLOUR: actions.colour,
    Action.MAKE_SQUARE: actions.make_square,
    **{action: _pan(direction) for action, direction in actions.PAN_DIRECTIONS.items()},
}
REMIXABLE = frozenset(ACTION_PARAMS).difference(NEVER_REMIXED) | {Action.REROLL}
