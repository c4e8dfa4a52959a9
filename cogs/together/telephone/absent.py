"""Words for a player who is away: what the model sees in the last picture."""

from __future__ import annotations

from bot.services import Services
from generation.params import Tile


async def words_for_absent(services: Services, tile: Tile) -> str | None:
    """Return what the model sees in a picture; None if it cannot describe pictures, so that the turn is skipped."""
    return None
