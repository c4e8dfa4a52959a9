"""Estimates of how long jobs take, measured per model on finished jobs."""

from __future__ import annotations

from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.params import Params
from generation.planning.compute_cost import compute_cost

NEW_SAMPLE_WEIGHT = 0.2  # of the newest job in the moving average of the seconds per unit of cost


class ThroughputEstimator:
    """The seconds per unit of cost of each model; a model without samples uses those of the most similar one."""

    def __init__(self) -> None:
        self._seconds_per_cost: dict[str, float] = {}

    def record(self, params: Params, model: str, seconds: float, registry: ModelRegistry) -> None:
        """Record how long a job took."""
        sample = seconds / compute_cost(params, registry.find(model))
        known = self._seconds_per_cost.get(model, sample)
        self._seconds_per_cost[model] = known + NEW_SAMPLE_WEIGHT * (sample - known)

    @property
    def has_samples(self) -> bool:
        """Return whether any job was recorded; without one nothing can be estimated."""
        return bool(self._seconds_per_cost)

    def estimate_seconds(self, params: Params, model: str, registry: ModelRegistry) -> float:
        """Return the estimated seconds of a job."""
        reference = model if model in self._seconds_per_cost else self._most_similar(model, registry)
        return self._seconds_per_cost[reference] * compute_cost(params, registry.find(model))

    def _most_similar(self, name: str, registry: ModelRegistry) -> str:
        model = registry.find(name)

        def distance(other: str) -> tuple[bool, int]:
            other_model: Model | None = registry.find(other)
            if model is None or other_model is None:
                return True, 0
            return other_model.family is not model.family, abs(other_model.native_size - model.native_size)

        return min(self._seconds_per_cost, key=distance)
