"""The waiting jobs, by priority, then by the person served least recently, then by age."""

from __future__ import annotations

import asyncio
import itertools
import math
from bisect import bisect_left, insort
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from generation.job import Job, Speed
from generation.models.model import Model
from generation.planning.job_cost import job_cost
from generation.queue.limits import LimitKey, MemberLimits, limit_keys
from generation.worker.worker import Worker

MAX_WAIT_S = 30 * 60.0  # seconds after which a job gets top priority, so that relaxed jobs do not wait forever

_PRIORITIES = (Speed.TURBO, Speed.FAST, Speed.RELAX)
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Slot:
    """A job's permission to run on `worker`; `order` is the slot's number since the start."""

    worker: Worker
    order: int


@dataclass(slots=True, eq=False)
class QueuedJob:
    """A waiting job of a model; `since` is when it was enqueued, `slot` is None while nobody awaits it.

    It gets a slot on the worker to `avoid` only if no other is free.
    """

    job: Job
    model: str
    since: float
    member_limits: MemberLimits
    slot: asyncio.Future[Slot] | None = None
    avoid: Worker | None = None
    priority: int = field(init=False)
    limit_keys: tuple[LimitKey, LimitKey] = field(init=False)
    age: tuple[float, int] = field(init=False)  # by age, and by arrival where two jobs are of the same age
    _cost: tuple[Model | None, int] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.priority = _PRIORITIES.index(self.job.speed)
        self.limit_keys = limit_keys(self.job)
        self.age = self.job.asked_at, next(_numbers)

    @property
    def person_id(self) -> int:
        return self.job.requester.id

    def cost(self, model: Model | None) -> int:
        """Return the job's cost, which is computed once per model; a model is replaced when it has been loaded."""
        if self._cost is None or self._cost[0] is not model:
            self._cost = model, job_cost(self.job.params, model)
        return self._cost[1]


LastServed = tuple[int, float]
NEVER_SERVED: LastServed = 0, -math.inf
_Lane = tuple[int, int]  # a priority and a person
_Rank = tuple[LastServed, tuple[float, int], int]  # when the person was served, the age of the first job, the person


class FairOrder:
    """Keeps the waiting jobs in order while they come and go.

    The jobs of one priority and person are a lane, oldest first. Each priority has its lanes in a sorted list, so that
    a change costs two binary searches, however many jobs wait.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._jobs: dict[str, QueuedJob] = {}
        self._lanes: dict[_Lane, list[QueuedJob]] = {}
        self._ranks: list[list[_Rank]] = [[] for _ in _PRIORITIES]
        self._rank_of: dict[_Lane, _Rank] = {}
        self._last_served: dict[int, LastServed] = {}
        self._by_arrival = deque[QueuedJob]()
        self._counts = Counter[LimitKey]()

    def __len__(self) -> int:
        return len(self._jobs)

    def __getitem__(self, job_id: str) -> QueuedJob:
        return self._jobs[job_id]

    def get(self, job_id: str) -> QueuedJob | None:
        """Return a waiting job, None if there is none of this id."""
        return self._jobs.get(job_id)

    def count(self, key: LimitKey) -> int:
        """Return how many jobs wait under one of `limit_keys`."""
        return self._counts[key]

    def add(self, waiting: QueuedJob) -> None:
        """Add a job at its place, which for one that comes back is that of its age."""
        self._jobs[waiting.job.id] = waiting
        self._counts.update(waiting.limit_keys)
        insort(self._by_arrival, waiting, key=lambda each: each.since)
        self._enter_lane(waiting)

    def remove(self, job_id: str) -> None:
        """Remove a job; does nothing for one that does not wait."""
        waiting = self._jobs.pop(job_id, None)
        if waiting is not None:
            self._counts.subtract(waiting.limit_keys)
            self._leave_lane(waiting)

    def set_last_served(self, person_id: int, last_served: LastServed) -> None:
        """Set when a person was last served: the number of the slot, then the time before this start."""
        self._last_served[person_id] = last_served
        for priority in range(len(_PRIORITIES)):
            self._update_rank((priority, person_id))

    def in_order(self, may_run: Callable[[int], bool] = lambda _: True) -> Iterator[QueuedJob]:
        """Yield the jobs of the people for whom `may_run` is true, in fair order, before model affinity.

        Within a priority there are rounds of one job per person.
        """
        self._promote_overdue()
        for priority, ranks in enumerate(self._ranks):
            yield from _rounds(self._lanes[priority, person] for *_, person in ranks if may_run(person))

    def _promote_overdue(self) -> None:
        """Give top priority to the jobs that have waited too long."""
        now = self._clock()
        while self._by_arrival and (self._is_gone(self._by_arrival[0]) or now - self._by_arrival[0].since > MAX_WAIT_S):
            waiting = self._by_arrival.popleft()
            if waiting.priority > 0 and not self._is_gone(waiting):
                self._leave_lane(waiting)
                waiting.priority = 0
                self._enter_lane(waiting)

    def _is_gone(self, waiting: QueuedJob) -> bool:
        return self._jobs.get(waiting.job.id) is not waiting

    def _enter_lane(self, waiting: QueuedJob) -> None:
        lane = waiting.priority, waiting.person_id
        insort(self._lanes.setdefault(lane, []), waiting, key=lambda each: each.age)
        self._update_rank(lane)

    def _leave_lane(self, waiting: QueuedJob) -> None:
        lane = waiting.priority, waiting.person_id
        self._lanes[lane].remove(waiting)
        self._update_rank(lane)

    def _update_rank(self, lane: _Lane) -> None:
        """Move a lane to where its first job and its person's last slot put it; forget an empty one."""
        priority, person_id = lane
        ranks = self._ranks[priority]
        if (known := self._rank_of.pop(lane, None)) is not None:
            del ranks[bisect_left(ranks, known)]
        if jobs := self._lanes.get(lane):
            rank = self._last_served.get(person_id, NEVER_SERVED), jobs[0].age, person_id
            self._rank_of[lane] = rank
            insort(ranks, rank)
        else:
            self._lanes.pop(lane, None)


def _rounds(lanes: Iterator[list[QueuedJob]]) -> Iterator[QueuedJob]:
    """Yield the first job of each lane, then the second of each that has one, and so on."""
    longer = []
    for lane in lanes:
        yield lane[0]
        if len(lane) > 1:
            longer.append(lane)
    for position in itertools.count(1):
        if not longer:
            return
        yield from (lane[position] for lane in longer)
        longer = [lane for lane in longer if len(lane) > position + 1]
