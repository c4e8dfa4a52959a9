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

from bot.delivery import TROUBLE, Delivery, is_outage
from generation.job import Job

log = logging.getLogger(__name__)

PAUSE = 2.5  # seconds between two edits of one notice
PATIENCE = 5.0  # seconds to wait for an edit that is on its way


@dataclass(frozen=True, slots=True)
class Frame:
    """What the notice shows at a moment; `preview` is a JPEG."""

    content: str
    preview: bytes | None = None


class Notice:
    """Keep a job's notice up to date for as long as the context is open.

    `describe` is asked at each edit, so news that came meanwhile is never queued. A notice that cannot be edited
    (deleted by somebody, no permission) is left alone; the result does not depend on it. Once the task that opened the
    context is being cancelled, nothing is shown any more: whoever cancelled it has the last word.
    """

    def __init__(self, delivery: Delivery, job: Job, notice_id: int | None, describe: Callable[[], Frame]) -> None:
        self._delivery = delivery
        self._job = job
        self._notice_id = notice_id
        self._describe = describe
        self._shown: Frame | None = None
        self._editing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        owner = asyncio.current_task()
        if self._notice_id is not None and owner is not None:
            self._task = asyncio.create_task(self._keep_up(self._notice_id, owner), name=f"notice of {self._job.id}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is None:
            return
        try:
            await self._let_the_last_edit_land()
        finally:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _keep_up(self, notice_id: int, owner: asyncio.Task[Any]) -> None:
        while True:
            await asyncio.sleep(PAUSE)
            if owner.cancelling():
                return
            try:
                async with self._editing:
                    await self._show(notice_id, self._describe())
            except TROUBLE as error:
                log.info("job %s: its notice could not be edited: %s", self._job.id, error)
                if not is_outage(error):
                    return

    async def _let_the_last_edit_land(self) -> None:
        # The notice may itself become the result, or say why there is none: an edit that arrives later would undo it.
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE), self._editing:
                pass

    async def _show(self, notice_id: int, frame: Frame) -> None:
        if frame == self._shown:
            return
        changes: dict[str, Any] = {"content": frame.content}
        if frame.preview is not None and (self._shown is None or frame.preview is not self._shown.preview):
            changes["attachments"] = [discord.File(io.BytesIO(frame.preview), f"{self._job.id}.jpg")]
        await self._delivery.edit_notice(self._job, notice_id, **changes)
        self._shown = frame
