"""Add posted results to the index of pictures, and in the background those from before an upgrade."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import discord

from bot.discord_calls import TRANSPORT_ERRORS
from bot.finding.finder import PictureFinder
from bot.finding.views import shown_picture
from bot.services import Services
from db.connection import Statement
from db.finding.picture_index import (
    FINGERPRINTS_BELOW,
    WORDS_BELOW,
    Fingerprints,
    ShownPicture,
    Words,
    shown_statements,
)
from db.jobs import JobRecord, JobState
from generation.errors import UserError
from generation.files.fingerprint import outlines
from generation.params import Tile
from generation.prompt import format_prompt

log = logging.getLogger(__name__)

OLDER_DELAY_S = 30.0  # before older results are added, so that they do not compete with the rest of the startup
WORDS_BATCH = 200  # older jobs whose words are added at a time
BATCH_PAUSE_S = 0.05
BUSY_SHARE = 0.1  # of the time that older pictures may take while jobs are running
RETRY_S = 60.0
UPDATE_S = 60.0
BATCH = 50  # posted jobs that are read at a time
GATHER_S = 0.5  # after a result, for others to come: the statements around each batch cost more than a job of it


class PictureIndexer:
    """Keep the index complete, in one task of its own, off the event loop where pictures are read."""

    def __init__(self, client: discord.Client, services: Services, finder: PictureFinder) -> None:
        self._client, self._services, self._finder = client, services, finder
        self._posted = asyncio.Event()
        self._fetched: dict[int, object] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start once the servers and their channels are known; a second call changes nothing."""
        if not self._tasks:
            self._services.db.jobs.subscribe(self._on_state)
            self._tasks = [
                asyncio.create_task(self._forever(self._index_posted), name="picture index"),
                asyncio.create_task(self._forever(self._index_older), name="older pictures"),
            ]

    async def stop(self) -> None:
        """Stop; what is not in the index yet is added after the next start. A second call changes nothing."""
        tasks, self._tasks = self._tasks, []
        if tasks:
            self._services.db.jobs.unsubscribe(self._on_state)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def index_pending(self) -> int:
        """Add some of the results that were posted; return how many."""
        db = self._services.db
        job_ids = await db.picture_index.pending(BATCH)
        for record in (await db.jobs.get_many(job_ids)).values():
            shown = await self._shown(record)
            found = await self._fingerprints(record, shown)
            await db.picture_index.add(record.job.id, self._shown_statements([(record, shown)]), found)
        await self._finder.update()
        return len(job_ids)

    def _on_state(self, _: str, state: JobState) -> None:
        if state is JobState.POSTED:
            self._posted.set()

    async def _forever(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
                return
            except TRANSPORT_ERRORS as error:
                log.warning("pictures are indexed later: %s", error)
            except Exception:
                log.exception("pictures could not be indexed, which is tried again")
            await asyncio.sleep(RETRY_S)

    async def _index_posted(self) -> None:
        while True:
            self._posted.clear()
            while await self.index_pending() == BATCH:
                pass
            # What was deleted meanwhile leaves the file of outlines. In 3.11 `wait_for` may swallow a cancellation.
            with suppress(TimeoutError):
                async with asyncio.timeout(UPDATE_S):
                    await self._posted.wait()
                    await asyncio.sleep(GATHER_S)

    async def _index_older(self) -> None:
        await asyncio.sleep(OLDER_DELAY_S)
        await self.index_older()

    async def index_older(self) -> None:
        """Add the results from before the upgrade: their words first, then their fingerprints."""
        while below := await self._services.db.picture_index.below(WORDS_BELOW):
            await self._index_older_words(below)
            await asyncio.sleep(BATCH_PAUSE_S)
        while below := await self._services.db.picture_index.below(FINGERPRINTS_BELOW):
            started = time.monotonic()
            await self._index_older_fingerprints(below)
            share = BUSY_SHARE if self._services.queue.running else 0.5
            await asyncio.sleep((time.monotonic() - started) * (1 / share - 1))

    async def _index_older_words(self, below: int) -> None:
        db = self._services.db
        rows = await db.picture_index.older_jobs(below, WORDS_BATCH)
        found = await db.jobs.get_many(job_id for _, job_id in rows)
        records = [found[job_id] for _, job_id in rows if job_id in found]
        shown = [(record, await self._shown(record)) for record in records]
        statements = self._shown_statements(shown, older=True)
        await db.picture_index.add_older(statements, WORDS_BELOW, rows[-1][0] if rows else 0)

    async def _index_older_fingerprints(self, below: int) -> None:
        index = self._services.db.picture_index
        rows = await index.older_jobs(below, 1)
        record = await self._services.db.jobs.get(rows[0][1]) if rows else None
        shown = await index.find_shown(rows[0][1]) if rows else None
        found = await self._fingerprints(record, shown) if record is not None else None
        await index.add_older_fingerprints(found, rows[0][0] if rows else 0)

    async def _shown(self, record: JobRecord) -> ShownPicture | None:
        """Return where a result is shown; an odd one is left out, so that it does not keep out all others."""
        try:
            return await shown_picture(self._client, record, self._fetched)
        except TRANSPORT_ERRORS:
            raise  # and tried again
        except Exception:
            log.exception("job %s: it is left out of the index of pictures", record.job.id)
            return None

    def _shown_statements(
        self, found: list[tuple[JobRecord, ShownPicture | None]], *, older: bool = False
    ) -> list[Statement]:
        registry = self._services.registry
        statements: list[Statement] = []
        for record, picture in found:
            if picture is not None:
                job = record.job
                words = Words(
                    author=job.requester.name,
                    model=registry.model_name(job.params),
                    prompt=format_prompt(job.params, None),
                )
                statements += shown_statements(picture, words, job.asked_at, older=older)
        return statements

    async def _fingerprints(self, record: JobRecord, shown: ShownPicture | None) -> Fingerprints | None:
        """Return the fingerprints of a posted result's tiles, or None if it has no tiles of its own any more."""
        job = record.job
        if record.state is not JobState.POSTED or record.deleted or job.is_taken_out:
            return None
        try:
            tiles = [Tile(job.id, index) for index in range(job.params.count)]
            vectors = await self._services.images.thumbnails.fingerprints(tiles)
        except (FileNotFoundError, UserError):
            return None
        except Exception:
            log.exception("job %s: its pictures have no fingerprints", job.id)
            return None
        return Fingerprints(
            job_id=job.id,
            guild_id=shown.guild_id if shown else None,
            channel_id=shown.channel_id if shown else 0,
            person_id=job.requester.id,
            outlines=outlines(vectors),
            vectors=vectors,
        )
