"""What people report to the moderators of their server."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from db.connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A picture that somebody wants the moderators to look at; `outcome` is None as long as nobody has."""

    id: int
    guild_id: int
    job_id: str
    person_id: int
    reason: str
    at: float
    outcome: str | None


class ReportStore:
    """Keep reports until they are dealt with, and afterwards."""

    def __init__(self, connection: Connection, clock: Callable[[], float] = time.time) -> None:
        self._connection = connection
        self._clock = clock

    async def add(self, guild_id: int, job_id: str, person_id: int, reason: str) -> Report | None:
        """Keep a report and give it; None when this person has one about this job that is still open."""
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
        """Find a report by its id."""
        rows = await self._connection.fetch_all("SELECT * FROM reports WHERE id = :id", {"id": report_id})
        return Report(**dict(rows[0])) if rows else None

    async def list_open(self, guild_id: int) -> list[Report]:
        """Give a server's reports that nobody has dealt with, oldest first."""
        rows = await self._connection.fetch_all(
            "SELECT * FROM reports WHERE guild_id = :guild AND outcome IS NULL ORDER BY at, id", {"guild": guild_id}
        )
        return [Report(**dict(row)) for row in rows]

    async def close(self, report_id: int, outcome: str) -> bool:
        """Note what was done about a report; False when it was dealt with before."""
        closed = await self._connection.write(
            "UPDATE reports SET outcome = :outcome WHERE id = :id AND outcome IS NULL",
            {"id": report_id, "outcome": outcome},
        )
        return closed == 1
