"""/jam: a room draws one picture, round by round; everybody votes for the tile and the words."""

from __future__ import annotations

from bot.client import Client
from cogs.together.jam.buttons import ITEMS
from cogs.together.jam.commands import JamCommand


async def setup(client: Client) -> None:
    """Add the command and the buttons; discord.py calls this."""
    await client.add_cog(JamCommand(client))
    client.add_dynamic_items(*ITEMS)
