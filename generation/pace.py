"""How long jobs take, as seen of those before them, model by model."""

from __future__ import annotations

from generation.models import Model
from generation.params import Params
from generation.passes import work
from generation.repertoire import Repertoire

NEW_SAMPLE_WEIGHT = 0.2  # of the newest job in the moving average of the seconds that work takes


class Pace:
    """The seconds that a model takes for a pixel's step; of one that nobody has seen, those of the most similar."""

    def __init__(self) -> None:
        self._seconds_per_work: dict[str, float] = {}

    def learn(self, params: Params, model: str, seconds: float, repertoire: Repertoire) -> None:
        """Take in how long a job took."""
        sample = seconds / work(params, repertoire.find(model))
        known = self._seconds_per_work.get(model, sample)
        self._seconds_per_work[model] = known + NEW_SAMPLE_WEIGHT * (sample - known)

    @property
    def is_known(self) -> bool:
        """Say whether anything was seen, before which nothing can be foreseen."""
        return bool(self._seconds_per_work)

    def seconds(self, params: Params, model: str, repertoire: Repertoire) -> float:
        """Foresee how long a job takes."""
        seen = model if model in self._seconds_per_work else self._most_similar(model, repertoire)
        return self._seconds_per_work[seen] * work(params, repertoire.find(model))

    def _most_similar(self, name: str, repertoire: Repertoire) -> str:
        model = repertoire.find(name)

        def distance(other: str) -> tuple[bool, int]:
            theirs: Model | None = repertoire.find(other)
            if model is None or theirs is None:
                return True, 0
            return theirs.family is not model.family, abs(theirs.native_size - model.native_size)

        return min(self._seconds_per_work, key=distance)
