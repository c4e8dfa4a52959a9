"""Whose turn is next where models differ: one that is held goes first, but never past anybody for long."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import islice

MAX_CANDIDATES = 16  # jobs that are looked at
MAX_SKIPS = 6  # that one job is passed by others
MAX_SKIPPED_S = 60.0  # seconds from the first time on


@dataclass(frozen=True, slots=True)
class Candidate:
    """A job that could have its turn now; those of the same `urgency` are of equal right."""

    job_id: str
    model: str
    priority: int


class ModelAffinity:
    """Remembers who was passed by others, how often and since when."""

    def __init__(self) -> None:
        self._skipped: dict[str, tuple[int, float]] = {}

    def choose(self, candidates: Sequence[Candidate], loaded_models: Container[str], now: float) -> Candidate:
        """Choose whose turn is next out of `candidates`, who come in the order of their right, and note who is passed.

        It is the first whose model is held, among those as urgent as the very first and up to the first who has been
        passed too often, or too long ago; if there is none, the very first.
        """
        chosen = self._first_loaded(candidates, loaded_models, now)
        for skipped in candidates[: candidates.index(chosen)]:
            times, since = self._skipped.get(skipped.job_id, (0, now))
            self._skipped[skipped.job_id] = times + 1, since
        return chosen

    def forget(self, job_id: str) -> None:
        """Forget a job that waits no more."""
        self._skipped.pop(job_id, None)

    def copy(self) -> ModelAffinity:
        """Give one that knows the same, to play the queue forward."""
        other = ModelAffinity()
        other._skipped = dict(self._skipped)
        return other

    def _first_loaded(self, candidates: Sequence[Candidate], loaded_models: Container[str], now: float) -> Candidate:
        for candidate in islice(candidates, MAX_CANDIDATES):
            if candidate.priority != candidates[0].priority:
                break
            if candidate.model in loaded_models:
                return candidate
            if not self._may_be_skipped(candidate, now):
                break
        return candidates[0]

    def _may_be_skipped(self, candidate: Candidate, now: float) -> bool:
        times, since = self._skipped.get(candidate.job_id, (0, now))
        return times < MAX_SKIPS and now - since <= MAX_SKIPPED_S
