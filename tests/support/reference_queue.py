"""The queue's rules in their plainest form, to compare the fast queue with."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice

from generation.errors import WorkerCrashed
from generation.job import Job, Speed
from generation.messages import Ready
from generation.planning.job_cost import job_cost
from generation.queue.fair_order import MAX_WAIT_S, Slot
from generation.queue.limits import NO_MEMBER_LIMITS, MemberLimits, QueueLimits
from generation.queue.model_affinity import MAX_CANDIDATES, Candidate, ModelAffinity
from generation.queue.queue import QueuePosition
from generation.queue.throughput import ThroughputEstimator
from generation.worker.worker import Broken, Worker

_Key = tuple[int | None, ...]


@dataclass(slots=True, eq=False)
class _QueuedJob:
    job: Job
    since: float
    member_limits: MemberLimits
    slot: asyncio.Future[Slot] | None = None  # None while nobody awaits the slot


@dataclass(frozen=True, slots=True, eq=False)
class _RunningJob:
    job: Job
    slot: Slot
    since: float
    needs_loading: bool  # whether its model was not loaded when it got its slot


class ReferenceQueue:
    """The queue as it was before it kept its order and counts: it sorts and counts everything for each slot."""

    def __init__(
        self, workers: Sequence[Worker], limits: QueueLimits, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._workers, self._limits, self._clock = workers, limits, clock
        self._waiting: dict[str, _QueuedJob] = {}
        self._running: dict[str, _RunningJob] = {}
        self._restored_last_served: dict[int, float] = {}
        self._served: dict[int, int] = {}
        self._slot_numbers = itertools.count(1)
        self._affinity = ModelAffinity()
        self._throughput = ThroughputEstimator()
        self._subscribers: list[Callable[[], None]] = []
        self._positions: dict[str, tuple[int, float | None]] | None = None
        self._dispatch_scheduled = False
        for worker in workers:
            worker.subscribe(self._schedule_dispatch)

    @property
    def waiting(self) -> list[Job]:
        """Return the waiting jobs in their predicted order."""
        return [waiting.job for waiting in self._predicted_order()]

    @property
    def running(self) -> list[Job]:
        """Return the jobs that have a slot, oldest slot first."""
        return [running.job for running in self._running.values()]

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Call `callback` in the event loop when positions may have changed."""
        self._subscribers.append(callback)

    def restore_last_served(self, person_id: int, when: float) -> None:
        """Restore when a person was last served before this start, in seconds of any clock."""
        self._restored_last_served[person_id] = when

    def enqueue(self, job: Job, member_limits: MemberLimits = NO_MEMBER_LIMITS) -> None:
        """Check the limits and add the job in one step; follow it with `acquire`, or with `remove` if that fails.

        Raise QueueFull and PersonQueueFull. The member limits are not restored after a restart.
        """
        self._waiting[job.id] = _QueuedJob(job, self._clock(), member_limits)
        self._schedule_dispatch()

    def remove(self, job_id: str) -> None:
        """Remove a job that was added with `enqueue`; does nothing for a job that is not in the queue."""
        self._discard(job_id)
        self._schedule_dispatch()

    @asynccontextmanager
    async def acquire(self, job: Job) -> AsyncIterator[Slot]:
        """Wait for a slot and hold it during the block; for a job that was not enqueued no limits are checked.

        Cancelling the task removes the job from the queue. A slot that ends with WorkerCrashed, or is cancelled before
        the block starts, does not count as served.
        """
        waiting = self._waiting.setdefault(job.id, _QueuedJob(job, self._clock(), NO_MEMBER_LIMITS))
        waiting.slot = asyncio.get_running_loop().create_future()
        self._schedule_dispatch()
        served = False
        try:
            slot = await waiting.slot
            served = True
            yield slot
            self._record_duration(self._running[job.id])
        except WorkerCrashed:
            served = False
            raise
        finally:
            self._release(job, served)

    def position(self, job_id: str) -> QueuePosition | None:
        """Return a job's position; None if it is not waiting."""
        if self._positions is None:
            self._positions = self._estimate_positions()
        if job_id not in self._positions:
            return None
        position, start = self._positions[job_id]
        return QueuePosition(position, None if start is None else max(0.0, start - self._clock()))

    def _release(self, job: Job, served: bool) -> None:
        self._discard(job.id)
        running = self._running.pop(job.id, None)
        if running is not None and served:
            self._served[job.requester.id] = max(self._served.get(job.requester.id, 0), running.slot.order)
        self._schedule_dispatch()

    def _discard(self, job_id: str) -> None:
        self._waiting.pop(job_id, None)
        self._affinity.forget(job_id)

    def _schedule_dispatch(self) -> None:
        self._positions = None
        if not self._dispatch_scheduled:
            self._dispatch_scheduled = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._dispatch_scheduled = False
        self._positions = None
        while self._grant_slot():
            pass
        for callback in self._subscribers:
            callback()

    def _grant_slot(self) -> bool:
        """Grant one slot if a worker is free and a job may run; return whether one was granted."""
        if (worker := self._free_worker()) is None:
            return False
        candidates = list(islice(filter(self._is_runnable, self._priority_order()), MAX_CANDIDATES))
        if not candidates:
            return False
        chosen = self._affinity.choose([*map(self._candidate, candidates)], worker.loaded_models, self._clock())
        waiting, slot = self._waiting[chosen.job_id], Slot(worker, next(self._slot_numbers))
        assert waiting.slot is not None
        self._discard(chosen.job_id)
        self._running[chosen.job_id] = _RunningJob(
            waiting.job, slot, self._clock(), chosen.model not in worker.loaded_models
        )
        waiting.slot.set_result(slot)
        return True

    def _candidate(self, waiting: _QueuedJob) -> Candidate:
        return Candidate(waiting.job.id, self._model_name(waiting.job), self._priority(waiting))

    def _model_name(self, job: Job) -> str:
        return self._workers[0].registry.model_name(job.params) if self._workers else job.params.model

    def _is_runnable(self, waiting: _QueuedJob) -> bool:
        if waiting.slot is None or waiting.slot.done():  # done: cancelled in this very tick
            return False
        return self._is_within_limits(
            waiting, Counter(key for each in self._running.values() for key in _limit_keys(each.job))
        )

    def _is_within_limits(self, waiting: _QueuedJob, running: Counter[_Key]) -> bool:
        of_person, in_guild = (running[key] for key in _limit_keys(waiting.job))
        limit = waiting.member_limits.running
        return of_person < self._limits.running_per_person and (limit is None or in_guild < limit)

    def _free_worker(self) -> Worker | None:
        """Return the worker with the most free capacity; a broken one only if all are, so that the job fails."""
        ready = [worker for worker in self._workers if isinstance(worker.state, Ready)]
        if not ready and all(isinstance(worker.state, Broken) for worker in self._workers):
            ready = list(self._workers)
        emptiest = max(ready, key=self._free_capacity, default=None)
        return emptiest if emptiest is not None and self._free_capacity(emptiest) > 0 else None

    def _free_capacity(self, worker: Worker) -> int:
        return worker.capacity - sum(running.slot.worker is worker for running in self._running.values())

    def _predicted_order(self) -> list[_QueuedJob]:
        """Return the waiting jobs in the order in which they get slots if nothing else changes."""
        remaining = [self._candidate(waiting) for waiting in self._priority_order()]
        loaded, affinity, order = self._expected_models(), self._affinity.copy(), list[Candidate]()
        while remaining:
            order.append(affinity.choose(remaining, loaded, self._clock()))
            remaining.remove(order[-1])
            loaded = loaded | {order[-1].model}
        return [self._waiting[candidate.job_id] for candidate in order]

    def _expected_models(self) -> frozenset[str]:
        """Return the models that are loaded, or will be loaded for the running jobs."""
        expected = (self._model_name(running.job) for running in self._running.values())
        return frozenset(expected).union(*(worker.loaded_models for worker in self._workers))

    def _priority_order(self) -> list[_QueuedJob]:
        """Return the waiting jobs in fair order, before model affinity."""
        by_priority: dict[int, list[_QueuedJob]] = {}
        for waiting in sorted(self._waiting.values(), key=lambda waiting: waiting.job.asked_at):
            by_priority.setdefault(self._priority(waiting), []).append(waiting)
        return [waiting for _, equals in sorted(by_priority.items()) for waiting in self._round_robin(equals)]

    def _priority(self, waiting: _QueuedJob) -> int:
        is_overdue = self._clock() - waiting.since > MAX_WAIT_S
        return 0 if is_overdue else _PRIORITIES.index(waiting.job.speed)

    def _round_robin(self, by_age: list[_QueuedJob]) -> list[_QueuedJob]:
        """Interleave jobs, one per person and round, starting with the person served least recently."""
        by_person: dict[int, list[_QueuedJob]] = {}
        for waiting in by_age:
            by_person.setdefault(waiting.job.requester.id, []).append(waiting)
        by_service = sorted(by_person.items(), key=lambda item: (self._last_served(item[0]), item[1][0].job.asked_at))
        rounds = itertools.zip_longest(*(jobs for _, jobs in by_service))
        return [waiting for round_ in rounds for waiting in round_ if waiting is not None]

    def _last_served(self, person_id: int) -> tuple[int, float]:
        running = (job.slot.order for job in self._running.values() if job.job.requester.id == person_id)
        return max((self._served.get(person_id, 0), *running)), self._restored_last_served.get(person_id, -math.inf)

    def _record_duration(self, ended: _RunningJob) -> None:
        if not ended.needs_loading:
            registry = self._workers[0].registry
            model = self._model_name(ended.job)
            cost = job_cost(ended.job.params, registry.find(model))
            self._throughput.record(ended.slot.worker, model, cost, self._clock() - ended.since)

    def _estimate_positions(self) -> dict[str, tuple[int, float | None]]:
        waiting = self._predicted_order()
        starts = self._simulate_starts(deque(waiting))
        return {each.job.id: (place, starts.get(each.job.id)) for place, each in enumerate(waiting, start=1)}

    def _simulate_starts(self, waiting: deque[_QueuedJob]) -> dict[str, float]:
        """Simulate the queue: return when each job starts, as far as throughput is known and a worker is ready."""
        now, loaded, starts = self._clock(), self._expected_models(), dict[str, float]()
        if not self._throughput.has_samples:
            return starts
        free = sum(max(0, self._free_capacity(worker)) for worker in self._workers if isinstance(worker.state, Ready))
        ends = [
            (each.since + self._estimate_seconds(each.job, needs_loading=each.needs_loading), each.job.id, each.job)
            for each in self._running.values()
        ]
        heapq.heapify(ends)
        running = Counter(key for _, _, job in ends for key in _limit_keys(job))
        while waiting:
            first = next((each for each in waiting if self._is_within_limits(each, running)), None)
            if free and first:
                starts[first.job.id] = now
                waiting.remove(first)
                needs_loading = self._model_name(first.job) not in loaded
                heapq.heappush(
                    ends,
                    (now + self._estimate_seconds(first.job, needs_loading=needs_loading), first.job.id, first.job),
                )
                loaded |= {self._model_name(first.job)}
                running.update(_limit_keys(first.job))
                free -= 1
            elif ends:
                end, _, job = heapq.heappop(ends)
                now = max(now, end)
                running.subtract(_limit_keys(job))
                free += 1
            else:
                break
        return starts

    def _estimate_seconds(self, job: Job, *, needs_loading: bool) -> float:
        """Return the estimated seconds of a job, including the time to load its model if needed."""
        worker, model = self._workers[0], self._model_name(job)
        loading = (
            worker.load_seconds.get(model, max(worker.load_seconds.values(), default=0.0)) if needs_loading else 0.0
        )
        cost = job_cost(job.params, worker.registry.find(model))
        return self._throughput.seconds_per_cost(worker, model) * cost + loading


def _limit_keys(job: Job) -> tuple[_Key, _Key]:
    """Return the keys under which a running job is counted: its owner, and its owner in one guild."""
    return (job.requester.id,), (job.requester.id, job.destination.guild_id)


_PRIORITIES = (Speed.TURBO, Speed.FAST, Speed.RELAX)
