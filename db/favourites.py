"""Each user's favourite images."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from typing import Any

from db.connection import Connection
from generation.params import Tile


class FavouriteStore:
    """Store favourites in SQLite."""

    def __init__(self, connection: Connection, clock: Callable[[], float] = time.time) -> None:
        self._connection, self._clock = connection, clock

    async def add(self, person_id: int, tile: Tile) -> bool:
        """Add an image; adding it again changes nothing.

        Returns False if its job was deleted: the favourite would otherwise stay in the database for ever.
        """
        added = await self._connection.write(
            """INSERT INTO favourites
               SELECT :person, id, :index, :now FROM jobs WHERE id = :job AND deleted_at IS NULL
               ON CONFLICT (person_id, job_id, tile_index) DO UPDATE SET at = at""",
            _values(person_id, tile) | {"now": self._clock()},
        )
        return added == 1

    async def remove(self, person_id: int, tile: Tile) -> bool:
        """Remove an image; returns False if it was not a favourite."""
        removed = await self._connection.write(
            "DELETE FROM favourites WHERE person_id = :person AND job_id = :job AND tile_index = :index",
            _values(person_id, tile),
        )
        return removed == 1

    async def counts(self, job_ids: Iterable[str]) -> dict[str, int]:
        """Return how many people have an image of each job among their favourites; jobs without any are left out."""
        rows = await self._connection.fetch_all(
            """SELECT job_id, count(DISTINCT person_id) AS people FROM favourites
               WHERE job_id IN (SELECT value FROM json_each(:ids)) GROUP BY job_id""",
            {"ids": json.dumps(sorted(job_ids))},
        )
        return {row["job_id"]: row["people"] for row in rows}

    async def has_any(self, person_id: int, job_id: str) -> bool:
        """Return whether an image of a job is among a user's favourites."""
        rows = await self._connection.fetch_all(
            "SELECT 1 FROM favourites WHERE person_id = :person AND job_id = :job LIMIT 1",
            {"person": person_id, "job": job_id},
        )
        return bool(rows)


def _values(person_id: int, tile: Tile) -> dict[str, Any]:
    return {"person": person_id, "job": tile.job_id, "index": tile.index}
