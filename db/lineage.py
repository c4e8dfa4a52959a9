"""Read from which images each job was made, and who had a part in it; triggers write both tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from db.connection import Connection, Statement

MAX_GENERATIONS = 200  # a chain is followed no further


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A job and one image that it was made from; `kind` says how: made, source, blend, piece, or a reference."""

    child: str
    parent_job: str
    parent_index: int
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """One person's part in a job: worded, chose, placed or taught. A person of 0 had their data erased."""

    person_id: int
    part: str
    weight: float = 1.0


PARENTS = """
    SELECT child, parent_job, parent_index, kind FROM lineage
    WHERE child IN (SELECT value FROM json_each(:jobs))
    ORDER BY child, kind <> 'made', kind IN ('style', 'character', 'control'), kind, parent_job, parent_index
"""
# A job that failed or is still being drawn has no image yet. One that nothing is known of any more had one.
CHILDREN = """
    SELECT DISTINCT lineage.child, lineage.parent_job, lineage.parent_index, lineage.kind, jobs.asked_at
    FROM lineage LEFT JOIN jobs ON jobs.id = lineage.child
    WHERE lineage.parent_job = :job AND (jobs.id IS NULL OR jobs.state = 'answered')
    ORDER BY coalesce(jobs.asked_at, 0) DESC, lineage.child LIMIT :most
"""
# The line of descent: for each job the image whose button was pressed, or else the first one that it names.
LINE = """
    WITH RECURSIVE line (job, depth) AS (
        SELECT :job, 0
        UNION ALL
        SELECT (SELECT parent_job FROM lineage WHERE child = line.job
                ORDER BY kind <> 'made', kind IN ('style', 'character', 'control'), kind, parent_job LIMIT 1), depth + 1
        FROM line WHERE line.job IS NOT NULL AND depth < :most
    )
    SELECT line.job, jobs.asker_id, jobs.asker_name, jobs.action, jobs.guild_id, jobs.private, jobs.deleted_at
    FROM line LEFT JOIN jobs ON jobs.id = line.job WHERE line.job IS NOT NULL ORDER BY depth
"""


WORDED_BY_OTHERS = """
    SELECT credits.job, (SELECT asker_name FROM jobs WHERE asker_id = credits.person
                         ORDER BY asked_at DESC LIMIT 1) AS name
    FROM credits JOIN jobs AS worded ON worded.id = credits.job
    WHERE credits.job IN (SELECT value FROM json_each(:jobs)) AND credits.part = 'worded'
      AND credits.person NOT IN (0, worded.asker_id)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ancestor:
    """A job on the line of descent. Nothing but its id is known of a job that was deleted."""

    job_id: str
    action: str = ""
    person_id: int | None = None
    name: str = ""
    guild_id: int | None = None
    private: bool = False


class LineageStore:
    """Read lineage and credits."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def parents(self, job_ids: Iterable[str]) -> list[Edge]:
        """Return the images that jobs were made from; of each job, the one whose button was pressed comes first."""
        rows = await self._connection.fetch_all(PARENTS, {"jobs": json.dumps(sorted(set(job_ids)))})
        return [Edge(**dict(row)) for row in rows]

    async def children(self, job_id: str, limit: int) -> list[Edge]:
        """Return what was made from a job's images, the newest first."""
        rows = await self._connection.fetch_all(CHILDREN, {"job": job_id, "most": limit})
        return [Edge(**{name: row[name] for name in ("child", "parent_job", "parent_index", "kind")}) for row in rows]

    async def line(self, job_id: str, limit: int = MAX_GENERATIONS) -> list[Ancestor]:
        """Return a job and its line of descent, the job itself first."""
        rows = await self._connection.fetch_all(LINE, {"job": job_id, "most": limit})
        return [
            Ancestor(job_id=row["job"])
            if row["asker_id"] is None or row["deleted_at"] is not None
            else Ancestor(
                job_id=row["job"],
                action=row["action"],
                person_id=row["asker_id"],
                name=row["asker_name"],
                guild_id=row["guild_id"],
                private=bool(row["private"]),
            )
            for row in rows
        ]

    async def worded_by_others(self, job_ids: Iterable[str]) -> dict[str, str]:
        """Return who worded each job, if that was not its requester: the name of their newest job, or nothing."""
        rows = await self._connection.fetch_all(WORDED_BY_OTHERS, {"jobs": json.dumps(sorted(set(job_ids)))})
        return {row["job"]: row["name"] or "" for row in rows}

    async def credits(self, job_id: str) -> list[Credit]:
        """Return who had a part in a job."""
        rows = await self._connection.fetch_all(
            "SELECT person, part, weight FROM credits WHERE job = :job ORDER BY part DESC, rowid", {"job": job_id}
        )
        return [Credit(person_id=row["person"], part=row["part"], weight=row["weight"]) for row in rows]


def replace_credits(job_id: str, given: Sequence[Credit]) -> list[Statement]:
    """Return the statements that give a job these credits instead of those that the trigger wrote."""
    insert = "INSERT INTO credits (job, person, part, weight) VALUES (:job, :person, :part, :weight)"
    return [
        ("DELETE FROM credits WHERE job = :job", {"job": job_id}),
        *(
            (insert, {"job": job_id, "person": each.person_id, "part": each.part, "weight": each.weight})
            for each in given
        ),
    ]
