"""The pictures that people marked with a heart."""

from __future__ import annotations

import time
from collections.abc import Callable

from db.connection import Connection
from generation.params import Tile


class Favourites:
    """Keep each person's favourites in SQLite."""

    def __init__(self, connection: Connection, clock: Callable[[], float] = time.time) -> None:
        self._connection, self._clock = connection, clock

    async def toggle(self, person_id: int, tile: Tile) -> bool:
        """Mark a picture, or take the mark away; tell whether it is marked now."""
        values = {"person": person_id, "job": tile.job_id, "index": tile.index, "now": self._clock()}
        removed = await self._connection.write(
            "DELETE FROM favourites WHERE person_id = :person AND job_id = :job AND tile_index = :index", values
        )
        if removed:
            return False
        await self._connection.write(
            "INSERT INTO favourites VALUES (:person, :job, :index, :now) ON CONFLICT DO NOTHING", values
        )
        return True
