"""What happens in the stand-in, told to whoever waits for it."""
# ruff: noqa: ASYNC109 (a wait in a test names its own limit)

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from preview.interactions import Interaction
    from preview.world import Message

T = TypeVar("T")


@dataclass(frozen=True)
class Event:
    """One change; `kind` is `message_create`, `message_update`, `message_delete`, `typing`, `interaction`
    (created, answered or failed), `commands`, `gateway`, `channel`, `guild`, `request` (one was answered).
    """

    kind: str
    message: Message | None = None
    interaction: Interaction | None = None
    channel_id: int | None = None
    detail: str = ""


@dataclass
class Feed:
    """Hand every event to every subscriber, in order."""

    _queues: set[asyncio.Queue[Event]] = field(default_factory=set)

    def publish(self, event: Event) -> None:
        """Tell all subscribers."""
        for queue in self._queues:
            queue.put_nowait(event)

    @contextmanager
    def subscription(self) -> Iterator[asyncio.Queue[Event]]:
        """Open a queue that gets every event from now on."""
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self._queues.add(queue)
        try:
            yield queue
        finally:
            self._queues.discard(queue)

    async def events(self) -> AsyncIterator[Event]:
        """Yield events until the caller stops."""
        with self.subscription() as queue:
            while True:
                yield await queue.get()

    async def until(self, look: Callable[[], T | None], timeout: float, what: str = "a change") -> T:
        """Look now and after every event; return what `look` finds, or raise TimeoutError that names `what`."""
        with self.subscription() as queue:
            try:
                async with asyncio.timeout(timeout):
                    while not (found := look()):
                        await queue.get()
            except TimeoutError:
                raise TimeoutError(f"waited {timeout} s for {what}") from None
            return found
