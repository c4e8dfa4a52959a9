"""The metrics of each worker, where there are several; those of all together are in `metrics`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from generation.messages import Loading, Ready
from generation.queue.queue import Queue
from generation.worker.fleet import Fleet
from generation.worker.worker import Broken, Restarting, Worker

WORKER_STATES = {Loading: "loading", Ready: "ready", Restarting: "restarting", Broken: "broken"}


class WorkerCollector(Collector):
    """Measure the workers on request, and count their restarts as they happen."""

    def __init__(self, fleet: Fleet, queue: Queue) -> None:
        self._fleet, self._queue = fleet, queue
        self._restarts = Counter[str]()
        fleet.follow(self._on_state)

    def collect(self) -> Iterable[Metric]:
        """Yield a sample of each metric for each worker."""
        state = GaugeMetricFamily("atelier_device_state", "Whether a worker is in a state", labels=["worker", "state"])
        held = GaugeMetricFamily(
            "atelier_device_model_held", "Whether a model is in a worker's memory", labels=["worker", "model"]
        )
        jobs = GaugeMetricFamily("atelier_device_jobs", "Jobs that a worker is generating", labels=["worker"])
        restarts = CounterMetricFamily(
            "atelier_device_restarts", "Unexpected exits of a worker's GPU process", labels=["worker"]
        )
        for worker in self._fleet.workers:
            for kind, name in WORKER_STATES.items():
                state.add_metric([worker.name, name], isinstance(worker.state, kind))
            for model in worker.registry.models:
                held.add_metric([worker.name, model.name], model.name in worker.loaded_models)
            jobs.add_metric([worker.name], len(self._queue.running_on(worker)))
            restarts.add_metric([worker.name], self._restarts[worker.name])
        yield from (state, held, jobs, restarts)

    def _on_state(self, worker: Worker) -> None:
        if isinstance(worker.state, Restarting | Broken):
            self._restarts[worker.name] += 1
