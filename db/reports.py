"""Reports of images to the moderators of a server."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from db.connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report of a job's images; `outcome` is None until a moderator has decided."""

    id: int
    guild_id: int
    job_id: str
    person_id: int
    reason: str
    at: float
    outcome: str | None


class ReportStore:
    """Store open and closed reports in SQLite."""

    def __init__(self, connection: Connection, clock: Callable[[], float] = time.time) -> None:
        self._connection = connection
        self._clock = clock

    async def add(self, guild_id: int, job_id: str, person_id: int, reason: str) -> Report | None:
        """Store a report and return it; returns None if this user already has an open report of this job."""
        added = await self._connection.write(
            """INSERT INTO reports (guild_id, job_id, person_id, reason, at)
               SELECT :guild, :job, :person, :reason, :at WHERE NOT EXISTS (
                   SELECT 1 FROM reports WHERE outcome IS NULL AND guild_id = :guild
                   AND job_id = :job AND person_id = :person)""",
            {"guild": guild_id, "job": job_id, "person": person_id, "reason": reason, "at": self._clock()},
        )
        rows = await self._connection.fetch_all(
            """SELECT * FROM reports
               WHERE guild_id = :guild AND job_id = :job AND person_id = :person AND outcome IS NULL""",
            {"guild": guild_id, "job": job_id, "person": person_id},
        )
        return Report(**dict(rows[0])) if added and rows else None

    async def find(self, report_id: int) -> Report | None:
        """Return a report by its id."""
        rows = await self._connection.fetch_all("SELECT * FROM reports WHERE id = :id", {"id": report_id})
        return Report(**dict(rows[0])) if rows else None

    async def list_open(self, guild_id: int) -> list[Report]:
        """Return a guild's open reports, oldest first."""
        rows = await self._connection.fetch_all(
            "SELECT * FROM reports WHERE guild_id = :guild AND outcome IS NULL ORDER BY at, id", {"guild": guild_id}
        )
        return [Report(**dict(row)) for row in rows]

    async def close(self, report_id: int, outcome: str) -> bool:
        """Store a report's outcome; returns False if it was already closed."""
        closed = await self._connection.write(
            "UPDATE reports SET outcome = :outcome WHERE id = :id AND outcome IS NULL",
            {"id": report_id, "outcome": outcome},
        )
        return closed == 1
