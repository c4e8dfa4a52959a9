"""What is kept about one person: told, handed out in bites, and erased."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from db.connection import Connection
from db.job_words import wipe_deleted
from db.usage import COUNTS, SECONDS

NOBODY = 0  # takes the place of a person whose name is to be forgotten

KEPT = """
    SELECT count(*) AS jobs, coalesce(sum(suffix IS NOT NULL AND deleted_at IS NULL), 0) AS drawn,
           min(asked_at) AS first_at, max(asked_at) AS last_at
    FROM jobs WHERE asker_id = :person
"""
BROUGHT = "SELECT count(DISTINCT digest) AS number FROM uploads WHERE brought_by = :person"
BELONGINGS = {
    "preferences": "SELECT settings FROM preferences WHERE person_id = :person",
    "options": "SELECT name, value FROM options WHERE person_id = :person ORDER BY name",
    "favourites": "SELECT job_id, tile_index, at FROM favourites WHERE person_id = :person ORDER BY at",
    "threads": "SELECT channel_id, thread_id FROM threads WHERE person_id = :person",
    "reports": "SELECT guild_id, job_id, reason, at, outcome FROM reports WHERE person_id = :person ORDER BY id",
    "blocks": "SELECT guild_id, reason, until, at FROM blocks WHERE person_id = :person",
}
JOBS_AFTER = """
    SELECT * FROM jobs WHERE asker_id = :person AND (asked_at, id) > (:at, :id) ORDER BY asked_at, id LIMIT :most
"""
UNFINISHED = (
    "SELECT id FROM jobs WHERE state IN ('waiting', 'drawing', 'drawn') AND asker_id = :person AND asked_at <= :at"
)
TO_ERASE = "SELECT id FROM jobs WHERE asker_id = :person AND asked_at <= :at ORDER BY asked_at LIMIT :most"
UPLOADS_OF = "SELECT digest FROM uploads WHERE job_id = :id"
NEEDED = "SELECT 1 FROM uploads WHERE digest = :digest LIMIT 1"
ERASURES = "SELECT person_id, up_to FROM erasures"

_TALLY = f"""
    INSERT INTO tallies SELECT asker_id, guild_id, asked_at, {SECONDS} FROM jobs
    WHERE id = :id AND guild_id IS NOT NULL AND {COUNTS}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How much is kept about a person; `drawn` counts the jobs with pictures, `uploads` those that were brought."""

    jobs: int
    drawn: int
    first_at: float | None
    last_at: float | None
    uploads: int
    preferences: bool
    options: int
    favourites: int
    reports: int
    blocks: int


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place between two jobs of a person, in the order they were asked for."""

    asked_at: float
    job_id: str


BEGINNING = Cursor(0.0, "")


class Privacy:
    """Everything that is kept about a person."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def kept(self, person_id: int) -> Kept:
        """Count what is kept."""
        person = {"person": person_id}
        (jobs,) = await self._connection.rows(KEPT, person)
        (uploads,) = await self._connection.rows(BROUGHT, person)
        belongings = await self.belongings(person_id)
        return Kept(
            **dict(jobs),
            uploads=uploads["number"],
            preferences=bool(belongings["preferences"]),
            **{name: len(belongings[name]) for name in ("options", "favourites", "reports", "blocks")},
        )

    async def belongings(self, person_id: int) -> dict[str, list[dict[str, Any]]]:
        """Give everything but the jobs as plain values: preferences, options, favourites, threads, reports, blocks."""
        return {
            name: [dict(row) for row in await self._connection.rows(sql, {"person": person_id})]
            for name, sql in BELONGINGS.items()
        }

    async def jobs_after(self, person_id: int, after: Cursor, most: int) -> list[dict[str, Any]]:
        """Give a person's next jobs as plain values, oldest first, with `params` as in JSON and without the token."""
        values = {"person": person_id, "at": after.asked_at, "id": after.job_id, "most": most}
        jobs = [dict(row) for row in await self._connection.rows(JOBS_AFTER, values)]
        for job in jobs:
            job["params"] = json.loads(job["params"])
            del job["token"], job["token_expires_at"]
        return jobs

    async def begin_erasure(self, person_id: int, up_to: float) -> None:
        """Erase everything but the jobs at once, and note that those asked for up to a time are to go as well."""
        person = {"person": person_id, "up_to": up_to, "nobody": NOBODY}
        await self._connection.write_together(
            (
                """INSERT INTO erasures VALUES (:person, :up_to)
                   ON CONFLICT (person_id) DO UPDATE SET up_to = max(up_to, :up_to)""",
                person,
            ),
            ("DELETE FROM preferences WHERE person_id = :person", person),
            ("DELETE FROM options WHERE person_id = :person", person),
            ("DELETE FROM favourites WHERE person_id = :person", person),
            ("DELETE FROM threads WHERE person_id = :person", person),
            ("UPDATE reports SET person_id = :nobody WHERE person_id = :person", person),
        )

    async def erasures(self) -> dict[int, float]:
        """Give the people whose jobs are still to be erased, with the time up to which they are."""
        return {row["person_id"]: row["up_to"] for row in await self._connection.rows(ERASURES)}

    async def unfinished(self, person_id: int, up_to: float) -> list[str]:
        """Give the jobs of a person that wait, are drawn or are being posted."""
        return await self._ids(UNFINISHED, person=person_id, at=up_to)

    async def to_erase(self, person_id: int, up_to: float, most: int) -> list[str]:
        """Give jobs of a person that are still there, the oldest first."""
        return await self._ids(TO_ERASE, person=person_id, at=up_to, most=most)

    async def erase_job(self, job_id: str) -> Sequence[str]:
        """Erase a job, and give the digests of the pictures it needed and that nobody else's job needs.

        What it counts for in the limits of its server stays for as long as those look back.
        """
        digests = [row["digest"] for row in await self._connection.rows(UPLOADS_OF, {"id": job_id})]
        await self._connection.write_together(
            (_TALLY, {"id": job_id}),
            ("DELETE FROM favourites WHERE job_id = :id", {"id": job_id}),
            ("DELETE FROM jobs WHERE id = :id", {"id": job_id}),
        )
        return [digest for digest in digests if not await self._connection.rows(NEEDED, {"digest": digest})]

    async def end_erasure(self, person_id: int, up_to: float) -> None:
        """Wipe the words of erased prompts out of the file, and note that everything up to a time is erased."""
        await wipe_deleted(self._connection)
        await self._connection.write(
            "DELETE FROM erasures WHERE person_id = :person AND up_to <= :at", {"person": person_id, "at": up_to}
        )

    async def _ids(self, sql: str, **values: float) -> list[str]:
        return [row["id"] for row in await self._connection.rows(sql, values)]
