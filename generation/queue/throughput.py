"""Estimates of how long jobs take, measured per worker and model on finished jobs."""

from __future__ import annotations

from statistics import fmean

from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.worker.worker import Worker

NEW_SAMPLE_WEIGHT = 0.2  # of the newest job in the moving average of the seconds per unit of cost


class ThroughputEstimator:
    """The seconds per unit of cost of each worker and model.

    A worker without samples of a model uses the other workers' seconds of that model, times how fast it is beside them
    with the models that both have run. A model without any samples uses those of the most similar one.
    """

    def __init__(self) -> None:
        self._seconds_per_cost: dict[str, dict[Worker, float]] = {}

    def record(self, worker: Worker, model: str, cost: int, seconds: float) -> None:
        """Record how long a job of this cost took."""
        sample = seconds / cost
        of_model = self._seconds_per_cost.setdefault(model, {})
        known = of_model.get(worker, sample)
        of_model[worker] = known + NEW_SAMPLE_WEIGHT * (sample - known)

    def forget(self, worker: Worker) -> None:
        """Forget a worker that has gone, but keep what its models take if no other has run them."""
        for of_model in self._seconds_per_cost.values():
            if len(of_model) > 1:
                of_model.pop(worker, None)

    @property
    def has_samples(self) -> bool:
        """Return whether any job was recorded; without one nothing can be estimated."""
        return bool(self._seconds_per_cost)

    def seconds_per_cost(self, worker: Worker, model: str) -> float:
        """Return the estimated seconds that a worker needs per unit of a model's cost; some sample must be known."""
        reference = model if model in self._seconds_per_cost else self._most_similar(model, worker.registry)
        of_model = self._seconds_per_cost[reference]
        if worker in of_model:
            return of_model[worker]
        return fmean(of_model.values()) * self._relative_seconds(worker)

    def _relative_seconds(self, worker: Worker) -> float:
        """Return how many times as long as the others a worker takes, over the models that it has run; else 1."""
        ratios = [
            of_model[worker] / fmean(others)
            for of_model in self._seconds_per_cost.values()
            if worker in of_model and (others := [each for key, each in of_model.items() if key is not worker])
        ]
        return fmean(ratios) if ratios else 1.0

    def _most_similar(self, name: str, registry: ModelRegistry) -> str:
        model = registry.find(name)

        def distance(other: str) -> tuple[bool, int]:
            other_model: Model | None = registry.find(other)
            if model is None or other_model is None:
                return True, 0
            return other_model.family is not model.family, abs(other_model.native_size - model.native_size)

        return min(self._seconds_per_cost, key=distance)
