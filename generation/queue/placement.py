"""Choose the worker that will probably finish a job first."""

from __future__ import annotations

from collections.abc import Sequence

from generation.queue.fair_order import QueuedJob
from generation.queue.running_jobs import RunningJobs
from generation.queue.throughput import ThroughputEstimator
from generation.worker.worker import Worker

# How many times as long as alone a job takes beside others, by the number of jobs that share the worker. The engine
# merges their UNet calls, and a larger call uses a GPU better: these are the rates of a simulation, in shares of a full
# worker's, until they are measured on a GPU.
MERGED_RATES = (0.70, 0.85, 0.93, 0.97, 0.99, 1.0)


class Placement:
    """Estimates when each worker would finish a job."""

    def __init__(self, running: RunningJobs, throughput: ThroughputEstimator) -> None:
        self._running, self._throughput = running, throughput

    def choose(self, queued: QueuedJob, workers: Sequence[Worker], now: float) -> Worker:
        """Return the worker of least estimated finish; of equals, the first with the most free capacity."""
        if len(workers) == 1:
            return workers[0]
        return min(
            workers,
            key=lambda worker: (self._finish(queued, worker, now), -self._running.free_capacity(worker)),
        )

    def _finish(self, queued: QueuedJob, worker: Worker, now: float) -> float:
        """Return the estimated seconds until a worker has finished a job that gets a slot now."""
        seconds = 1.0
        if self._throughput.has_samples:
            cost = queued.cost(worker.registry.find(queued.model))
            seconds = self._throughput.seconds_per_cost(worker, queued.model) * cost
        jobs = len(self._running.of_worker(worker)) + 1
        return self._loading_left(worker, queued.model, now) + seconds * slowdown(jobs)

    def _loading_left(self, worker: Worker, model: str, now: float) -> float:
        """Return the seconds that a worker still loads models, this one included: it loads one after another."""
        loads = {
            running.model: max(0.0, load_seconds(worker, running.model) - (now - running.since))
            for running in self._running.of_worker(worker)
            if running.needs_loading and running.model not in worker.loaded_models
        }
        if model not in worker.loaded_models:
            loads.setdefault(model, load_seconds(worker, model))
        return sum(loads.values())


def slowdown(jobs: int) -> float:
    """Return how many times as long as alone a job takes where `jobs` jobs share a worker."""
    return jobs * MERGED_RATES[0] / MERGED_RATES[min(jobs, len(MERGED_RATES)) - 1]


def load_seconds(worker: Worker, model: str) -> float:
    """Return the estimated seconds of loading a model: as last time, or as the slowest one known."""
    return worker.load_seconds.get(model, max(worker.load_seconds.values(), default=0.0))
