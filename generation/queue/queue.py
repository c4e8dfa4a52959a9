"""Who waits, and whose turn it is: the urgent first, then the person served least recently, then age."""

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

from generation.errors import UserError, WorkerCrashed
from generation.job import Job, Speed
from generation.messages import Ready
from generation.queue.model_affinity import MAX_CANDIDATES, Candidate, ModelAffinity
from generation.queue.throughput import ThroughputEstimator
from generation.worker.worker import Broken, Worker

MAX_WAIT_S = 30 * 60.0  # seconds after which a job is as urgent as any: the relaxed wait long, but not for ever


class QueueFull(UserError):
    """So many jobs wait, of everyone together, that no more are taken."""


class PersonQueueFull(UserError):
    """One person has as many jobs waiting as a person may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """How many jobs may wait and run."""

    waiting_per_person: int = 10
    running_per_person: int = 3
    waiting_in_all: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberLimits:
    """How many jobs one person may have waiting and running in one guild, where that is less than the limits."""

    waiting: int | None = None
    running: int | None = None


NO_MEMBER_LIMITS = MemberLimits()


@dataclass(frozen=True, slots=True)
class Slot:
    """A job's permission to run on `worker`; `order` counts the turns that were given."""

    worker: Worker
    order: int


@dataclass(frozen=True, slots=True)
class QueuePosition:
    """A waiting job's position, 1 being the next, and the estimated seconds until it starts where they are known."""

    position: int
    seconds: float | None


_Key = tuple[int | None, ...]


@dataclass(slots=True, eq=False)
class _QueuedJob:
    job: Job
    since: float
    member_limits: MemberLimits
    slot: asyncio.Future[Slot] | None = None  # None as long as nobody awaits the turn


@dataclass(frozen=True, slots=True, eq=False)
class _RunningJob:
    job: Job
    slot: Slot
    since: float
    needs_loading: bool  # whether its model was not held when it was given its turn


class Queue:
    """Shares `workers` fairly; the turns of one event-loop tick are given together, whoever asked first in it."""

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
        """Give the waiting jobs in the order of their turns, as far as it is known now."""
        return [waiting.job for waiting in self._predicted_order()]

    @property
    def running(self) -> list[Job]:
        """Give the jobs that have a turn, oldest turn first."""
        return [running.job for running in self._running.values()]

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Have `callback` called in the event loop when places may have changed."""
        self._subscribers.append(callback)

    def restore_last_served(self, person_id: int, when: float) -> None:
        """Take over when a person was last served before this start, in seconds of any clock."""
        self._restored_last_served[person_id] = when

    def check_limits(
        self, person_id: int, guild_id: int | None = None, member_limits: MemberLimits = NO_MEMBER_LIMITS, jobs: int = 1
    ) -> None:
        """Raise QueueFull or PersonQueueFull when `jobs` more jobs of this person would be too many."""
        of_person = [waiting.job for waiting in self._waiting.values() if waiting.job.requester.id == person_id]
        in_guild = [job for job in of_person if job.destination.guild_id == guild_id]
        _require_below(self._limits.waiting_per_person, len(of_person), jobs, "person")
        if member_limits.waiting is not None:
            _require_below(member_limits.waiting, len(in_guild), jobs, "member of this server with your roles")
        if len(self._waiting) + jobs > self._limits.waiting_in_all:
            raise QueueFull(
                f"The queue is full: {_count_jobs(len(self._waiting))} are waiting, "
                f"and {self._limits.waiting_in_all} is the most. Try again in a while."
            )

    def enqueue(self, job: Job, member_limits: MemberLimits = NO_MEMBER_LIMITS) -> None:
        """Check the limits and take a place in one go; follow it with `turn`, or with `leave` where that fails.

        Raises QueueFull and PersonQueueFull. The allowance is not remembered over a restart.
        """
        self.check_limits(job.requester.id, job.destination.guild_id, member_limits)
        self._waiting[job.id] = _QueuedJob(job, self._clock(), member_limits)
        self._schedule_dispatch()

    def remove(self, job_id: str) -> None:
        """Give up a place that was taken with `enter`; harmless for a job that has none."""
        self._discard(job_id)
        self._schedule_dispatch()

    @asynccontextmanager
    async def acquire(self, job: Job) -> AsyncIterator[Slot]:
        """Wait for the job's turn and hold it for the block; no limits are checked for a job that has not entered.

        Cancelling the task is all it takes to leave. A turn that ends with WorkerDied, or is cancelled before the
        block has begun, does not count as served.
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
        """Say where a job stands; None when it does not wait."""
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
        """Give one turn, where there is a free worker and somebody who may have it."""
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
        """Give the emptiest worker that has room; one that is broken only when all are, so that it can say so."""
        ready = [worker for worker in self._workers if isinstance(worker.state, Ready)]
        if not ready and all(isinstance(worker.state, Broken) for worker in self._workers):
            ready = list(self._workers)
        emptiest = max(ready, key=self._free_capacity, default=None)
        return emptiest if emptiest is not None and self._free_capacity(emptiest) > 0 else None

    def _free_capacity(self, worker: Worker) -> int:
        return worker.capacity - sum(running.slot.worker is worker for running in self._running.values())

    def _predicted_order(self) -> list[_QueuedJob]:
        """Give the waiting jobs as turns will be given if nothing else changes."""
        remaining = [self._candidate(waiting) for waiting in self._priority_order()]
        loaded, affinity, order = self._expected_models(), self._affinity.copy(), list[Candidate]()
        while remaining:
            order.append(affinity.choose(remaining, loaded, self._clock()))
            remaining.remove(order[-1])
            loaded = loaded | {order[-1].model}
        return [self._waiting[turn.job_id] for turn in order]

    def _expected_models(self) -> frozenset[str]:
        """Give the models that are held, or will be when those who have a turn draw."""
        expected = (self._model_name(running.job) for running in self._running.values())
        return frozenset(expected).union(*(worker.loaded_models for worker in self._workers))

    def _priority_order(self) -> list[_QueuedJob]:
        """Give the waiting jobs in the order of their right to a turn."""
        by_priority: dict[int, list[_QueuedJob]] = {}
        for waiting in sorted(self._waiting.values(), key=lambda waiting: waiting.job.asked_at):
            by_priority.setdefault(self._priority(waiting), []).append(waiting)
        return [waiting for _, equals in sorted(by_priority.items()) for waiting in self._round_robin(equals)]

    def _priority(self, waiting: _QueuedJob) -> int:
        is_overdue = self._clock() - waiting.since > MAX_WAIT_S
        return 0 if is_overdue else _PRIORITIES.index(waiting.job.speed)

    def _round_robin(self, by_age: list[_QueuedJob]) -> list[_QueuedJob]:
        """Deal out jobs one a person and round, beginning with the person served least recently."""
        by_person: dict[int, list[_QueuedJob]] = {}
        for waiting in by_age:
            by_person.setdefault(waiting.job.requester.id, []).append(waiting)
        by_service = sorted(by_person.items(), key=lambda lane: (self._last_served(lane[0]), lane[1][0].job.asked_at))
        rounds = itertools.zip_longest(*(lane for _, lane in by_service))
        return [waiting for round_ in rounds for waiting in round_ if waiting is not None]

    def _last_served(self, person_id: int) -> tuple[int, float]:
        running = (job.slot.order for job in self._running.values() if job.job.requester.id == person_id)
        return max((self._served.get(person_id, 0), *running)), self._restored_last_served.get(person_id, -math.inf)

    def _record_duration(self, ended: _RunningJob) -> None:
        if not ended.needs_loading:
            registry = self._workers[0].registry
            self._throughput.record(
                ended.job.params, self._model_name(ended.job), self._clock() - ended.since, registry
            )

    def _estimate_positions(self) -> dict[str, tuple[int, float | None]]:
        waiting = self._predicted_order()
        starts = self._simulate_starts(deque(waiting))
        return {each.job.id: (place, starts.get(each.job.id)) for place, each in enumerate(waiting, start=1)}

    def _simulate_starts(self, waiting: deque[_QueuedJob]) -> dict[str, float]:
        """Play the queue forward: when each job starts, as far as the pace is known and there is a worker for it."""
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
        """Give the seconds that a job takes, with those of loading its model first where that is not held."""
        worker, model = self._workers[0], self._model_name(job)
        loading = (
            worker.load_seconds.get(model, max(worker.load_seconds.values(), default=0.0)) if needs_loading else 0.0
        )
        return self._throughput.estimate_seconds(job.params, model, worker.registry) + loading


def _limit_keys(job: Job) -> tuple[_Key, _Key]:
    """Give what a running job counts for: its owner's jobs, and those in one guild."""
    return (job.requester.id,), (job.requester.id, job.destination.guild_id)


_PRIORITIES = (Speed.TURBO, Speed.FAST, Speed.RELAX)


def _require_below(limit: int, waiting: int, jobs: int, scope: str) -> None:
    if waiting + jobs > limit:
        more = f", and {jobs} more are too many:" if jobs > 1 else ", and"
        raise PersonQueueFull(
            f"You already have {_count_jobs(waiting)} waiting{more} {limit} is the most for one {scope}. "
            "Try again when one of them has started, or cancel one."
        )


def _count_jobs(number: int) -> str:
    return f"{number} job{'' if number == 1 else 's'}"
