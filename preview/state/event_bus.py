"""Changes of the fake Discord's state, published to subscribers."""
# ruff: noqa: ASYNC109 (each wait in a test has its own timeout)

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
    """One change of the state.

    `kind` is `message_create`, `message_update`, `message_delete`, `typing`, `interaction` (created, answered or
    failed), `commands`, `gateway`, `channel`, `guild`, `request` (a REST request was answered) or `bot`.
    """

    kind: str
    message: Message | None = None
    interaction_id: int | None = None
    channel_id: int | None = None
    detail: str = ""


def accept_all(event: StateEvent) -> bool:
    """Accept every event."""
    return True


@dataclass
class EventBus:
    """Deliver every event to the subscribers whose predicate accepts it, in order."""

    wait_timeout: float = 10.0  # seconds, for waits without a timeout of their own
    _queues: dict[asyncio.Queue[StateEvent], Callable[[StateEvent], bool]] = field(default_factory=dict, repr=False)

    def publish(self, event: StateEvent) -> None:
        """Deliver an event to the subscribers."""
        for queue, predicate in self._queues.items():
            if predicate(event):
                queue.put_nowait(event)

    @contextmanager
    def subscribe(self, predicate: Callable[[StateEvent], bool] = accept_all) -> Iterator[asyncio.Queue[StateEvent]]:
        """Open a queue that receives events while the block runs."""
        queue: asyncio.Queue[StateEvent] = asyncio.Queue()
        self._queues[queue] = predicate
        try:
            yield queue
        finally:
            del self._queues[queue]

    async def wait_until(
        self,
        check: Callable[[], T | None],
        timeout: float | None = None,
        description: str = "a change",
        predicate: Callable[[StateEvent], bool] = accept_all,
    ) -> T:
        """Return the first true result of `check`, called now and after every accepted event.

        Raise TimeoutError, with the `description`, after `timeout` seconds.
        """
        timeout = self.wait_timeout if timeout is None else timeout
        with self.subscribe(predicate) as queue:
            try:
                async with asyncio.timeout(timeout):
                    while not (found := check()):
                        await queue.get()
            except TimeoutError:
                raise TimeoutError(f"waited {timeout} s for {description}") from None
            return found
