"""With several workers, a job goes where it will be finished first."""

from __future__ import annotations

import pytest

from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.queue.fair_order import QueuedJob, Slot
from generation.queue.limits import NO_MEMBER_LIMITS
from generation.queue.placement import Placement, slowdown
from generation.queue.running_jobs import RunningJob, RunningJobs
from generation.queue.throughput import ThroughputEstimator
from tests.generation.queue.test_queue import make_job
from tests.support.reference_queue import ReferenceQueue
from tests.support.scripted_workers import LOAD_S, ScriptedWorker, Simulation, arrivals

NAMES = ("one", "two", "three")
REGISTRY = ModelRegistry(tuple(Model(name=name, ref=name) for name in NAMES))


def workers(number, **more):
    return [ScriptedWorker(REGISTRY, **more) for _ in range(number)]


class Floor:
    """Workers, what runs on them, and how fast they are known to be."""

    def __init__(self, *workers):
        self.workers = workers
        self.running, self.throughput = RunningJobs(), ThroughputEstimator()

    def run(self, worker, model="one", since=0.0, *, needs_loading=False):
        queued = QueuedJob(make_job(model=model), model, since, NO_MEMBER_LIMITS)
        self.running.add(RunningJob(queued, Slot(worker, 1), since, needs_loading))

    def measure(self, worker, seconds, model="one"):
        queued = QueuedJob(make_job(), model, 0.0, NO_MEMBER_LIMITS)
        self.throughput.record(worker, model, queued.cost(REGISTRY.find(model)), seconds)

    def choose(self, model="one", now=0.0):
        queued = QueuedJob(make_job(model=model), model, now, NO_MEMBER_LIMITS)
        return Placement(self.running, self.throughput).choose(queued, self.workers, now)


def test_an_idle_worker_is_preferred_and_of_equals_the_first():
    first, second = workers(2, loaded_models=frozenset(NAMES))
    floor = Floor(first, second)
    assert floor.choose() is first
    floor.run(first)
    assert floor.choose() is second


def test_a_worker_that_holds_the_model_is_preferred_to_an_idle_one():
    holder, idle = workers(2)
    holder.loaded_models = frozenset({"one"})
    floor = Floor(holder, idle)
    floor.measure(holder, 4.0)
    floor.run(holder, "one")
    assert floor.choose("one") is holder


def test_a_crowded_holder_is_left_for_a_worker_that_must_load():
    holder, idle = workers(2)
    holder.loaded_models = frozenset({"one"})
    floor = Floor(holder, idle)
    floor.measure(holder, 10.0)
    for _ in range(4):
        floor.run(holder, "one")
    assert 10.0 * slowdown(5) > LOAD_S + 10.0
    assert floor.choose("one") is idle


def test_a_model_that_is_being_loaded_counts_only_what_is_left():
    loading, idle = workers(2)
    floor = Floor(loading, idle)
    floor.measure(loading, 1.0)
    floor.run(loading, "one", since=0.0, needs_loading=True)
    assert floor.choose("one", now=LOAD_S - 1) is loading


def test_loads_wait_for_each_other():
    loading, idle = workers(2)
    floor = Floor(loading, idle)
    floor.measure(loading, 1.0)
    floor.run(loading, "one", since=0.0, needs_loading=True)
    assert floor.choose("two", now=1.0) is idle


def test_a_faster_worker_is_preferred_even_with_a_model_that_it_never_ran():
    slow, fast = workers(2, loaded_models=frozenset(NAMES))
    floor = Floor(slow, fast)
    for worker, seconds in ((slow, 8.0), (fast, 2.0)):
        floor.measure(worker, seconds, "one")
    floor.measure(slow, 8.0, "two")
    assert floor.choose("two") is fast
    floor.run(fast, "two")
    assert floor.choose("two") is fast


@pytest.mark.parametrize("seed", range(2))
async def test_eight_workers_with_three_models_rarely_load(seed):
    simulation = Simulation(workers(8))
    await simulation.run(arrivals(make_job, NAMES, 1.2, 600, seed))
    assert simulation.loads_per_100_jobs < 2


async def test_sixty_four_workers_of_three_speeds_with_twelve_models_rarely_load():
    names = [f"model {number}" for number in range(12)]
    registry = ModelRegistry(tuple(Model(name=name, ref=name) for name in names))
    found = [ScriptedWorker(registry, speed) for speed in (0.5, 1.0, 2.0, 1.0) * 16]
    await Simulation(found).run(arrivals(make_job, names, 14, 2000, 0))
    assert sum(max(0, worker.loads - 1) for worker in found) < 40  # of 2000 jobs, beside each worker's first load


async def test_models_that_do_not_fit_together_move_less_than_before():
    loads = []
    for kind in (Simulation, lambda each: Simulation(each, ReferenceQueue)):
        simulation = kind(workers(8, models_held=1))
        await simulation.run(arrivals(make_job, NAMES, 1.2, 500, 3))
        loads.append(simulation.loads_per_100_jobs)
    assert loads[0] < loads[1] / 2
