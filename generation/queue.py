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

from generation.errors import Complaint, WorkerDied
from generation.job import Job, Speed
from generation.lookahead import FARTHEST, Candidate, LookAhead
from generation.messages import Ready
from generation.pace import Pace
from generation.worker import Broken, Worker

PATIENCE = 30 * 60.0  # seconds after which a job is as urgent as any: the relaxed wait long, but not for ever


class QueueFull(Complaint):
    """So many jobs wait, of everyone together, that no more are taken."""


class PersonQueueFull(Complaint):
    """One person has as many jobs waiting as a person may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many jobs may wait and run."""

    waiting_per_person: int = 10
    running_per_person: int = 3
    waiting_in_all: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """How many jobs one person may have waiting and running in one guild, where that is less than the limits."""

    waiting: int | None = None
    running: int | None = None


NO_ALLOWANCE = Allowance()


@dataclass(frozen=True, slots=True)
class Turn:
    """A job's permission to run on `worker`; `order` counts the turns that were given."""

    worker: Worker
    order: int


@dataclass(frozen=True, slots=True)
class Place:
    """A waiting job's position, 1 being the next, and the estimated seconds until it starts where they are known."""

    position: int
    seconds: float | None


_Key = tuple[int | None, ...]


@dataclass(slots=True, eq=False)
class _Waiting:
    job: Job
    since: float
    allowance: Allowance
    granted: asyncio.Future[Turn] | None = None  # None as long as nobody awaits the turn


@dataclass(frozen=True, slots=True, eq=False)
class _Running:
    job: Job
    turn: Turn
    since: float
    loads: bool  # whether its model was not held when it was given its turn


class Queue:
    """Shares `workers` fairly; the turns of one event-loop tick are given together, whoever asked first in it."""

    def __init__(self, workers: Sequence[Worker], limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._workers, self._limits, self._clock = workers, limits, clock
        self._waiting: dict[str, _Waiting] = {}
        self._running: dict[str, _Running] = {}
        self._remembered: dict[int, float] = {}
        self._served: dict[int, int] = {}
        self._orders = itertools.count(1)
        self._look_ahead = LookAhead()
        self._pace = Pace()
        self._subscribers: list[Callable[[], None]] = []
        self._places: dict[str, tuple[int, float | None]] | None = None
        self._due = False
        for worker in workers:
            worker.subscribe(self._changed)

    @property
    def waiting(self) -> list[Job]:
        """Give the waiting jobs in the order of their turns, as far as it is known now."""
        return [waiting.job for waiting in self._turns_ahead()]

    @property
    def running(self) -> list[Job]:
        """Give the jobs that have a turn, oldest turn first."""
        return [running.job for running in self._running.values()]

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Have `callback` called in the event loop when places may have changed."""
        self._subscribers.append(callback)

    def remember(self, person_id: int, when: float) -> None:
        """Take over when a person was last served before this start, in seconds of any clock."""
        self._remembered[person_id] = when

    def check(
        self, person_id: int, guild_id: int | None = None, allowance: Allowance = NO_ALLOWANCE, jobs: int = 1
    ) -> None:
        """Raise QueueFull or PersonQueueFull when `jobs` more jobs of this person would be too many."""
        mine = [waiting.job for waiting in self._waiting.values() if waiting.job.asker.id == person_id]
        here = [job for job in mine if job.destination.guild_id == guild_id]
        _refuse_over(self._limits.waiting_per_person, len(mine), jobs, "person")
        if allowance.waiting is not None:
            _refuse_over(allowance.waiting, len(here), jobs, "member of this server with your roles")
        if len(self._waiting) + jobs > self._limits.waiting_in_all:
            raise QueueFull(
                f"The queue is full: {_jobs(len(self._waiting))} are waiting, and {self._limits.waiting_in_all} is the "
                "most. Try again in a while."
            )

    def enter(self, job: Job, allowance: Allowance = NO_ALLOWANCE) -> None:
        """Check the limits and take a place in one go; follow it with `turn`, or with `leave` where that fails.

        Raises QueueFull and PersonQueueFull. The allowance is not remembered over a restart.
        """
        self.check(job.asker.id, job.destination.guild_id, allowance)
        self._waiting[job.id] = _Waiting(job, self._clock(), allowance)
        self._changed()

    def leave(self, job_id: str) -> None:
        """Give up a place that was taken with `enter`; harmless for a job that has none."""
        self._forget(job_id)
        self._changed()

    @asynccontextmanager
    async def turn(self, job: Job) -> AsyncIterator[Turn]:
        """Wait for the job's turn and hold it for the block; no limits are checked for a job that has not entered.

        Cancelling the task is all it takes to leave. A turn that ends with WorkerDied, or is cancelled before the
        block has begun, does not count as served.
        """
        waiting = self._waiting.setdefault(job.id, _Waiting(job, self._clock(), NO_ALLOWANCE))
        waiting.granted = asyncio.get_running_loop().create_future()
        self._changed()
        served = False
        try:
            turn = await waiting.granted
            served = True
            yield turn
            self._learn(self._running[job.id])
        except WorkerDied:
            served = False
            raise
        finally:
            self._end(job, served)

    def place(self, job_id: str) -> Place | None:
        """Say where a job stands; None when it does not wait."""
        if self._places is None:
            self._places = self._estimate()
        if job_id not in self._places:
            return None
        position, start = self._places[job_id]
        return Place(position, None if start is None else max(0.0, start - self._clock()))

    def _end(self, job: Job, served: bool) -> None:
        self._forget(job.id)
        running = self._running.pop(job.id, None)
        if running is not None and served:
            self._served[job.asker.id] = max(self._served.get(job.asker.id, 0), running.turn.order)
        self._changed()

    def _forget(self, job_id: str) -> None:
        self._waiting.pop(job_id, None)
        self._look_ahead.forget(job_id)

    def _changed(self) -> None:
        self._places = None
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._settle)

    def _settle(self) -> None:
        self._due = False
        self._places = None
        while self._grant():
            pass
        for callback in self._subscribers:
            callback()

    def _grant(self) -> bool:
        """Give one turn, where there is a free worker and somebody who may have it."""
        if (worker := self._free_worker()) is None:
            return False
        able = list(islice(filter(self._may_run, self._in_order()), FARTHEST))
        if not able:
            return False
        chosen = self._look_ahead.take([*map(self._candidate, able)], worker.held, self._clock())
        waiting, turn = self._waiting[chosen.job_id], Turn(worker, next(self._orders))
        assert waiting.granted is not None
        self._forget(chosen.job_id)
        self._running[chosen.job_id] = _Running(waiting.job, turn, self._clock(), chosen.model not in worker.held)
        waiting.granted.set_result(turn)
        return True

    def _candidate(self, waiting: _Waiting) -> Candidate:
        return Candidate(waiting.job.id, self._model_of(waiting.job), self._urgency(waiting))

    def _model_of(self, job: Job) -> str:
        return self._workers[0].repertoire.name_of(job.params) if self._workers else job.params.model

    def _may_run(self, waiting: _Waiting) -> bool:
        if waiting.granted is None or waiting.granted.done():  # done: cancelled in this very tick
            return False
        return self._is_within_limits(
            waiting, Counter(key for each in self._running.values() for key in _keys(each.job))
        )

    def _is_within_limits(self, waiting: _Waiting, running: Counter[_Key]) -> bool:
        of_person, here = (running[key] for key in _keys(waiting.job))
        allowed = waiting.allowance.running
        return of_person < self._limits.running_per_person and (allowed is None or here < allowed)

    def _free_worker(self) -> Worker | None:
        """Give the emptiest worker that has room; one that is broken only when all are, so that it can say so."""
        able = [worker for worker in self._workers if isinstance(worker.state, Ready)]
        if not able and all(isinstance(worker.state, Broken) for worker in self._workers):
            able = list(self._workers)
        emptiest = max(able, key=self._room, default=None)
        return emptiest if emptiest is not None and self._room(emptiest) > 0 else None

    def _room(self, worker: Worker) -> int:
        return worker.capacity - sum(running.turn.worker is worker for running in self._running.values())

    def _turns_ahead(self) -> list[_Waiting]:
        """Give the waiting jobs as turns will be given if nothing else changes."""
        left = [self._candidate(waiting) for waiting in self._in_order()]
        held, look_ahead, turns = self._held(), self._look_ahead.copy(), list[Candidate]()
        while left:
            turns.append(look_ahead.take(left, held, self._clock()))
            left.remove(turns[-1])
            held = held | {turns[-1].model}
        return [self._waiting[turn.job_id] for turn in turns]

    def _held(self) -> frozenset[str]:
        """Give the models that are held, or will be when those who have a turn draw."""
        to_come = (self._model_of(running.job) for running in self._running.values())
        return frozenset(to_come).union(*(worker.held for worker in self._workers))

    def _in_order(self) -> list[_Waiting]:
        """Give the waiting jobs in the order of their right to a turn."""
        by_urgency: dict[int, list[_Waiting]] = {}
        for waiting in sorted(self._waiting.values(), key=lambda waiting: waiting.job.asked_at):
            by_urgency.setdefault(self._urgency(waiting), []).append(waiting)
        return [waiting for _, equals in sorted(by_urgency.items()) for waiting in self._dealt_out(equals)]

    def _urgency(self, waiting: _Waiting) -> int:
        impatient = self._clock() - waiting.since > PATIENCE
        return 0 if impatient else _URGENCIES.index(waiting.job.speed)

    def _dealt_out(self, by_age: list[_Waiting]) -> list[_Waiting]:
        """Deal out jobs one a person and round, beginning with the person served least recently."""
        lanes: dict[int, list[_Waiting]] = {}
        for waiting in by_age:
            lanes.setdefault(waiting.job.asker.id, []).append(waiting)
        by_service = sorted(lanes.items(), key=lambda lane: (self._last_served(lane[0]), lane[1][0].job.asked_at))
        rounds = itertools.zip_longest(*(lane for _, lane in by_service))
        return [waiting for round_ in rounds for waiting in round_ if waiting is not None]

    def _last_served(self, person_id: int) -> tuple[int, float]:
        running = (job.turn.order for job in self._running.values() if job.job.asker.id == person_id)
        return max((self._served.get(person_id, 0), *running)), self._remembered.get(person_id, -math.inf)

    def _learn(self, ended: _Running) -> None:
        if not ended.loads:
            repertoire = self._workers[0].repertoire
            self._pace.learn(ended.job.params, self._model_of(ended.job), self._clock() - ended.since, repertoire)

    def _estimate(self) -> dict[str, tuple[int, float | None]]:
        waiting = self._turns_ahead()
        starts = self._starts(deque(waiting))
        return {each.job.id: (place, starts.get(each.job.id)) for place, each in enumerate(waiting, start=1)}

    def _starts(self, waiting: deque[_Waiting]) -> dict[str, float]:
        """Play the queue forward: when each job starts, as far as the pace is known and there is a worker for it."""
        now, held, starts = self._clock(), self._held(), dict[str, float]()
        if not self._pace.is_known:
            return starts
        free = sum(max(0, self._room(worker)) for worker in self._workers if isinstance(worker.state, Ready))
        ends = [
            (each.since + self._foreseen(each.job, loads=each.loads), each.job.id, each.job)
            for each in self._running.values()
        ]
        heapq.heapify(ends)
        running = Counter(key for _, _, job in ends for key in _keys(job))
        while waiting:
            first = next((each for each in waiting if self._is_within_limits(each, running)), None)
            if free and first:
                starts[first.job.id] = now
                waiting.remove(first)
                loads = self._model_of(first.job) not in held
                heapq.heappush(ends, (now + self._foreseen(first.job, loads=loads), first.job.id, first.job))
                held |= {self._model_of(first.job)}
                running.update(_keys(first.job))
                free -= 1
            elif ends:
                end, _, job = heapq.heappop(ends)
                now = max(now, end)
                running.subtract(_keys(job))
                free += 1
            else:
                break
        return starts

    def _foreseen(self, job: Job, *, loads: bool) -> float:
        """Give the seconds that a job takes, with those of loading its model first where that is not held."""
        worker, model = self._workers[0], self._model_of(job)
        loading = worker.load_seconds.get(model, max(worker.load_seconds.values(), default=0.0)) if loads else 0.0
        return self._pace.seconds(job.params, model, worker.repertoire) + loading


def _keys(job: Job) -> tuple[_Key, _Key]:
    """Give what a running job counts for: its owner's jobs, and those in one guild."""
    return (job.asker.id,), (job.asker.id, job.destination.guild_id)


_URGENCIES = (Speed.TURBO, Speed.FAST, Speed.RELAX)


def _refuse_over(limit: int, waiting: int, jobs: int, whom: str) -> None:
    if waiting + jobs > limit:
        more = f", and {jobs} more are too many:" if jobs > 1 else ", and"
        raise PersonQueueFull(
            f"You already have {_jobs(waiting)} waiting{more} {limit} is the most for one {whom}. "
            "Try again when one of them has started, or cancel one."
        )


def _jobs(number: int) -> str:
    return f"{number} job{'' if number == 1 else 's'}"
