"""Forget what is old, and clear away what was left behind: daily, in bites so small that nobody notices."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from db.connection import Connection
from db.job_words import wipe_deleted
from db.pictures import KINDS, PARTIAL, Kind, Pictures

DAY = 24 * 3600.0
FIRST_AFTER = 60.0  # seconds after the start, when everything else that begins there has begun
PAUSE = 0.05  # seconds between two bites
BITE = 100  # rows that are looked at, and let go, together
# Seconds for which a file is left alone that nothing seems to need: it may be on its way into the store.
SETTLING = DAY

log = logging.getLogger(__name__)

GuildDays = Callable[[], Awaitable[Mapping[int, int]]]

_JOB_ID = re.compile(r"[0-9a-f]{12}(?=[-.])")

# A job is let go once it has ended and its notice is dealt with, unless somebody marked one of its pictures, or one is
# what an unfinished job starts from.
_LET_GO = """
    UPDATE jobs SET deleted_at = :now
    WHERE id = :id AND state IN ('answered', 'failed', 'cancelled') AND notice_id IS NULL
      AND NOT EXISTS (SELECT 1 FROM favourites WHERE job_id = :id)
      AND NOT EXISTS (
          SELECT 1 FROM jobs AS unfinished
          WHERE unfinished.state IN ('waiting', 'drawing', 'drawn') AND instr(unfinished.params, 'tile:' || :id))
"""


@dataclass(slots=True)
class Sweep:
    """What went in one sweep: jobs with all that was known of them, and files."""

    jobs: int = 0
    files: int = 0


class Retention:
    """Sweep the store and the pictures.

    Jobs are kept for `days` after their end, or for as many as `guild_days` gives for their guild if those are fewer:
    whoever runs the bot has the last word on the disk. 0 is for ever.
    """

    def __init__(
        self,
        connection: Connection,
        pictures: Pictures,
        days: int,
        guild_days: GuildDays,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._connection, self._pictures = connection, pictures
        self._days, self._guild_days = days, guild_days
        self._clock = clock

    async def keep_sweeping(self) -> None:
        """Sweep soon and then daily, until cancelled; what goes wrong is in the log, and tried again the next day."""
        await asyncio.sleep(FIRST_AFTER)
        while True:
            try:
                await self.sweep()
            except Exception:
                log.exception("what is old could not be cleared away")
            await asyncio.sleep(DAY)

    async def sweep(self) -> Sweep:
        """Forget the jobs whose time is over, then delete the files that nothing needs."""
        swept = Sweep()
        await self._forget_jobs(swept)
        await self._forget_tallies()
        for kind in KINDS:
            await self._delete_partials(kind, swept)
        for kind in ("tiles", "sheets"):
            await self._delete_unwanted(kind, swept)
        await self._delete_uploads(swept)
        if swept.jobs:
            await wipe_deleted(self._connection)
        log.info("forgot %d jobs, and deleted %d files", swept.jobs, swept.files)
        return swept

    async def _forget_jobs(self, swept: Sweep) -> None:
        of_guild = await self._guild_days()
        if not self._days and not any(of_guild.values()):
            return
        after, now = 0, self._clock()
        while rows := await self._connection.rows(
            """SELECT rowid, id, guild_id, coalesce(ended_at, asked_at) AS ended_at FROM jobs
               WHERE rowid > :after ORDER BY rowid LIMIT :bite""",
            {"after": after, "bite": BITE},
        ):
            after = rows[-1]["rowid"]
            old = [
                row["id"]
                for row in rows
                if (days := shorter(self._days, of_guild.get(row["guild_id"], 0)))
                and row["ended_at"] < now - days * DAY
            ]
            await self._forget(old, swept)
            await asyncio.sleep(PAUSE)

    async def _forget(self, job_ids: list[str], swept: Sweep) -> None:
        # The rows go last: should this be interrupted, the next sweep finds them again.
        write = self._connection.write
        let_go = await asyncio.gather(*(write(_LET_GO, {"id": job_id, "now": self._clock()}) for job_id in job_ids))
        gone = [job_id for job_id, done in zip(job_ids, let_go, strict=True) if done]
        for job_id in gone:
            swept.files += await self._pictures.remove(job_id)
        await asyncio.gather(*(write("DELETE FROM jobs WHERE id = :id", {"id": job_id}) for job_id in gone))
        swept.jobs += len(gone)

    async def _forget_tallies(self) -> None:
        """Forget what erased jobs count for, once no limit looks back so far."""
        await self._connection.write("DELETE FROM tallies WHERE asked_at < :before", {"before": self._clock() - DAY})

    async def _delete_partials(self, kind: Kind, swept: Sweep) -> None:
        """Delete what a killed process was in the middle of writing."""
        for folder in self._pictures.folders(kind):
            partials = [path for path in await _files(folder) if path.name.endswith(PARTIAL)]
            await self._remove(partials, swept)

    async def _delete_unwanted(self, kind: Kind, swept: Sweep) -> None:
        """Delete the pictures of jobs that came to nothing, or that somebody deleted."""
        for folder in self._pictures.folders(kind):
            files = await _files(folder)
            unwanted = await self._unwanted({match[0] for path in files if (match := _JOB_ID.match(path.name))})
            await self._remove((path for path in files if path.name[:12] in unwanted), swept)

    async def _unwanted(self, job_ids: Iterable[str]) -> set[str]:
        rows = await self._connection.rows(
            """SELECT id FROM jobs WHERE id IN (SELECT value FROM json_each(:ids))
               AND (state IN ('failed', 'cancelled') OR deleted_at IS NOT NULL)""",
            {"ids": json.dumps(sorted(job_ids))},
        )
        return {row["id"] for row in rows}

    async def _delete_uploads(self, swept: Sweep) -> None:
        """Delete the pictures that people brought and that no job starts from any more."""
        for folder in self._pictures.folders("uploads"):
            files = await _files(folder)
            wanted = await self._wanted_uploads({path.stem for path in files})
            await self._remove((path for path in files if path.stem not in wanted), swept)

    async def _wanted_uploads(self, digests: Iterable[str]) -> set[str]:
        rows = await self._connection.rows(
            """SELECT digest FROM uploads JOIN jobs ON jobs.id = uploads.job_id
               WHERE digest IN (SELECT value FROM json_each(:digests)) AND deleted_at IS NULL""",
            {"digests": json.dumps(sorted(digests))},
        )
        return {row["digest"] for row in rows}

    async def _remove(self, paths: Iterable[Path], swept: Sweep) -> None:
        swept.files += await self._pictures.remove_old(paths, self._clock() - SETTLING)
        await asyncio.sleep(PAUSE)


async def _files(folder: Path) -> list[Path]:
    return await asyncio.to_thread(lambda: list(folder.iterdir()))


def shorter(days: int, of_guild: int) -> int:
    """Give the number of days that holds of two, of which 0 is for ever."""
    return min(filter(None, (days, of_guild)), default=0)


async def days_by_guild(connection: Connection) -> dict[int, int]:
    """Give the number of days of the guilds whose owners have chosen one."""
    rows = await connection.rows(
        """SELECT id, json_extract(settings, '$.retention_days') AS days FROM guilds
           WHERE json_type(settings, '$.retention_days') = 'integer'"""
    )
    return {row["id"]: row["days"] for row in rows}
