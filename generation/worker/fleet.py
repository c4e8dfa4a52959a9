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

NO_WORKER = Restarting("no machine of the cluster is there")

START_TIMEOUT_S = 300.0  # after which the next worker starts although the one before it is still loading

_BEST_FIRST = (Ready, Loading, Restarting, Broken)


def most_usable(states: Sequence[WorkerState]) -> WorkerState:
    """Return the first Ready state, else Loading, Restarting or Broken; Restarting where there is no worker."""
    return min(states, key=lambda state: _BEST_FIRST.index(type(state)), default=NO_WORKER)


class Fleet:
    """The workers in the order of the settings, then those of the cluster, which come and go.

    Each of the settings starts when the one before it is ready or has failed: so one process at a time reads the disk
    or downloads, and the first is ready as soon as if it were the only one. One that is drained is left out. Without
    any, `registry` is needed.
    """

    def __init__(self, workers: Sequence[Worker], registry: ModelRegistry | None = None) -> None:
        self.workers: tuple[Worker, ...] = ()
        self._registry = registry or workers[0].registry
        self._changed = asyncio.Event()
        self._starting: asyncio.Task[None] | None = None
        self._subscribers: list[Callable[[], None]] = []
        self._followers: list[Callable[[Worker], Callable[[], None]]] = []
        for worker in workers:
            self.join(worker)

    @property
    def registry(self) -> ModelRegistry:
        """Return the models; the workers share one registry, with what any of them learned by loading a model."""
        return self._registry

    def join(self, worker: Worker) -> None:
        """Add a worker; whoever added it starts it."""
        worker.registry = self._registry
        self.workers = (*self.workers, worker)
        worker.subscribe(partial(self._on_change, worker))
        for follow in self._followers:
            worker.subscribe(follow(worker))
        self._notify()

    def part(self, worker: Worker) -> None:
        """Forget a worker that has gone; whoever added it closes it."""
        self.workers = tuple(each for each in self.workers if each is not worker)
        self._notify()

    @property
    def state(self) -> WorkerState:
        """Return the state of the most usable worker: Ready if any is, Broken only if all are."""
        return most_usable([worker.state for worker in self.workers])

    @property
    def is_open(self) -> bool:
        """Return whether a worker is ready that is not drained."""
        return any(isinstance(worker.state, Ready) and not worker.draining for worker in self.workers)

    @property
    def loaded_models(self) -> frozenset[str]:
        """Return the names of the models that any worker can start immediately."""
        return frozenset[str]().union(*(worker.loaded_models for worker in self.workers))

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Call `callback` in the event loop whenever a worker has changed, come or gone."""
        self._subscribers.append(callback)

    def follow(self, callback: Callable[[Worker], None]) -> None:
        """Call `callback` in the event loop with each worker that has changed, whenever it joined."""
        self._followers.append(lambda worker: partial(callback, worker))
        for worker in self.workers:
            worker.subscribe(partial(callback, worker))

    def wake(self) -> None:
        """Look at the workers again after one began draining."""
        self._changed.set()

    async def start(self) -> None:
        """Start the first worker, and the others after it in the background."""
        if self.workers:
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
            if not worker.draining:
                await worker.start()

    async def _end_of_load(self, worker: Worker) -> None:
        while isinstance(worker.state, Loading) and not worker.draining:
            self._changed.clear()
            await self._changed.wait()

    def _on_change(self, changed: Worker) -> None:
        if changed not in self.workers:  # it has gone, and is being closed
            return
        self._registry = changed.registry
        for worker in self.workers:
            worker.registry = changed.registry
        self._changed.set()
        self._notify()

    def _notify(self) -> None:
        for callback in self._subscribers:
            callback()
