"""What a pressed button makes of a picture: another job, on the same road."""

from __future__ import annotations

import functools
from collections.abc import Callable

from discord.ext import commands

from bot.client import Client
from cogs.buttons import pressed_view
from cogs.road import Interaction, Road, road_of
from generation import actions
from generation.job import Action
from generation.models import Model
from generation.params import Params, Tile


class Pressing(commands.Cog):
    """Make new jobs from tiles."""

    def __init__(self, client: Client, road: Road) -> None:
        self.road = road
        self.studio = client.studio
        for action in _MADE:
            road.doors[action] = functools.partial(self.press, action)
        road.doors[Action.REROLL] = self.reroll

    async def press(self, action: Action, interaction: Interaction, tile: Tile) -> None:
        """Make a new job from a tile; the pressed button turns blue."""
        parent = await self.road.parent(tile)
        params = _MADE[action](parent.params, tile, self.studio.model)
        if action is not Action.PICK:
            self.studio.queue.check(interaction.user.id)
        assert interaction.message is not None
        await interaction.response.edit_message(view=pressed_view(interaction.message, f"{action}:{tile}"))
        await self.road.ask(interaction, action, params, tile)

    async def reroll(self, interaction: Interaction, tile: Tile) -> None:
        """Draw a job again with a new seed."""
        parent = await self.road.parent(tile)
        await self.road.ask(interaction, Action.REROLL, actions.reroll(parent.params, actions.new_seed()), tile)


_MADE: dict[Action, Callable[[Params, Tile, Model], Params]] = {
    Action.PICK: lambda params, tile, _: actions.pick(params, tile),
    Action.UPSCALE_SUBTLE: lambda params, tile, _: actions.upscale(params, tile),
    Action.VARY_SUBTLE: lambda params, tile, model: actions.vary(
        params, tile, model, actions.VARY_SUBTLE, actions.new_seed()
    ),
    Action.VARY_STRONG: lambda params, tile, model: actions.vary(
        params, tile, model, actions.VARY_STRONG, actions.new_seed()
    ),
}


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this, after the road's."""
    await client.add_cog(Pressing(client, road_of(client)))
