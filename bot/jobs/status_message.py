"""Keep a job's status message up to date, within Discord's rate limits."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import discord

from bot.discord_calls import TRANSPORT_ERRORS, is_outage
from bot.jobs.delivery import Delivery
from generation.job import Job

log = logging.getLogger(__name__)

EDIT_INTERVAL_S = 2.5  # seconds between two edits of one status message
FLUSH_TIMEOUT_S = 5.0  # seconds to wait for an unfinished edit


@dataclass(frozen=True, slots=True)
class StatusContent:
    """The text and image of a status message; `preview` is a JPEG, and `description` its alternative text."""

    content: str
    preview: bytes | None = None
    description: str = ""


class StatusMessage:
    """Edit a job's status message until the context ends.

    Each edit calls `render`, so it shows the newest state and nothing is queued. The edits stop if the message cannot
    be edited (deleted, no permission); the result does not depend on it. They also stop once the task that opened the
    context is being cancelled, because the code that cancelled it writes the last text.
    """

    def __init__(
        self, delivery: Delivery, job: Job, message_id: int | None, render: Callable[[], StatusContent]
    ) -> None:
        self._delivery = delivery
        self._job = job
        self._message_id = message_id
        self._render = render
        self._last_content: StatusContent | None = None
        self._edit_lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        owner = asyncio.current_task()
        if self._message_id is not None and owner is not None:
            name = f"status message of {self._job.id}"
            self._task = asyncio.create_task(self._edit_loop(self._message_id, owner), name=name)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is None:
            return
        try:
            await self._flush()
        finally:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _edit_loop(self, message_id: int, owner: asyncio.Task[Any]) -> None:
        while True:
            await asyncio.sleep(EDIT_INTERVAL_S)
            if owner.cancelling():
                return
            try:
                async with self._edit_lock:
                    await self._edit(message_id, self._render())
            except TRANSPORT_ERRORS as error:
                log.info("job %s: could not edit its status message: %s", self._job.id, error)
                if not is_outage(error):
                    return

    async def _flush(self) -> None:
        # The message may become the result or show the end of the job: an edit that arrives later would overwrite that.
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_TIMEOUT_S), self._edit_lock:
                pass

    async def _edit(self, message_id: int, status: StatusContent) -> None:
        if status == self._last_content:
            return
        changes: dict[str, Any] = {"content": status.content}
        if status.preview is not None and (
            self._last_content is None or status.preview is not self._last_content.preview
        ):
            image = io.BytesIO(status.preview)
            file = discord.File(image, f"{self._job.id}.jpg", description=status.description)
            changes["attachments"] = [file]
        await self._delivery.edit_status_message(self._job, message_id, **changes)
        self._last_content = status
