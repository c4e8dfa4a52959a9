"""Buttons and selects that are recognised by their custom_id alone, so that they work after a restart."""

from __future__ import annotations

import re
from typing import Any, Self

import discord

from bot.ui.errors import report_errors
from generation.params import Tile

JOB_PATTERN = r"(?P<job_id>[0-9a-f]{12})"


class PersistentItem(discord.ui.DynamicItem[discord.ui.Item[Any]], template=r"(?!)"):
    """A component that calls `run` when used, even if an earlier process sent its message.

    A subclass has its own `template`, and is registered with `client.add_dynamic_items`. Messages contain plain buttons
    and selects with matching custom_ids: see `persistent_view`.
    """

    def __init__(self, item: discord.ui.Item[Any], match: re.Match[str]) -> None:
        super().__init__(item)
        self.match = match

    @classmethod
    async def from_custom_id(
        cls, _: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(item, match)

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with report_errors(interaction):
            await self.run(interaction)

    async def run(self, interaction: discord.Interaction[Any]) -> None:
        """Handle the interaction; an exception is reported to the user in an ephemeral message."""
        raise NotImplementedError

    @property
    def job_id(self) -> str:
        """Return the job id in the custom_id."""
        return self.match["job_id"]

    @property
    def tile(self) -> Tile:
        """Return the tile in the custom_id."""
        return Tile(self.match["job_id"], int(self.match["index"]))


def selected_values(interaction: discord.Interaction[Any]) -> list[str]:
    """Return the values that were chosen in a select."""
    data: Any = interaction.data or {}
    return list(data.get("values", []))


def persistent_view(*items: discord.ui.Item[Any]) -> discord.ui.View:
    """Return a view that discord.py does not remember, so that its presses reach the `PersistentItem` classes."""
    view = discord.ui.View(timeout=None)
    for item in items:
        view.add_item(item)
    view.stop()
    return view
