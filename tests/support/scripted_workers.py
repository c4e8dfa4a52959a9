"""Workers in virtual time that hold a few models each, and people who ask them for images."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from generation.job import Job
from generation.messages import Ready
from generation.models.registry import ModelRegistry
from generation.params import Params
from generation.queue.limits import QueueLimits
from generation.queue.placement import slowdown
from generation.queue.queue import Queue

LOAD_S, GRID_S = 12.0, 4.0
ROOM_FOR_ALL = QueueLimits(waiting_per_person=10**9, running_per_person=3, waiting_in_all=10**9)


@dataclass(eq=False)
class ScriptedWorker:
    """A worker that generates a grid in `GRID_S / speed` seconds alone and keeps the models it used last."""

    registry: ModelRegistry
    speed: float = 1.0
    models_held: int = 3
    capacity: int = 6
    loaded_models: frozenset[str] = frozenset()
    load_seconds: dict[str, float] = field(default_factory=dict)
    loads: int = 0
    jobs: int = 0
    free_to_load_at: float = 0.0
    last_used: list[str] = field(default_factory=list)
    draining: bool = False

    def __post_init__(self) -> None:
        self.state = Ready(self.registry.default, "cpu")
        self.load_seconds = {model.name: LOAD_S for model in self.registry.models}

    def can_draw(self, params: Params) -> bool:
        """Return that the worker has all models."""
        return True

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Ignore the callback: nothing happens here except what the simulation does."""

    def start(self, model: str, now: float) -> float:
        """Start a job and return when it ends."""
        self.jobs += 1
        ready = now
        if model not in self.loaded_models:
            self.loads += 1
            ready = self.free_to_load_at = max(now, self.free_to_load_at) + LOAD_S
        self.last_used = [model, *(each for each in self.last_used if each != model)][: self.models_held]
        self.loaded_models = frozenset(self.last_used)
        return ready + GRID_S / self.speed * slowdown(self.jobs)


class Simulation:
    """A queue in virtual time: `jobs` are pairs of a time and a job, in order of time."""

    def __init__(self, workers: Sequence[ScriptedWorker], queue: Callable[..., Queue] = Queue) -> None:
        self.now = 0.0
        self.workers = workers
        self.queue = queue(workers, ROOM_FOR_ALL, lambda: self.now)
        self.waits: dict[int, list[float]] = {}
        self._ends: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    async def run(self, jobs: Sequence[tuple[float, Job]]) -> None:
        """Run until every job has ended."""
        pending, tasks = list(reversed(jobs)), list[asyncio.Task[None]]()
        while pending or self._ends or any(not task.done() for task in tasks):
            asks_at = pending[-1][0] if pending else float("inf")
            if self._ends and self._ends[0][0] <= asks_at:
                self.now, _, end = heapq.heappop(self._ends)
                end.set_result(None)
            elif pending:
                self.now, job = pending.pop()
                self.queue.enqueue(job)
                tasks.append(asyncio.create_task(self._job(job)))
            for _ in range(4):
                await asyncio.sleep(0)

    async def _job(self, job: Job) -> None:
        asked = self.now
        async with self.queue.acquire(job) as slot:
            self.waits.setdefault(job.requester.id, []).append(self.now - asked)
            worker = next(worker for worker in self.workers if worker is slot.worker)
            end = asyncio.get_running_loop().create_future()
            heapq.heappush(self._ends, (worker.start(job.params.model, self.now), next(self._numbers), end))
            await end
            worker.jobs -= 1

    @property
    def loads_per_100_jobs(self) -> float:
        """Return how often a model was loaded per 100 jobs."""
        return 100 * sum(worker.loads for worker in self.workers) / sum(map(len, self.waits.values()))


def arrivals(
    make_job: Callable[..., Job], models: Sequence[str], jobs_per_s: float, count: int, seed: int, people: int = 200
) -> list[tuple[float, Job]]:
    """Return jobs that arrive at random; the first models are asked for more often than the later ones."""
    chance, now, jobs = random.Random(seed), 0.0, []
    weights = [1 / place for place in range(1, len(models) + 1)]
    for _ in range(count):
        now += chance.expovariate(jobs_per_s)
        model = chance.choices(models, weights)[0]
        jobs.append((now, make_job(chance.randint(1, people), asked_at=now, model=model)))
    return jobs
