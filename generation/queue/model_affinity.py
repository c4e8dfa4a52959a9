"""Prefer jobs whose model is loaded, without delaying any other job for long."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile

MAX_CANDIDATES = 16  # jobs that are considered
MAX_SKIPS = 6  # how often other jobs may skip one job
MAX_SKIPPED_S = 60.0  # seconds after its first skip


@dataclass(frozen=True, slots=True)
class Candidate:
    """A job that could run now; only jobs of the same `priority` may skip each other."""

    job_id: str
    model: str
    priority: int


class ModelAffinity:
    """Records which jobs were skipped, how often and since when."""

    def __init__(self) -> None:
        self._skipped: dict[str, tuple[int, float]] = {}

    def choose(self, candidates: Sequence[Candidate], loaded_models: Container[str], now: float) -> Candidate:
        """Choose the next job out of `candidates`, which are in queue order, and record the jobs that it skips.

        The choice is the first job whose model is loaded, among the jobs of the first job's priority up to the first
        that was skipped too often or for too long. If there is none, it is the first job.
        """
        chosen = self._first_loaded(candidates, loaded_models, now)
        for skipped in takewhile(lambda candidate: candidate is not chosen, candidates):
            times, since = self._skipped.get(skipped.job_id, (0, now))
            self._skipped[skipped.job_id] = times + 1, since
        return chosen

    def forget(self, job_id: str) -> None:
        """Forget a job that no longer waits."""
        self._skipped.pop(job_id, None)

    def copy(self) -> ModelAffinity:
        """Return a copy for simulating the queue."""
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
