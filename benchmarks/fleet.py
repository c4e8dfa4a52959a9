"""Simulate how many people a number of GPUs serves, with the bot's own queue: `python -m benchmarks.fleet`.

The queue runs in virtual time. A person asks once in 20 minutes; two of a hundred people are heavy: they ask for half
of everything, ten grids at once. A GPU that is full makes a grid in `--seconds`, which is assumed: measure it with
`python -m benchmarks.engine` on yours. There is one model.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import itertools
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.queue_speed import REGISTRY, make_job
from generation.job import Job
from generation.queue.limits import PersonQueueFull, QueueFull, QueueLimits
from generation.queue.placement import MERGED_RATES
from generation.queue.queue import Queue
from tests.support.scripted_workers import GRID_S, ScriptedWorker

GPUS = (1, 4, 16, 64)
PEOPLE = (100, 1_000, 10_000, 100_000)
LOADS = (0.7, 0.9, 0.98)
SECONDS_BETWEEN_JOBS = 1200  # of one person
HEAVY_SHARE, HEAVY_BURST = 0.02, 10
WAITING_PER_GPU = 25  # for WAITING_IN_ALL, which is 200 or more
FULL = 0.02  # refused jobs: more, and the queue counts as full
MODEL = REGISTRY.default.name


@dataclass
class Waits:
    """The seconds that the jobs of one kind of people waited."""

    seconds: list[float] = field(default_factory=list)

    def quantile(self, share: float) -> float:
        """Return the wait that this share of the jobs did not exceed."""
        return sorted(self.seconds)[min(len(self.seconds) - 1, int(share * len(self.seconds)))] if self.seconds else 0.0

    def __str__(self) -> str:
        return f"{self.quantile(0.5):.0f}/{self.quantile(0.99):.0f}"


class Hour:
    """Some of a busy hour, in virtual time."""

    def __init__(self, gpus: int, seconds: float, seed: int) -> None:
        self.now, self.chance = 0.0, random.Random(seed)
        speed = GRID_S * MERGED_RATES[0] / seconds  # of a worker that has one job
        workers = [ScriptedWorker(REGISTRY, speed, loaded_models=frozenset({MODEL})) for _ in range(gpus)]
        limits = QueueLimits(waiting_in_all=max(200, WAITING_PER_GPU * gpus))
        self.queue = Queue(workers, limits, lambda: self.now)
        self.light, self.heavy = Waits(), Waits()
        self.processor_seconds = 0.0
        self._asked = self._refused = 0  # since the queue was full for the first time
        self._ends: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, people: int, jobs: int) -> None:
        """Simulate until about so many jobs were asked for, and the accepted ones have ended."""
        started = time.process_time()
        heavy = max(1, round(HEAVY_SHARE * people))
        rate = people / SECONDS_BETWEEN_JOBS / 2  # of the jobs of each kind of people
        next_light, next_burst, asked = self._after(rate), self._after(rate / HEAVY_BURST), 0
        while asked < jobs:
            await self._end_jobs_until(min(next_light, next_burst))
            if next_light < next_burst:
                asked += self._ask(self.chance.randrange(heavy, people), 1, self.light)
                next_light = self._after(rate)
            else:
                asked += self._ask(self.chance.randrange(heavy), HEAVY_BURST, self.heavy)
                next_burst = self._after(rate / HEAVY_BURST)
            await settle()
        await self._end_jobs_until(float("inf"))
        self.processor_seconds = time.process_time() - started

    @property
    def refused(self) -> float:
        """Return the share of the jobs that are refused once the queue is full."""
        return self._refused / self._asked if self._asked else 0.0

    def _after(self, rate: float) -> float:
        return self.now + self.chance.expovariate(rate)

    def _ask(self, person_id: int, number: int, waits: Waits) -> int:
        for _ in range(number):
            job = make_job(person_id, asked_at=self.now, model=MODEL)
            self._asked += self._asked > 0
            try:
                self.queue.enqueue(job)
            except QueueFull:
                self._asked, self._refused = max(1, self._asked), self._refused + 1
            except PersonQueueFull:  # a heavy person who asks again before the last ten are done
                self._asked -= self._asked > 0
            else:
                task = asyncio.create_task(self._run(job, waits))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        return number

    async def _run(self, job: Job, waits: Waits) -> None:
        asked = self.now
        async with self.queue.acquire(job) as slot:
            waits.seconds.append(self.now - asked)
            worker = slot.worker
            assert isinstance(worker, ScriptedWorker)
            ended = asyncio.get_running_loop().create_future()
            heapq.heappush(self._ends, (worker.start(MODEL, self.now), next(self._numbers), ended))
            await ended
            worker.jobs -= 1

    async def _end_jobs_until(self, end: float) -> None:
        while self._ends and self._ends[0][0] <= end:
            self.now, _, ended = heapq.heappop(self._ends)
            ended.set_result(None)
            await settle()
        self.now = max(self.now, end) if end < float("inf") else self.now


async def settle() -> None:
    """Let the queue grant its slots, and the jobs begin and end."""
    for _ in range(4):
        await asyncio.sleep(0)


async def simulate(people: int, gpus: int, arguments: argparse.Namespace) -> Hour:
    """Simulate people and GPUs."""
    hour = Hour(gpus, arguments.seconds, arguments.seed)
    await hour.run(people, max(arguments.jobs, 12 * gpus * len(MERGED_RATES)))
    return hour


def people_for_load(load: float, gpus: int, seconds: float) -> int:
    """Return how many people keep a share of so many GPUs busy."""
    return round(load * gpus / seconds * SECONDS_BETWEEN_JOBS)


def _cell(hour: Hour) -> str:
    if hour.refused > FULL:
        return f"full, {100 * hour.refused:.0f} % refused"
    return f"{hour.light}, {hour.heavy}"


def _row(first: str, cells: Sequence[str]) -> str:
    return f"{first:>9}" + "".join(f"  {cell:>22}" for cell in cells)


async def _compare(arguments: argparse.Namespace) -> None:
    heading = [f"{gpus} GPU{'s' if gpus > 1 else ''}" for gpus in GPUS]
    print("seconds of waiting: light people p50/p99, heavy people p50/p99\n" + _row("people", heading))
    hours = list[Hour]()
    for people in PEOPLE:
        hours += [await simulate(people, gpus, arguments) for gpus in GPUS]
        print(_row(f"{people:,}", list(map(_cell, hours[-len(GPUS) :]))), flush=True)
    print("\nthe same load of each GPU\n" + _row("load", heading))
    for load in LOADS:
        hours += [await simulate(people_for_load(load, gpus, arguments.seconds), gpus, arguments) for gpus in GPUS]
        print(_row(f"{load:.2f}", list(map(_cell, hours[-len(GPUS) :]))), flush=True)
    jobs = sum(len(waits.seconds) for hour in hours for waits in (hour.light, hour.heavy))
    cost = 1000 * sum(hour.processor_seconds for hour in hours) / jobs
    print(f"\n{cost:.2f} ms of processor time per job, the simulation's included")


def main() -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="that a full GPU takes for a grid")
    parser.add_argument("--jobs", type=int, default=6000, help="jobs of each simulation, more for many GPUs")
    parser.add_argument("--seed", type=int, default=0)
    asyncio.run(_compare(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
