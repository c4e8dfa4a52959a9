"""Admit interactions a few dozen at a time, and drop those that can no longer be answered in time."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import discord

log = logging.getLogger(__name__)

RESPONSE_LIMIT_S = 3.0  # Discord invalidates an interaction that has no response by then
MAX_UNANSWERED = 64  # interactions at a time; with all of them at once, each would be answered last
REPORT_INTERVAL_S = 1.0  # between two log lines about dropped interactions
OFFSET_WINDOW_S = 300.0  # clocks drift apart by seconds a day, but hardly by milliseconds in this time


@dataclass(frozen=True, slots=True)
class _Waiting:
    interaction_id: int
    created_at: float  # by Discord's clock
    start: Callable[[], None]


class _ClockOffset:
    """The difference between this machine's clock and Discord's: the smallest one of the last minutes.

    The smallest holds the shortest way here, so that a clock that is wrong makes nothing late. Older ones are
    forgotten, since a clock that gains a second a day would make everything late after some days.
    """

    def __init__(self) -> None:
        self._began = -math.inf
        self._newest = self._before = math.inf

    def update(self, now: float, created_at: float) -> float:
        """Take in an interaction that arrives now, and return the offset."""
        elapsed = now - self._began
        if elapsed >= OFFSET_WINDOW_S:
            self._before = self._newest if elapsed < 2 * OFFSET_WINDOW_S else math.inf
            self._began, self._newest = now, math.inf
        self._newest = min(self._newest, now - created_at)
        return min(self._newest, self._before)


class Admission:
    """Start interactions in the order of their arrival, and keep their tasks until they end.

    Under overload the oldest that can still be answered in time goes first. What cannot is dropped at once: a response
    would only fail, and would make others late as well.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._clock_offset = _ClockOffset()
        self._offset = 0.0  # at the newest interaction
        self._waiting: deque[_Waiting] = deque()
        self._unanswered: dict[int, float] = {}  # when each was started, by interaction id
        self._response_time = 0.1  # moving average, in seconds
        self.tasks: set[asyncio.Task[Any]] = set()  # under way
        self._dropped = 0
        self._closed = False

    def submit(self, interaction_id: int, start: Callable[[], None]) -> None:
        """Call `start` when it is the interaction's turn, unless that is too late."""
        created_at = discord.utils.snowflake_time(interaction_id).timestamp()
        self._offset = self._clock_offset.update(self._clock(), created_at)
        self._waiting.append(_Waiting(interaction_id, created_at, start))
        self._start_next()

    def answered(self, interaction_id: int) -> None:
        """Record that an interaction has its first response, or can have none any more."""
        started_at = self._unanswered.pop(interaction_id, None)
        if started_at is not None:
            self._response_time += (self._clock() - started_at - self._response_time) / 8
            self._start_next()

    def track(self, start: Callable[[], None]) -> list[asyncio.Task[Any]]:
        """Call `start`, and keep the tasks that it creates, so that `close` cancels them."""
        tasks = _created_tasks(start)
        self.tasks.update(tasks)
        for task in tasks:
            task.add_done_callback(self.tasks.discard)
        return tasks

    def close(self) -> list[asyncio.Task[Any]]:
        """Start nothing more; cancel the tasks under way and return them."""
        self._closed = True
        self._waiting.clear()
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        return tasks

    def _start_next(self) -> None:
        while self._waiting and len(self._unanswered) < MAX_UNANSWERED:
            next_one = self._waiting.popleft()
            if self._is_late(next_one):
                self._drop()
            else:
                self._start(next_one)

    def _is_late(self, interaction: _Waiting) -> bool:
        """Return whether a response would come too late, to judge by the latest ones while others are under way.

        When none is, what they took says nothing: after a stall, dropping everything would never measure it again.
        """
        age = self._clock() - interaction.created_at - self._offset
        return age + (2 * self._response_time if self._unanswered else 0.0) > RESPONSE_LIMIT_S

    def _start(self, interaction: _Waiting) -> None:
        if self._closed:
            return
        number = interaction.interaction_id
        unfinished = set(self.track(interaction.start))
        if not unfinished:
            return
        self._unanswered[number] = self._clock()
        asyncio.get_running_loop().call_later(RESPONSE_LIMIT_S, self.answered, number)

        def end(task: asyncio.Task[Any]) -> None:
            unfinished.discard(task)
            if not unfinished:
                self.answered(number)

        for task in list(unfinished):
            task.add_done_callback(end)

    def _drop(self) -> None:
        self._dropped += 1
        if self._dropped == 1:
            asyncio.get_running_loop().call_later(REPORT_INTERVAL_S, self._report)

    def _report(self) -> None:
        log.warning("dropped %d interactions that came too late to be answered in time", self._dropped)
        self._dropped = 0


def _created_tasks(start: Callable[[], None]) -> list[asyncio.Task[Any]]:
    """Call `start` and return the tasks that it creates: discord.py keeps no record of those."""
    loop, created = asyncio.get_running_loop(), list[asyncio.Task[Any]]()
    usual = loop.get_task_factory()

    def make_task(loop: asyncio.AbstractEventLoop, work: Any, **fields: Any) -> Any:
        task = usual(loop, work, **fields) if usual else asyncio.Task(work, loop=loop, **fields)
        created.append(task)  # type: ignore[arg-type]
        return task

    loop.set_task_factory(make_task)
    try:
        start()
    finally:
        loop.set_task_factory(usual)
    return created
