"""All workers of a bot together: one start, one end, one model registry and one state."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import pairwise

from generation.messages import Loading, Ready
from generation.models.registry import ModelRegistry
from generation.worker.worker import Broken, Restarting, Worker, WorkerState

START_TIMEOUT_S = 300.0  # after which the next worker starts although the one before it is still loading

_BEST_FIRST = (Ready, Loading, Restarting, Broken)


def most_usable(states: Sequence[WorkerState]) -> WorkerState:
    """Return the first Ready state, else Loading, Restarting or Broken."""
    return min(states, key=lambda state: _BEST_FIRST.index(type(state)))


class Fleet:
    """The workers in the order of the settings; there is at least one.

    Each starts when the one before it is ready or has failed: so one process at a time reads the disk or downloads,
    and the first is ready as soon as if it were the only one.
    """

    def __init__(self, workers: Sequence[Worker]) -> None:
        self.workers = tuple(workers)
        self._changed = asyncio.Event()
        self._starting: asyncio.Task[None] | None = None
        for worker in self.workers:
            worker.subscribe(partial(self._on_change, worker))

    @property
    def registry(self) -> ModelRegistry:
        """Return the models; the workers share one registry, with what any of them learned by loading a model."""
        return self.workers[0].registry

    @property
    def state(self) -> WorkerState:
        """Return the state of the most usable worker: Ready if any is, Broken only if all are."""
        return most_usable([worker.state for worker in self.workers])

    @property
    def loaded_models(self) -> frozenset[str]:
        """Return the names of the models that any worker can start immediately."""
        return frozenset[str]().union(*(worker.loaded_models for worker in self.workers))

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Call `callback` in the event loop whenever a worker has changed."""
        for worker in self.workers:
            worker.subscribe(callback)

    async def start(self) -> None:
        """Start the first worker, and the others after it in the background."""
        await self.workers[0].start()
        if len(self.workers) > 1:
            self._starting = asyncio.create_task(self._start_others(), name="start of the other workers")

    async def close(self) -> None:
        """Stop all workers at the same time; jobs that have not ended raise WorkerCrashed."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait({self._starting})
        await asyncio.gather(*(worker.close() for worker in self.workers))

    async def _start_others(self) -> None:
        for earlier, worker in pairwise(self.workers):
            with suppress(TimeoutError):
                async with asyncio.timeout(START_TIMEOUT_S):
                    await self._end_of_load(earlier)
            await worker.start()

    async def _end_of_load(self, worker: Worker) -> None:
        while isinstance(worker.state, Loading):
            self._changed.clear()
            await self._changed.wait()

    def _on_change(self, changed: Worker) -> None:
        for worker in self.workers:
            worker.registry = changed.registry
        self._changed.set()
