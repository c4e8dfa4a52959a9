"""Whose turn is next where models differ: one that is held goes first, but never past anybody for long."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import islice

FARTHEST = 16  # jobs that are looked at
MOST_TIMES = 6  # that one job is passed by others
LONGEST = 60.0  # seconds from the first time on


@dataclass(frozen=True, slots=True)
class Candidate:
    """A job that could have its turn now; those of the same `urgency` are of equal right."""

    job_id: str
    model: str
    urgency: int


class LookAhead:
    """Remembers who was passed by others, how often and since when."""

    def __init__(self) -> None:
        self._passed: dict[str, tuple[int, float]] = {}

    def take(self, candidates: Sequence[Candidate], held: Container[str], now: float) -> Candidate:
        """Choose whose turn is next out of `candidates`, who come in the order of their right, and note who is passed.

        It is the first whose model is held, among those as urgent as the very first and up to the first who has been
        passed too often, or too long ago; if there is none, the very first.
        """
        chosen = self._choose(candidates, held, now)
        for passed in candidates[: candidates.index(chosen)]:
            times, since = self._passed.get(passed.job_id, (0, now))
            self._passed[passed.job_id] = times + 1, since
        return chosen

    def forget(self, job_id: str) -> None:
        """Forget a job that waits no more."""
        self._passed.pop(job_id, None)

    def copy(self) -> LookAhead:
        """Give one that knows the same, to play the queue forward."""
        other = LookAhead()
        other._passed = dict(self._passed)
        return other

    def _choose(self, candidates: Sequence[Candidate], held: Container[str], now: float) -> Candidate:
        for candidate in islice(candidates, FARTHEST):
            if candidate.urgency != candidates[0].urgency:
                break
            if candidate.model in held:
                return candidate
            if not self._may_be_passed(candidate, now):
                break
        return candidates[0]

    def _may_be_passed(self, candidate: Candidate, now: float) -> bool:
        times, since = self._passed.get(candidate.job_id, (0, now))
        return times < MOST_TIMES and now - since <= LONGEST
