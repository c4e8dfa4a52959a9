"""What happens in the stand-in, told to whoever waits for it."""
# ruff: noqa: ASYNC109 (a wait in a test names its own limit)

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from preview.state.world import Message

T = TypeVar("T")


@dataclass(frozen=True)
class StateEvent:
    """One change; `kind` is `message_create`, `message_update`, `message_delete`, `typing`, `interaction`
    (created, answered or failed), `commands`, `gateway`, `channel`, `guild`, `request` (one was answered).
    """

    kind: str
    message: Message | None = None
    interaction_id: int | None = None
    channel_id: int | None = None
    detail: str = ""


def accept_all(event: StateEvent) -> bool:
    """Care for every event."""
    return True


@dataclass
class EventBus:
    """Hand every event to those who care for it, in order."""

    _queues: dict[asyncio.Queue[StateEvent], Callable[[StateEvent], bool]] = field(default_factory=dict, repr=False)

    def publish(self, event: StateEvent) -> None:
        """Tell all subscribers."""
        for queue, predicate in self._queues.items():
            if predicate(event):
                queue.put_nowait(event)

    @contextmanager
    def subscribe(self, predicate: Callable[[StateEvent], bool] = accept_all) -> Iterator[asyncio.Queue[StateEvent]]:
        """Open a queue that gets events from now on."""
        queue: asyncio.Queue[StateEvent] = asyncio.Queue()
        self._queues[queue] = predicate
        try:
            yield queue
        finally:
            del self._queues[queue]

    async def wait_until(
        self,
        check: Callable[[], T | None],
        timeout: float,
        description: str = "a change",
        predicate: Callable[[StateEvent], bool] = accept_all,
    ) -> T:
        """Look now and after every event; return what `look` finds, or raise TimeoutError that names `what`."""
        with self.subscribe(predicate) as queue:
            try:
                async with asyncio.timeout(timeout):
                    while not (found := check()):
                        await queue.get()
            except TimeoutError:
                raise TimeoutError(f"waited {timeout} s for {description}") from None
            return found
