"""/canvas: one large picture by many hands, piece by piece."""

from __future__ import annotations

from bot.client import Client
from cogs.together.canvas import looking, painting
from cogs.together.canvas.commands import CanvasCommand


async def setup(client: Client) -> None:
    """Add the command and the buttons; discord.py calls this."""
    await client.add_cog(CanvasCommand(client))
    client.add_dynamic_items(*painting.ITEMS, *looking.ITEMS)
