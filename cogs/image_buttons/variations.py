"""What a pressed button makes of a picture: another job, on the same road."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import cast

import discord
from discord.ext import commands

from bot.client import Client
from cogs.image_buttons.buttons import NEVER_REMIXED
from cogs.jobs import Interaction, JobService, get_job_service
from generation.errors import UserError
from generation.job import Action, Job
from generation.models.model import Model
from generation.params import Params, Tile
from generation.planning import actions

RemixModalOpener = Callable[[Interaction, Action, Job, Tile], Awaitable[bool]]


class ImageActions(commands.Cog):
    """Make new jobs from tiles; `ask_first` asks those who prefer to remix for other words, or is False."""

    open_remix_modal: RemixModalOpener

    def __init__(self, client: Client, jobs: JobService) -> None:
        self.jobs = jobs
        self.services = client.services
        for action in (Action.PICK, Action.REROLL, *ACTION_PARAMS):
            jobs.button_handlers[action] = functools.partial(self.run_action, action)

    async def run_action(self, action: Action, interaction: Interaction, tile: Tile) -> None:
        """Make a new job from a tile, or ask for other words first."""
        parent = await self.jobs.require_parent(tile)
        preferred = await self.services.preferences.get(interaction.user.id)
        pressed = f"{action}:{tile}"
        if action is Action.VARY_STRONG and parent.params.count > 1 and not preferred.high_variation:
            action = Action.VARY_SUBTLE
        if preferred.remix and action in REMIXABLE and await self.open_remix_modal(interaction, action, parent, tile):
            return
        if action is Action.PICK:  # for which nothing is drawn, so that its model may have gone
            params = actions.pick(parent.params, tile)
        else:
            model = self.services.registry.resolve(parent.params)
            params = params_for(action, parent.params, tile, model, actions.new_seed())
        await self.jobs.submit(interaction, action, params, tile, pressed=pressed)


def params_for(action: Action, parent: Params, tile: Tile, model: Model, seed: int) -> Params:
    """Give what a button has `model` draw; raises Complaint when this picture cannot be used for it."""
    if action is Action.REROLL:
        return replace(actions.reroll(parent, seed), model=model.name)
    if action not in actions.available_actions(parent, model):
        raise UserError("This cannot be done with this picture.")
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
    Action.VARY_SUBTLE: _vary(actions.VARY_SUBTLE),
    Action.VARY_STRONG: _vary(actions.VARY_STRONG),
    Action.ZOOM_2: _zoom(2),
    Action.ZOOM_1_5: _zoom(1.5),
    Action.MAKE_SQUARE: actions.make_square,
    **{action: _pan(direction) for action, direction in actions.PAN_DIRECTIONS.items()},
}
REMIXABLE = frozenset(ACTION_PARAMS).difference(NEVER_REMIXED) | {Action.REROLL}


def get_image_actions(client: discord.Client) -> ImageActions:
    """Give the cog to another."""
    return cast(ImageActions, cast(Client, client).get_cog("ImageActions"))


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this, after the road's."""
    await client.add_cog(ImageActions(client, get_job_service(client)))
