"""One task takes the due steps of all sessions; what is due is always read from the database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from db.together.sessions import Session, SessionStore

log = logging.getLogger(__name__)

MAX_SLEEP_S = 30.0  # the clock may be set while the task sleeps
MIN_SLEEP_S = 0.1
BUSY_SLEEP_S = 1.0  # while a step is being taken, which is due until its end
RETRY_S = 60.0  # after a step that failed


class SessionTimer:
    """Call `step` for each session whose step is due.

    A step takes effect by a compare-and-set in the database, so it may compete with presses. It sets the next time from
    the present: a bot that was stopped for days takes one step of each session, not all that it missed.
    """

    def __init__(
        self, store: SessionStore, clock: Callable[[], float], step: Callable[[Session], Awaitable[None]]
    ) -> None:
        self._store, self._clock, self._step = store, clock, step
        self._changed = asyncio.Event()
        self._running = set[str]()  # the sessions whose steps are being taken

    def wake(self) -> None:
        """Read again what is due: a session was added or moved."""
        self._changed.set()

    async def run(self) -> None:
        """Take due steps until cancelled. A slow step, such as one with a film, delays no other session."""
        async with asyncio.TaskGroup() as steps:
            while True:
                try:
                    self._changed.clear()
                    await self.begin_due_steps(steps)
                    await self._sleep()
                except Exception:
                    log.exception("the steps of sessions could not be read")
                    await asyncio.sleep(MAX_SLEEP_S)

    async def begin_due_steps(self, steps: asyncio.TaskGroup) -> None:
        """Begin one step of each session that is due, unless one is being taken."""
        for session in await self._store.due(self._clock()):
            if session.id not in self._running:
                self._running.add(session.id)
                steps.create_task(self._take(session))

    async def _take(self, session: Session) -> None:
        try:
            await self._take_or_postpone(session)
        except Exception:  # of the database: the step stays due
            log.exception("session %s: its step could not be postponed", session.id)
            await asyncio.sleep(MAX_SLEEP_S)
        finally:
            self._running.discard(session.id)
            self._changed.set()

    async def _take_or_postpone(self, session: Session) -> None:
        try:
            await self._step(session)
        except Exception:
            log.exception("session %s: its step failed and is tried again", session.id)
        left = await self._store.get(session.id)
        if left is not None and left.due_at == session.due_at and left.phase == session.phase:
            await self._store.postpone(left, self._clock() + RETRY_S)

    async def _sleep(self) -> None:
        due = await self._store.next_due()
        least = BUSY_SLEEP_S if self._running else MIN_SLEEP_S
        seconds = MAX_SLEEP_S if due is None else min(max(due - self._clock(), least), MAX_SLEEP_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
