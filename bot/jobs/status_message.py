"""The message that says where a job stands: only the newest news, and no more often than is polite."""

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

EDIT_INTERVAL_S = 2.5  # seconds between two edits of one notice
FLUSH_TIMEOUT_S = 5.0  # seconds to wait for an edit that is on its way


@dataclass(frozen=True, slots=True)
class StatusContent:
    """What the notice shows at a moment; `preview` is a JPEG."""

    content: str
    preview: bytes | None = None


class StatusMessage:
    """Keep a job's notice up to date for as long as the context is open.

    `describe` is asked at each edit, so news that came meanwhile is never queued. A notice that cannot be edited
    (deleted by somebody, no permission) is left alone; the result does not depend on it. Once the task that opened the
    context is being cancelled, nothing is shown any more: whoever cancelled it has the last word.
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
            self._task = asyncio.create_task(self._edit_loop(self._message_id, owner), name=f"notice of {self._job.id}")
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
                log.info("job %s: its notice could not be edited: %s", self._job.id, error)
                if not is_outage(error):
                    return

    async def _flush(self) -> None:
        # The notice may itself become the result, or say why there is none: an edit that arrives later would undo it.
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
            changes["attachments"] = [discord.File(io.BytesIO(status.preview), f"{self._job.id}.jpg")]
        await self._delivery.edit_status_message(self._job, message_id, **changes)
        self._last_content = status
