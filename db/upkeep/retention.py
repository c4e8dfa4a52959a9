"""Delete expired jobs and orphaned files once a day, in batches small enough not to delay other work."""

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
from db.finding.prompt_index import purge_deleted_terms
from db.image_files import IMAGE_KINDS, PARTIAL_SUFFIX, THUMBNAILS, TRAILS, FolderName, ImageStore, cell_stem
from db.jobs import forget_prompts
from generation.params import Tile

DAY_S = 24 * 3600.0
STARTUP_DELAY_S = 60.0  # before the first sweep, so that it does not compete with the rest of the startup
BATCH_INTERVAL_S = 0.05  # pause between two batches
BATCH_SIZE = 100  # rows per batch
FILE_GRACE_S = DAY_S  # a younger file is kept even if no job refers to it: its job may not be stored yet

log = logging.getLogger(__name__)

GuildDays = Callable[[], Awaitable[Mapping[int, int]]]

_JOB_ID = re.compile(r"[0-9a-f]{12}(?=[-.])")

# A job expires only after it has ended and its status message (notice_id) is gone. It is kept while one of its images
# is a favourite, the source of an unfinished job, or a part of a session that goes on.
_EXPIRE = """
    UPDATE jobs SET deleted_at = :now
    WHERE id = :id AND state IN ('answered', 'failed', 'cancelled') AND notice_id IS NULL
      AND NOT EXISTS (SELECT 1 FROM favourites WHERE job_id = :id)
      AND NOT EXISTS (
          SELECT 1 FROM jobs AS unfinished
          WHERE unfinished.state IN ('waiting', 'drawing', 'drawn') AND instr(unfinished.params, 'tile:' || :id))
      AND NOT EXISTS (
          SELECT 1 FROM contest_entries JOIN collab_sessions AS contest ON contest.id = contest_entries.session
          WHERE contest_entries.job_id = :id AND contest.ended_at IS NULL)
      AND NOT EXISTS (
          SELECT 1 FROM collab_rounds JOIN collab_sessions AS played ON played.id = collab_rounds.session
          WHERE collab_rounds.job_id = :id AND played.ended_at IS NULL)
"""


@dataclass(slots=True)
class SweepResult:
    """The number of jobs and files deleted in one sweep."""

    jobs: int = 0
    files: int = 0


class Retention:
    """Delete expired jobs and orphaned files.

    Jobs are kept for `days` after their end, or for the number of days in `guild_days` for their guild if that is
    smaller: a guild cannot exceed the bot operator's limit. 0 means unlimited.
    """

    def __init__(
        self,
        connection: Connection,
        images: ImageStore,
        days: int,
        guild_days: GuildDays,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._connection, self._images = connection, images
        self._days, self._guild_days = days, guild_days
        self._clock = clock

    async def run_daily(self) -> None:
        """Sweep soon after startup and then daily, until cancelled; errors are logged and retried the next day."""
        await asyncio.sleep(STARTUP_DELAY_S)
        while True:
            try:
                await self.sweep()
            except Exception:
                log.exception("the daily clean-up failed")
            await asyncio.sleep(DAY_S)

    async def sweep(self) -> SweepResult:
        """Delete the expired jobs, then the files that no job needs."""
        result = SweepResult()
        await self._expire_jobs(result)
        await self._expire_sessions()
        await self._delete_old_tallies()
        for kind in (*IMAGE_KINDS, THUMBNAILS, TRAILS):
            await self._delete_partials(kind, result)
        for kind in ("tiles", "sheets", THUMBNAILS, TRAILS):
            await self._delete_orphaned_images(kind, result)
        await self._delete_orphaned_uploads(result)
        await self._delete_orphaned_cells(result)
        await self._delete_unused_styles()
        if result.jobs:
            await purge_deleted_terms(self._connection)
            forget_prompts()
        log.info("deleted %d expired jobs and %d files", result.jobs, result.files)
        return result

    async def _expire_jobs(self, result: SweepResult) -> None:
        guild_days = await self._guild_days()
        if not self._days and not any(guild_days.values()):
            return
        after, now = 0, self._clock()
        while rows := await self._connection.fetch_all(
            """SELECT rowid, id, guild_id, coalesce(ended_at, asked_at) AS ended_at FROM jobs
               WHERE rowid > :after ORDER BY rowid LIMIT :limit""",
            {"after": after, "limit": BATCH_SIZE},
        ):
            after = rows[-1]["rowid"]
            expired = [
                row["id"]
                for row in rows
                if (days := effective_days(self._days, guild_days.get(row["guild_id"], 0)))
                and row["ended_at"] < now - days * DAY_S
            ]
            await self._expire_batch(expired, result)
            await asyncio.sleep(BATCH_INTERVAL_S)

    async def _expire_batch(self, job_ids: list[str], result: SweepResult) -> None:
        # The rows are deleted last: if this is interrupted, the next sweep finds them again.
        write = self._connection.write
        outcomes = await asyncio.gather(*(write(_EXPIRE, {"id": job_id, "now": self._clock()}) for job_id in job_ids))
        expired = [job_id for job_id, done in zip(job_ids, outcomes, strict=True) if done]
        for job_id in expired:
            result.files += await self._images.delete(job_id)
        await asyncio.gather(*(write("DELETE FROM jobs WHERE id = :id", {"id": job_id}) for job_id in expired))
        result.jobs += len(expired)

    async def _expire_sessions(self) -> None:
        """Delete sessions that ended as long ago as expired jobs, with their votes and words."""
        guild_days, now = await self._guild_days(), self._clock()
        if not self._days and not any(guild_days.values()):
            return
        after = 0.0
        while rows := await self._connection.fetch_all(
            """SELECT id, guild_id, ended_at FROM collab_sessions
               WHERE ended_at > :after ORDER BY ended_at LIMIT :limit""",
            {"after": after, "limit": BATCH_SIZE},
        ):
            after = rows[-1]["ended_at"]
            for row in rows:
                days = effective_days(self._days, guild_days.get(row["guild_id"], 0))
                if days and row["ended_at"] < now - days * DAY_S:
                    await self._connection.write("DELETE FROM collab_sessions WHERE id = :id", {"id": row["id"]})
            await asyncio.sleep(BATCH_INTERVAL_S)

    async def _delete_old_tallies(self) -> None:
        """Delete the usage of erased jobs that is older than any limit's period of one day."""
        await self._connection.write("DELETE FROM tallies WHERE asked_at < :before", {"before": self._clock() - DAY_S})

    async def _delete_partials(self, kind: FolderName, result: SweepResult) -> None:
        """Delete the partial files of a process that was killed while writing."""
        for folder in self._images.folders(kind):
            partials = [path for path in await _list_files(folder) if path.name.endswith(PARTIAL_SUFFIX)]
            await self._delete_files(partials, result)

    async def _delete_orphaned_images(self, kind: FolderName, result: SweepResult) -> None:
        """Delete the images of failed, cancelled and deleted jobs."""
        for folder in self._images.folders(kind):
            files = await _list_files(folder)
            discarded = await self._discarded_jobs({match[0] for path in files if (match := _JOB_ID.match(path.name))})
            await self._delete_files((path for path in files if path.name[:12] in discarded), result)

    async def _discarded_jobs(self, job_ids: Iterable[str]) -> set[str]:
        rows = await self._connection.fetch_all(
            """SELECT id FROM jobs WHERE id IN (SELECT value FROM json_each(:ids))
               AND (state IN ('failed', 'cancelled') OR deleted_at IS NOT NULL)""",
            {"ids": json.dumps(sorted(job_ids))},
        )
        return {row["id"] for row in rows}

    async def _delete_orphaned_uploads(self, result: SweepResult) -> None:
        """Delete the uploads that no job uses any more."""
        for folder in self._images.folders("uploads"):
            files = await _list_files(folder)
            referenced = await self._referenced_uploads({path.stem for path in files})
            await self._delete_files((path for path in files if path.stem not in referenced), result)

    async def _delete_unused_styles(self) -> None:
        """Delete the codes of uploads that no job uses any more."""
        await self._connection.write(
            """DELETE FROM styles WHERE image GLOB 'upload:*' AND at < :before
               AND NOT EXISTS (SELECT 1 FROM uploads WHERE digest = substr(image, 8))""",
            {"before": self._clock() - FILE_GRACE_S},
        )

    async def _referenced_uploads(self, digests: Iterable[str]) -> set[str]:
        rows = await self._connection.fetch_all(
            """SELECT digest FROM uploads JOIN jobs ON jobs.id = uploads.job_id
               WHERE digest IN (SELECT value FROM json_each(:digests)) AND deleted_at IS NULL""",
            {"digests": json.dumps(sorted(digests))},
        )
        return {row["digest"] for row in rows}

    async def _delete_orphaned_cells(self, result: SweepResult) -> None:
        """Delete the cells of deleted canvases, and those that were cut but not placed."""
        for folder in self._images.folders("cells"):
            files = await _list_files(folder)
            placed = await self._placed_cells({path.name[:12] for path in files})
            await self._delete_files((path for path in files if path.stem not in placed), result)

    async def _placed_cells(self, session_ids: Iterable[str]) -> set[str]:
        rows = await self._connection.fetch_all(
            """SELECT canvas_cells.session, canvas_cells.x, canvas_cells.y, job_id, tile_index
               FROM canvas_cells JOIN canvas_pieces ON canvas_pieces.number = canvas_cells.piece
               WHERE canvas_cells.session IN (SELECT value FROM json_each(:ids))""",
            {"ids": json.dumps(sorted(session_ids))},
        )
        return {cell_stem(row["session"], Tile(row["job_id"], row["tile_index"]), row["x"], row["y"]) for row in rows}

    async def _delete_files(self, paths: Iterable[Path], result: SweepResult) -> None:
        result.files += await self._images.delete_older(paths, self._clock() - FILE_GRACE_S)
        await asyncio.sleep(BATCH_INTERVAL_S)


async def _list_files(folder: Path) -> list[Path]:
    return await asyncio.to_thread(lambda: list(folder.iterdir()))


def effective_days(days: int, guild_days: int) -> int:
    """Return the smaller of two numbers of days, where 0 means unlimited."""
    return min(filter(None, (days, guild_days)), default=0)


async def retention_days_by_guild(connection: Connection) -> dict[int, int]:
    """Return the retention days of the guilds that have set them."""
    rows = await connection.fetch_all(
        """SELECT id, json_extract(settings, '$.retention_days') AS days FROM guilds
           WHERE json_type(settings, '$.retention_days') = 'integer'"""
    )
    return {row["id"]: row["days"] for row in rows}
