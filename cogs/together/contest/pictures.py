"""The pictures that voters compare, two at a time; those of a contest are shrunk once and kept in memory."""

from __future__ import annotations

import asyncio

from bot.images.contest_pictures import draw_pair, shrink
from db.image_files import ImageStore
from generation.params import Tile

MAX_KEPT = 256  # of some 80 kB each


class PairPictures:
    """Compose pairs of entries."""

    def __init__(self, files: ImageStore) -> None:
        self._files = files
        self._small: dict[Tile, asyncio.Task[bytes]] = {}  # the most recently used one comes last

    async def draw(self, left: Tile, right: Tile) -> bytes:
        """Return two entries side by side; raises OSError or UserError if one is deleted or damaged."""
        first, second = await self._get(left), await self._get(right)
        return await asyncio.to_thread(draw_pair, first, second)

    def forget(self) -> None:
        """Keep no picture any more: a contest has ended."""
        self._small.clear()

    async def _get(self, tile: Tile) -> bytes:
        task = self._small.pop(tile, None) or asyncio.create_task(self._shrink(tile))
        self._small[tile] = task
        while len(self._small) > MAX_KEPT:
            del self._small[next(iter(self._small))]
        try:
            return await asyncio.shield(task)  # others may wait for it too
        except Exception:
            self._small.pop(tile, None)
            raise

    async def _shrink(self, tile: Tile) -> bytes:
        return await asyncio.to_thread(shrink, await self._files.read(tile))
