"""What happens in the stand-in, told to whoever waits for it."""
# ruff: noqa: ASYNC109 (a wait in a test names its own limit)

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from preview.state.interactions import Interaction
    from preview.state.world import Message

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


def anything(event: Event) -> bool:
    """Care for every event."""
    return True


@dataclass
class Feed:
    """Hand every event to those who care for it, in order."""

    _queues: dict[asyncio.Queue[Event], Callable[[Event], bool]] = field(default_factory=dict)

    def publish(self, event: Event) -> None:
        """Tell all subscribers."""
        for queue, cares in self._queues.items():
            if cares(event):
                queue.put_nowait(event)

    @contextmanager
    def subscription(self, cares: Callable[[Event], bool] = anything) -> Iterator[asyncio.Queue[Event]]:
        """Open a queue that gets events from now on."""
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self._queues[queue] = cares
        try:
            yield queue
        finally:
            del self._queues[queue]

    async def until(
        self,
        look: Callable[[], T | None],
        timeout: float,
        what: str = "a change",
        cares: Callable[[Event], bool] = anything,
    ) -> T:
        """Look now and after every event; return what `look` finds, or raise TimeoutError that names `what`."""
        with self.subscription(cares) as queue:
            try:
                async with asyncio.timeout(timeout):
                    while not (found := look()):
                        await queue.get()
            except TimeoutError:
                raise TimeoutError(f"waited {timeout} s for {what}") from None
            return found
