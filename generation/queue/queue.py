"""The job queue, ordered by priority, then by the person served least recently, then by age."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import islice

from generation.errors import WorkerCrashed, WorkerLost
from generation.job import Job
from generation.messages import Ready
from generation.params import Params
from generation.planning.job_cost import job_cost
from generation.queue.fair_order import FairOrder, QueuedJob, Slot
from generation.queue.forecast import StartForecast, candidate_of, is_within_limits, predicted_order
from generation.queue.limits import (
    NO_MEMBER_LIMITS,
    LimitKey,
    MemberLimits,
    QueueLimits,
    limit_keys,
    require_below_person_limit,
    require_below_role_limit,
    require_room_in_queue,
)
from generation.queue.model_affinity import MAX_CANDIDATES, ModelAffinity
from generation.queue.placement import Placement
from generation.queue.running_jobs import RunningJob, RunningJobs
from generation.queue.throughput import ThroughputEstimator
from generation.worker.worker import Broken, Worker

# A forecast costs milliseconds where thousands wait: then positions may be this many seconds old.
LONG_QUEUE, FORECAST_INTERVAL_S = 200, 1.0


@dataclass(frozen=True, slots=True)
class QueuePosition:
    """A waiting job's position, where 1 is next, and the estimated seconds until it starts, None if unknown."""

    position: int
    seconds: float | None


class Queue:
    """Shares `workers` fairly; slots are granted once per event-loop tick, for all jobs submitted in it."""

    def __init__(
        self, workers: Sequence[Worker], limits: QueueLimits, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._workers, self._limits, self._clock = list(workers), limits, clock
        self._waiting = FairOrder(clock)
        self._running = RunningJobs()
        self._unposted = Counter[LimitKey]()
        self._unposted_in_all = 0
        self._restored_last_served: dict[int, float] = {}
        self._served: dict[int, int] = {}
        self._slot_numbers = itertools.count(1)
        self._affinity = ModelAffinity()
        self._throughput = ThroughputEstimator()
        self._placement = Placement(self._running, self._throughput)
        self._subscribers: list[Callable[[], None]] = []
        self._positions: dict[str, int] = {}
        self._starts: StartForecast | None = None
        self._forecast_at = -math.inf
        self._is_forecast_stale = True
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
        return [running.job for running in self._running]

    def running_on(self, worker: Worker) -> list[Job]:
        """Return the jobs that have a slot on a worker, oldest slot first."""
        return [running.job for running in self._running.of_worker(worker)]

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Call `callback` in the event loop when positions may have changed."""
        self._subscribers.append(callback)

    def join(self, worker: Worker) -> None:
        """Share another worker from now on."""
        self._workers.append(worker)
        worker.subscribe(self._schedule_dispatch)
        self._schedule_dispatch()

    def part(self, worker: Worker) -> None:
        """Grant no more slots on a worker that has gone; the jobs that have one get its end as an error."""
        self._workers.remove(worker)
        self._throughput.forget(worker)
        self._schedule_dispatch()

    def wake(self) -> None:
        """Grant slots again after a worker began or ended draining."""
        self._schedule_dispatch()

    def restore_last_served(self, person_id: int, when: float) -> None:
        """Restore when a person was last served before this start, in seconds of any clock."""
        self._restored_last_served[person_id] = when
        self._update_last_served(person_id)

    def check_limits(
        self, person_id: int, guild_id: int | None = None, member_limits: MemberLimits = NO_MEMBER_LIMITS, jobs: int = 1
    ) -> None:
        """Raise QueueFull or PersonQueueFull if `jobs` more jobs of this person would exceed a limit."""
        require_below_person_limit(self._limits.waiting_per_person, self._count((person_id,)), jobs)
        if member_limits.waiting is not None:
            require_below_role_limit(member_limits.waiting, self._count((person_id, guild_id)), jobs)
        require_room_in_queue(self._limits.waiting_in_all, len(self._waiting) + self._unposted_in_all, jobs)

    def enqueue(self, job: Job, member_limits: MemberLimits = NO_MEMBER_LIMITS) -> None:
        """Check the limits and add the job in one step; follow it with `acquire`, or with `remove` if that fails.

        Raise QueueFull and PersonQueueFull. The member limits are not restored after a restart.
        """
        self.check_limits(job.requester.id, job.destination.guild_id, member_limits)
        self._add(job, member_limits)
        self._schedule_dispatch()

    def remove(self, job_id: str) -> None:
        """Remove a job that was added with `enqueue`; does nothing for a job that is not in the queue."""
        self._discard(job_id)
        self._schedule_dispatch()

    @asynccontextmanager
    async def acquire(self, job: Job, avoid: Worker | None = None) -> AsyncIterator[Slot]:
        """Wait for a slot and hold it during the block; for a job that was not enqueued no limits are checked.

        The slot is on the worker to `avoid` only if no other is free. Cancelling the task removes the job from the
        queue. A slot that ends with WorkerCrashed, or is cancelled before the block starts, does not count as served.
        After WorkerLost the job is back at its old place: follow it with `acquire`, or with `remove`.
        """
        waiting = self._waiting.get(job.id) or self._add(job, NO_MEMBER_LIMITS)
        waiting.slot, waiting.avoid = asyncio.get_running_loop().create_future(), avoid
        self._schedule_dispatch()
        served = lost = False
        try:
            slot = await waiting.slot
            served = True
            yield slot
            self._record_duration(self._running[job.id])
        except WorkerCrashed as crash:
            served, lost = False, isinstance(crash, WorkerLost)
            raise
        finally:
            self._release(job, served)
            if lost:
                waiting.slot = None
                self._waiting.add(waiting)

    @contextmanager
    def posting(self, job: Job) -> Iterator[None]:
        """Count a job that has its pictures as a waiting one during the block, in which they are stored and posted.

        A GPU can draw faster than Discord lets a bot post in one channel. Without this, the jobs between would have no
        limit.
        """
        self._unposted.update(limit_keys(job))
        self._unposted_in_all += 1
        try:
            yield
        finally:
            self._unposted -= Counter(limit_keys(job))  # keys that nobody counts any more are dropped
            self._unposted_in_all -= 1

    def position(self, job_id: str) -> QueuePosition | None:
        """Return a job's position; None if it is not waiting.

        In a long queue it may be a second old, and a job that arrived since then counts as the last.
        """
        if self._waiting.get(job_id) is None:
            return None
        if self._is_forecast_due():
            self._forecast()
        position, start = self._positions.get(job_id, len(self._waiting)), None
        if job_id in self._positions and self._starts is not None:
            start = self._starts.start(job_id)
        return QueuePosition(position, None if start is None else max(0.0, start - self._clock()))

    def estimate_seconds(self, params: Params) -> float | None:
        """Return how long a job with these params would run on the fastest worker; None until a job was measured."""
        if not self._throughput.has_samples or not self._workers:
            return None
        return min(self._estimate_seconds(worker, params) for worker in self._workers)

    def _estimate_seconds(self, worker: Worker, params: Params) -> float:
        model = worker.registry.model_name(params)
        cost = job_cost(params, worker.registry.find(model))
        return cost * self._throughput.seconds_per_cost(worker, model)

    def _count(self, key: LimitKey) -> int:
        return self._waiting.count(key) + self._unposted[key]

    def _add(self, job: Job, member_limits: MemberLimits) -> QueuedJob:
        waiting = QueuedJob(job, self._model_name(job), self._clock(), member_limits)
        self._waiting.add(waiting)
        return waiting

    def _release(self, job: Job, served: bool) -> None:
        self._discard(job.id)
        running = self._running.remove(job.id)
        if running is not None and served:
            self._served[job.requester.id] = max(self._served.get(job.requester.id, 0), running.slot.order)
        self._update_last_served(job.requester.id)
        self._schedule_dispatch()

    def _discard(self, job_id: str) -> None:
        self._waiting.remove(job_id)
        self._affinity.forget(job_id)

    def _update_last_served(self, person_id: int) -> None:
        newest = max(self._served.get(person_id, 0), self._running.newest_slot(person_id))
        self._waiting.set_last_served(person_id, (newest, self._restored_last_served.get(person_id, -math.inf)))

    def _schedule_dispatch(self) -> None:
        self._is_forecast_stale = True
        if not self._dispatch_scheduled:
            self._dispatch_scheduled = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._dispatch_scheduled = False
        self._is_forecast_stale = True
        while self._grant_slot():
            pass
        for callback in self._subscribers:
            callback()

    def _grant_slot(self) -> bool:
        """Grant one slot if a worker is free and a job may run; return whether one was granted."""
        workers = self._open_workers()
        if not workers:
            return False
        runnable = filter(self._is_runnable, self._waiting.in_order(self._is_below_person_limit))
        drawable = (waiting for waiting in runnable if any(worker.can_draw(waiting.job.params) for worker in workers))
        candidates = [candidate_of(waiting) for waiting in islice(drawable, MAX_CANDIDATES)]
        if not candidates:
            return False
        loaded = frozenset[str]().union(*(worker.loaded_models for worker in workers))
        chosen = self._waiting[self._affinity.choose(candidates, loaded, self._clock()).job_id]
        able = [worker for worker in workers if worker.can_draw(chosen.job.params)]
        preferred = [worker for worker in able if worker is not chosen.avoid] or able
        self._grant(chosen, self._placement.choose(chosen, preferred, self._clock()))
        return True

    def _grant(self, waiting: QueuedJob, worker: Worker) -> None:
        assert waiting.slot is not None
        slot = Slot(worker, next(self._slot_numbers))
        self._discard(waiting.job.id)
        self._running.add(RunningJob(waiting, slot, self._clock(), waiting.model not in worker.loaded_models))
        self._update_last_served(waiting.person_id)
        waiting.slot.set_result(slot)

    def _model_name(self, job: Job) -> str:
        return self._workers[0].registry.model_name(job.params) if self._workers else job.params.model

    def _is_runnable(self, waiting: QueuedJob) -> bool:
        if waiting.slot is None or waiting.slot.done():  # done: cancelled in this very tick
            return False
        return is_within_limits(waiting, self._running.counts, self._limits)

    def _is_below_person_limit(self, person_id: int) -> bool:
        return self._running.counts[(person_id,)] < self._limits.running_per_person

    def _open_workers(self) -> list[Worker]:
        """Return the workers with free capacity that are ready; broken ones only if all are, so that jobs fail."""
        workers = [worker for worker in self._workers if not worker.draining]
        ready = [worker for worker in workers if isinstance(worker.state, Ready)]
        if not ready and all(isinstance(worker.state, Broken) for worker in workers):
            ready = workers
        return [worker for worker in ready if self._running.free_capacity(worker) > 0]

    def _predicted_order(self) -> list[QueuedJob]:
        """Return the waiting jobs in the order in which they get slots if nothing else changes."""
        return predicted_order(self._waiting.in_order(), self._expected_models(), self._affinity, self._clock())

    def _expected_models(self) -> frozenset[str]:
        """Return the models that are loaded, or will be loaded for the running jobs."""
        expected = frozenset(running.model for running in self._running)
        return expected.union(*(worker.loaded_models for worker in self._workers))

    def _record_duration(self, ended: RunningJob) -> None:
        if not ended.needs_loading:
            worker = ended.slot.worker
            cost = ended.queued.cost(worker.registry.find(ended.model))
            self._throughput.record(worker, ended.model, cost, self._clock() - ended.since)

    def _is_forecast_due(self) -> bool:
        is_recent = self._clock() - self._forecast_at < FORECAST_INTERVAL_S
        return self._is_forecast_stale and not (len(self._waiting) > LONG_QUEUE and is_recent)

    def _forecast(self) -> None:
        """Number the waiting jobs, and prepare to estimate their starts, as far as that is known and a worker is ready.

        Until a job was measured, that is known only of those that can start at once.
        """
        now, waiting = self._clock(), self._predicted_order()
        self._positions = {each.job.id: position for position, each in enumerate(waiting, start=1)}
        self._starts = StartForecast(
            waiting, self._workers, self._running, self._throughput, self._limits, self._expected_models(), now
        )
        self._forecast_at, self._is_forecast_stale = now, False
