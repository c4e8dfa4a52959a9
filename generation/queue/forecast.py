"""Simulate the queue: in which order the waiting jobs get their slots, and when."""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count

from generation.messages import Ready
from generation.models.model import Model
from generation.queue.fair_order import QueuedJob
from generation.queue.limits import LimitKey, QueueLimits
from generation.queue.model_affinity import Candidate, ModelAffinity
from generation.queue.placement import load_seconds
from generation.queue.running_jobs import RunningJobs
from generation.queue.throughput import ThroughputEstimator
from generation.worker.worker import Worker


def predicted_order(
    fair: Iterable[QueuedJob], loaded_models: frozenset[str], affinity: ModelAffinity, now: float
) -> list[QueuedJob]:
    """Return the waiting jobs in the order in which they get slots if nothing else changes.

    Model affinity decides only until every waiting job's model has been loaded once: from then on the order is fair.
    """
    waiting = list(fair)
    missing = {each.model for each in waiting} - loaded_models
    if not missing:
        return waiting
    by_id = {each.job.id: each for each in waiting}
    remaining = deque(map(candidate_of, waiting))
    loaded, affinity, order = set(loaded_models), affinity.copy(), list[QueuedJob]()
    while missing:
        chosen = affinity.choose(remaining, loaded, now)
        remaining.remove(chosen)
        order.append(by_id[chosen.job_id])
        loaded.add(chosen.model)
        missing.discard(chosen.model)
    return order + [by_id[each.job_id] for each in remaining]


def candidate_of(waiting: QueuedJob) -> Candidate:
    """Return what model affinity knows of a job."""
    return Candidate(waiting.job.id, waiting.model, waiting.priority)


def is_within_limits(waiting: QueuedJob, running: Mapping[LimitKey, int], limits: QueueLimits) -> bool:
    """Return whether a job may run beside those that `running` counts."""
    of_person, in_guild = waiting.limit_keys
    limit = waiting.member_limits.running
    return running.get(of_person, 0) < limits.running_per_person and (limit is None or running.get(in_guild, 0) < limit)


class StartForecast:
    """Simulates slots that are granted in order, each to the first job within its limits.

    It goes only as far back as it is asked.
    """

    def __init__(
        self,
        waiting: Sequence[QueuedJob],
        workers: Sequence[Worker],
        running: RunningJobs,
        throughput: ThroughputEstimator,
        limits: QueueLimits,
        loaded_models: Iterable[str],
        now: float,
    ) -> None:
        self._waiting, self._throughput, self._limits = waiting, throughput, limits
        self._next = 0
        self._blocked: defaultdict[int, list[int]] = defaultdict(list)  # the places of jobs over their person's limit
        self._unblocked: list[int] = []
        self._numbers = count()
        self._seconds_per_cost: dict[tuple[Worker, str], tuple[Model | None, float]] = {}
        self._running = defaultdict(int, running.counts)
        self._idle = deque(_idle_slots(workers, running))
        self._ends: list[tuple[float, int, Worker, QueuedJob]] = []
        for each in running:
            self._push_end(each.since, each.slot.worker, each.queued, needs_loading=each.needs_loading)
        self._starts: dict[str, float] = {}
        self._granted = self._grant_slots(set(loaded_models), now)

    def start(self, job_id: str) -> float | None:
        """Return when a job starts; None for one that no worker will ever have a slot for."""
        while job_id not in self._starts:
            granted = next(self._granted, None)
            if granted is None:
                return None
            self._starts[granted[0]] = granted[1]
        return self._starts[job_id]

    def _grant_slots(self, loaded: set[str], now: float) -> Iterator[tuple[str, float]]:
        """Yield the jobs in the order in which they start, with the time."""
        while True:
            while self._idle and (first := self._take_first()) is not None:
                self._push_end(now, self._idle.popleft(), first, needs_loading=first.model not in loaded)
                loaded.add(first.model)
                for key in first.limit_keys:
                    self._running[key] += 1
                yield first.job.id, now
            if not self._ends:
                return
            end, _, worker, ended = heapq.heappop(self._ends)
            now = max(now, end)
            self._idle.append(worker)
            self._end(ended)

    def _take_first(self) -> QueuedJob | None:
        """Take the first job that is within its limits; None if all others are over theirs."""
        while self._unblocked or self._next < len(self._waiting):
            place = heapq.heappop(self._unblocked) if self._unblocked else self._next
            self._next += place == self._next
            waiting = self._waiting[place]
            if is_within_limits(waiting, self._running, self._limits):
                return waiting
            self._blocked[waiting.person_id].append(place)
        return None

    def _end(self, ended: QueuedJob) -> None:
        for key in ended.limit_keys:
            self._running[key] -= 1
        for place in self._blocked.pop(ended.person_id, ()):
            heapq.heappush(self._unblocked, place)

    def _push_end(self, start: float, worker: Worker, queued: QueuedJob, *, needs_loading: bool) -> None:
        if not self._throughput.has_samples:  # then it is not known when a job ends
            return
        loading = load_seconds(worker, queued.model) if needs_loading else 0.0
        end = start + loading + self._estimate_seconds(worker, queued)
        heapq.heappush(self._ends, (end, next(self._numbers), worker, queued))

    def _estimate_seconds(self, worker: Worker, queued: QueuedJob) -> float:
        key = worker, queued.model
        if key not in self._seconds_per_cost:
            model = worker.registry.find(queued.model)
            self._seconds_per_cost[key] = model, self._throughput.seconds_per_cost(worker, queued.model)
        model, seconds = self._seconds_per_cost[key]
        return queued.cost(model) * seconds


def _idle_slots(workers: Iterable[Worker], running: RunningJobs) -> Iterable[Worker]:
    """Yield each ready worker once for every job that it takes now."""
    for worker in workers:
        if isinstance(worker.state, Ready) and not worker.draining:
            yield from [worker] * max(0, running.free_capacity(worker))
