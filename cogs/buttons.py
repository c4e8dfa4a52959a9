"""The buttons below a notice and a result: whose they are and what is done stands in their custom_id alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Self, cast

import discord

from bot.errors import answering
from generation.job import Action, Job
from generation.params import TILE_PATTERN, Tile

if TYPE_CHECKING:
    from cogs.road import Road

JOB_PATTERN = r"(?P<job_id>[0-9a-f]{12})"


class TileButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=rf"(?P<action>upscale|vary_subtle|vary_strong):{TILE_PATTERN}",
):
    """U1–U4, V1–V4 and their like: whatever is made from one tile."""

    def __init__(self, action: Action, tile: Tile, label: str, row: int, used: bool = False) -> None:
        self.action, self.tile = action, tile
        style = discord.ButtonStyle.primary if used else discord.ButtonStyle.secondary
        super().__init__(discord.ui.Button(label=label, custom_id=f"{action}:{tile}", style=style, row=row))

    @classmethod
    async def from_custom_id(
        cls, _: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str]
    ) -> Self:
        return cls(Action(match["action"]), Tile(match["job_id"], int(match["index"])), "", item.row or 0)

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with answering(interaction):
            await _road(interaction).press(interaction, self.action, self.tile)


class RerollButton(discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=rf"reroll:{JOB_PATTERN}"):
    """🔄: the same prompt with a new seed."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(discord.ui.Button(emoji="🔄", custom_id=f"reroll:{job_id}", row=0))

    @classmethod
    async def from_custom_id(cls, _: discord.Interaction[Any], __: discord.ui.Item[Any], match: re.Match[str]) -> Self:
        return cls(match["job_id"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with answering(interaction):
            await _road(interaction).reroll(interaction, self.job_id)


class CancelButton(discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=rf"cancel:{JOB_PATTERN}"):
    """Cancel, below a notice."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(discord.ui.Button(label="Cancel", custom_id=f"cancel:{job_id}"))

    @classmethod
    async def from_custom_id(cls, _: discord.Interaction[Any], __: discord.ui.Item[Any], match: re.Match[str]) -> Self:
        return cls(match["job_id"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with answering(interaction):
            await _road(interaction).cancel(interaction, self.job_id)


def cancel_view(job_id: str) -> discord.ui.View:
    """Give the button below a notice."""
    view = discord.ui.View(timeout=None)
    view.add_item(CancelButton(job_id))
    return view


def result_view(job: Job, used: frozenset[str] = frozenset()) -> discord.ui.View:
    """Give the buttons below a result; `used` are the custom_ids that are blue."""
    view = discord.ui.View(timeout=None)

    def add(action: Action, index: int, label: str, row: int) -> None:
        tile = Tile(job.id, index)
        view.add_item(TileButton(action, tile, label, row, used=f"{action}:{tile}" in used))

    if job.params.count == 1:
        add(Action.VARY_SUBTLE, 0, "Vary (Subtle)", 0)
        add(Action.VARY_STRONG, 0, "Vary (Strong)", 0)
        return view
    for index in range(job.params.count):
        add(Action.UPSCALE_SUBTLE, index, f"U{index + 1}", 0)
    view.add_item(RerollButton(job.id))
    for index in range(job.params.count):
        add(Action.VARY_STRONG, index, f"V{index + 1}", 1)
    return view


def pressed_view(message: discord.Message | None, parent: Job, custom_id: str) -> discord.ui.View:
    """Give the buttons that `message` has now, with the one just pressed blue as well."""
    rows = message.components if message else []
    buttons = [item for row in rows if isinstance(row, discord.ActionRow) for item in row.children]
    blue = {
        button.custom_id
        for button in buttons
        if isinstance(button, discord.Button) and button.style is discord.ButtonStyle.primary and button.custom_id
    }
    return result_view(parent, frozenset(blue | {custom_id}))


def _road(interaction: discord.Interaction[Any]) -> Road:
    return cast("Road", interaction.client.get_cog("Road"))
