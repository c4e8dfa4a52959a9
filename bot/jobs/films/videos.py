"""Films of how a picture appears (`--video`): made after the picture is posted, and added to its message."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from typing import Any

import discord

from bot.discord_calls import NO_MENTIONS, TRANSPORT_ERRORS, retry_until_available
from bot.images.films import FilmNotMade
from bot.jobs.delivery import Delivery
from bot.jobs.retries import retry_after_crash
from bot.jobs.tasks import TaskRegistry
from bot.policy.visibility import allows_nsfw, is_nsfw_withheld
from bot.services import Services
from bot.ui.i18n import ENGLISH, set_locale, tr
from bot.ui.job_text import MAX_DESCRIPTION_LENGTH, image_description
from bot.ui.text import truncate
from db.jobs import JobRecord, JobState
from db.storage import retry_until_stored
from generation.errors import JobCancelled, OutOfMemoryError, UserError, WorkerCrashed
from generation.films.mp4 import find_ffmpeg
from generation.films.order import AppearanceOrder, FilmOrder
from generation.job import Job
from generation.messages import Generate, Grid, Ready
from generation.worker.worker import Worker, ignore_progress

log = logging.getLogger(__name__)

FileMaker = Callable[[], discord.File]  # discord.py can send a file only once

_FAILURES = (UserError, FilmNotMade, WorkerCrashed, OutOfMemoryError, JobCancelled, *TRANSPORT_ERRORS)


class Videos:
    """Makes a film of each posted job whose trail is stored, and deletes the trail; a restart goes on with the rest."""

    def __init__(self, client: discord.Client, services: Services, tasks: TaskRegistry, delivery: Delivery) -> None:
        self._client, self._services, self._tasks, self._delivery = client, services, tasks, delivery

    async def note(self, job: Job) -> str:
        """Return the line of a result whose film follows, else nothing."""
        has_trail = job.params.video and await self._services.images.files.has_trail(job.id)
        return _follows() if has_trail else ""

    def start(self, job: Job) -> None:
        """Make the film of a posted job in the background, if there is one to make."""
        if job.params.video:
            self._tasks.spawn(f"video {job.id}", self._add_film(job.id))

    async def resume(self) -> None:
        """Make the films that a stop of the bot has interrupted."""
        for job_id in await self._services.images.files.trails():
            record = await self._services.db.jobs.get(job_id)
            if record is not None and record.state is JobState.POSTED:
                settings = await self._services.policy.settings(record.job.destination.guild_id)
                set_locale(settings.language or record.job.locale or ENGLISH)
                self.start(record.job)

    async def _add_film(self, job_id: str) -> None:
        files = self._services.images.files
        record, trail = await self._services.db.jobs.get(job_id), await files.read_trail(job_id)
        if record is None or trail is None:
            return
        film = None if record.deleted else await self._film(record, trail)
        record = await self._services.db.jobs.get(job_id)
        if record is not None and not record.deleted:
            await self._edit_result(record, film)
        await files.delete_trail(job_id)

    async def _film(self, record: JobRecord, trail: bytes) -> FileMaker | None:
        """Return the film of a job, or None with a line in the log."""
        try:
            steps = await self._develop(record.job, trail)
            await retry_until_stored(lambda: self._services.db.jobs.add_seconds(record.job.id, steps.seconds))
            return None if await self._is_withheld(record, steps) else await self._file(record, steps)
        except _FAILURES as error:
            log.warning("job %s gets no film: %s", record.job.id, error)
            return None

    async def _develop(self, job: Job, trail: bytes) -> Grid:
        request = Generate(job.id, job.params, 0, job.destination.upload_limit, trail=trail)
        return await retry_after_crash(job.id, lambda: self._worker(job).generate(request, ignore_progress))

    def _worker(self, job: Job) -> Worker:
        """Return the worker that can begin first, among those that are in use and have what the job needs."""

        def readiness(worker: Worker) -> tuple[bool, bool, bool]:
            is_loaded = worker.registry.model_name(job.params) in worker.loaded_models
            return not worker.draining and worker.can_draw(job.params), isinstance(worker.state, Ready), is_loaded

        return max(self._services.fleet.workers, key=readiness)

    async def _is_withheld(self, record: JobRecord, steps: Grid) -> bool:
        to = record.job.destination
        return steps.sensitive and await is_nsfw_withheld(
            self._services.policy, self._client, to.guild_id, to.result_channel_id
        )

    async def _file(self, record: JobRecord, steps: Grid) -> FileMaker:
        job, to = record.job, record.job.destination
        sheet = await self._services.images.files.read_grid(job.id, record.suffix or "")
        ffmpeg = find_ffmpeg() if self._services.config.film_format == "mp4" else None
        order = FilmOrder((*steps.tiles, sheet), to.upload_limit, AppearanceOrder(), ffmpeg)
        film = await self._services.images.films.make(order, job.params)
        picture = image_description(job, self._services.registry)
        description = tr("Film of how this picture appeared: {picture}", picture=picture)
        is_sensitive = record.sensitive or steps.sensitive
        return lambda: discord.File(
            io.BytesIO(film),
            f"{_stem(job.id)}{'webp' if ffmpeg is None else 'mp4'}",
            spoiler=is_sensitive and not allows_nsfw(self._client, to.result_channel_id),
            description=truncate(description, MAX_DESCRIPTION_LENGTH),
        )

    async def _edit_result(self, record: JobRecord, film: FileMaker | None) -> None:
        """Add a film to its job's result, unless it is there already, and remove the line that it follows."""
        assert record.result_message_id is not None, "it is posted"
        try:
            message = await self._delivery.fetch_result(record.job, record.result_message_id)
            await retry_until_available(lambda: message.edit(**_changes(record.job, message, film)))
        except TRANSPORT_ERRORS as error:
            log.warning("job %s: its film could not be posted: %s", record.job.id, error)


def _changes(job: Job, message: discord.Message, film: FileMaker | None) -> dict[str, Any]:
    changes: dict[str, Any] = {"content": message.content.replace(_follows(), ""), "allowed_mentions": NO_MENTIONS}
    has_film = any(_stem(job.id) in attachment.filename for attachment in message.attachments)
    if film is None or has_film:
        return changes
    return changes | {"attachments": [*message.attachments, film()]}


def _follows() -> str:
    return f"\n-# {tr('A film of how it appeared follows.')}"


def _stem(job_id: str) -> str:
    return f"film_{job_id}."
