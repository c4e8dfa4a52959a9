"""Time the queue, and how often several workers load models: `python -m benchmarks.queue_speed`.

It is compared with the plain rules (`tests/support/reference_queue.py`), which sort and count everything for each slot,
and place a job on the emptiest worker. Both queues get the same jobs in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import sys
import time
from typing import NamedTuple

from generation.job import Action, Destination, Job, Requester
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.params import Params, PromptPart
from generation.queue.queue import Queue
from tests.support.reference_queue import ReferenceQueue
from tests.support.scripted_workers import ROOM_FOR_ALL, ScriptedWorker, Simulation, arrivals

MODELS = ("one", "two", "three")
REGISTRY = ModelRegistry(tuple(Model(name=name, ref=name) for name in MODELS))
SIZES = ((20, 1), (200, 1), (200, 16), (1000, 64), (3000, 64))  # waiting jobs, workers
SLOW_SIZE = 1000  # waiting jobs beyond which the plain rules take minutes
TARGET_JOB_MS = 1.0
TARGET_POSITIONS_MS = 5.0

_numbers = itertools.count()

QueueKind = type[Queue] | type[ReferenceQueue]


def make_job(person_id: int, *, asked_at: float, model: str) -> Job:
    """Return a grid of one person."""
    params = Params(
        parts=(PromptPart("a fox"),),
        seed=1,
        width=512,
        height=512,
        num_inference_steps=20,
        guidance_scale=7.0,
        model=model,
    )
    destination = Destination(guild_id=1, channel_id=1, by_channel=True, token="", token_expires_at=0.0, upload_limit=1)
    return Job(
        id=f"{next(_numbers):012x}",
        action=Action.IMAGINE,
        params=params,
        requester=Requester(person_id, "somebody"),
        destination=destination,
        parent=None,
        asked_at=asked_at,
    )


class Milliseconds(NamedTuple):
    """Processor time: of a job's arrival, slot and end, of all positions after a change, also with all starts."""

    job: float
    positions: float
    all_starts: float


class Load:
    """A queue with `waiting` jobs, and as many running ones as its workers take."""

    def __init__(self, kind: QueueKind, waiting: int, workers: int) -> None:
        self.chance, self.now, self.waiting = random.Random(1), 0.0, waiting
        held = [frozenset(self.chance.sample(MODELS, 2)) for _ in range(workers)]
        scripted = [ScriptedWorker(REGISTRY, loaded_models=models) for models in held]
        self.queue = kind(scripted, ROOM_FOR_ALL, lambda: self.now)
        self.ends: list[asyncio.Future[None]] = []
        self.tasks: list[asyncio.Task[None]] = []
        for _ in range(waiting + 6 * workers):
            self.ask()

    def ask(self) -> str:
        """Enqueue a job of a random person and model, and return its id."""
        self.now += 1
        person = self.chance.randint(1, max(2, self.waiting // 5))
        job = make_job(person, asked_at=self.now, model=self.chance.choice(MODELS))
        self.queue.enqueue(job)
        self.tasks.append(asyncio.create_task(self._run(job)))
        return job.id

    async def _run(self, job: Job) -> None:
        async with self.queue.acquire(job):
            self.ends.append(asyncio.get_running_loop().create_future())
            await self.ends[-1]

    async def replace_one(self) -> str:
        """End a random running job, and enqueue another."""
        self.ends.pop(self.chance.randrange(len(self.ends))).set_result(None)
        job_id = self.ask()
        await settle()
        return job_id

    async def close(self) -> None:
        """Cancel every job."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def settle() -> None:
    """Let the queue grant its slots, and the jobs begin."""
    for _ in range(4):
        await asyncio.sleep(0)


async def measure(kind: QueueKind, waiting: int, workers: int, jobs: int) -> Milliseconds:
    """Return the processor times of one queue; of the positions and starts, the shortest."""
    load = Load(kind, waiting, workers)
    await settle()
    await load.replace_one()  # so that throughput is known
    start = time.process_time()
    for _ in range(jobs):
        await load.replace_one()
    per_job = (time.process_time() - start) / jobs
    positions, all_starts = [], []
    for _ in range(7):
        await load.replace_one()
        load.now += 10
        order = load.queue.waiting
        start = time.process_time()
        load.queue.position(order[0].id)
        positions.append(time.process_time() - start)
        load.queue.position(order[-1].id)
        all_starts.append(time.process_time() - start)
    await load.close()
    return Milliseconds(1000 * per_job, 1000 * min(positions), 1000 * min(all_starts))


async def compare_speed() -> bool:
    """Print both queues' times; return whether the target is met."""
    print("ms of processor time: ours, plain rules\n")
    print(
        f"{'waiting':>7} {'workers':>7}"
        + "".join(f"{title:>25}" for title in ("a job", "positions", "with all starts"))
    )
    met = True
    for waiting, workers in SIZES:
        ours = await measure(Queue, waiting, workers, 200)
        plain = await measure(ReferenceQueue, waiting, workers, 20) if waiting <= SLOW_SIZE else None
        print(f"{waiting:7} {workers:7}" + "".join(map(_pair, ours, plain or itertools.repeat(None))), flush=True)
        met = met and ours.job < TARGET_JOB_MS and ours.positions < TARGET_POSITIONS_MS
    return met


def _pair(ours: float, plain: float | None) -> str:
    return f"{ours:15.2f}{'–' if plain is None else f'{plain:.2f}':>10}"


async def compare_placement(jobs: int) -> None:
    """Print how often eight workers load models, and how long people wait, in virtual time."""
    print("\nmodels held   loads per 100 jobs: ours, plain rules   wait p50, p99 (s): ours, plain rules")
    for held in (1, 2, 3):
        row, waits = f"{held:11}   ", ""
        for kind in (Queue, ReferenceQueue):
            simulation = Simulation([ScriptedWorker(REGISTRY, models_held=held) for _ in range(8)], kind)  # type: ignore[arg-type]
            await simulation.run(arrivals(make_job, MODELS, 1.2, jobs, seed=0))
            every = sorted(wait for of_person in simulation.waits.values() for wait in of_person)
            row += f"{simulation.loads_per_100_jobs:19.1f} "
            waits += f"   {every[len(every) // 2]:5.1f} {every[int(len(every) * 0.99)]:5.1f}"
        print(row + waits)


def main() -> int:
    """Run both comparisons; return 1 if a job or the positions cost more than their target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1500, help="jobs of the placement's simulation")
    arguments = parser.parse_args()
    met = asyncio.run(compare_speed())
    asyncio.run(compare_placement(arguments.jobs))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
