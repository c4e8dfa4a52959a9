"""Merge the events of an engine before they travel: each message costs milliseconds of the bot's machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

from generation.messages import Event, Progress

PROGRESS_INTERVAL_S = 0.2  # between two messages with nothing but progress


class EventMerger:
    """Collects events from any thread; of several `Progress` of a job, only the newest travels."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._pending: list[Event] = []
        self._is_urgent = self._is_closed = False

    def emit(self, event: Event) -> None:
        """Add an event; the first preview and every progress may wait, all else travels at once."""
        with self._condition:
            if isinstance(event, Progress):
                self._merge(event)
            else:
                self._pending.append(event)
                self._is_urgent = True
            self._condition.notify()

    def close(self) -> None:
        """End `batches` after the events that have been added."""
        with self._condition:
            self._is_closed = True
            self._condition.notify()

    def batches(self) -> Iterator[tuple[Event, ...]]:
        """Yield the events in order, as many at a time as there are, until closed."""
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._pending or self._is_closed)
                due = time.monotonic() + PROGRESS_INTERVAL_S
                while not self._is_urgent and not self._is_closed and (left := due - time.monotonic()) > 0:
                    self._condition.wait(left)
                batch, self._pending, self._is_urgent = tuple(self._pending), [], False
                is_last = self._is_closed
            if batch:
                yield batch
            if is_last:
                return

    def _merge(self, progress: Progress) -> None:
        for index, earlier in enumerate(self._pending):
            if isinstance(earlier, Progress) and earlier.job_id == progress.job_id:
                newest = max(earlier, progress, key=lambda each: each.step)
                preview = earlier.preview if progress.preview is None else progress.preview
                self._pending[index] = replace(newest, preview=preview)
                return
        self._pending.append(progress)
