"""Rank entries by comparisons of pairs: a Bradley–Terry model with a prior, which a few strange answers hardly move."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from db.together.ballots import first_by_lot
from db.together.contests import Comparison

FULL_WEIGHT_PAIRS = 5  # somebody who compares fewer pairs, and not all there are, counts for less
PRIOR = 0.1  # precision of the strengths' normal prior
LAPSE = 0.05  # of an answer being a slip or bad faith, whatever the pictures
MAX_STEPS, MAX_PASSES = 50, 25
TOLERANCE = 1e-6

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Entries from the best to the worst, their strengths, and the covariance of these in the same order."""

    order: tuple[int, ...]
    strengths: Mapping[int, float]
    covariance: Floats

    def places(self) -> dict[int, tuple[int, int]]:
        """Return each entry's place and rank. Who is within the error of the best of a place shares that place."""
        found: dict[int, tuple[int, int]] = {}
        best = place = 0
        for rank, entry in enumerate(self.order):
            if not self._within_error(best, rank):
                best, place = rank, rank
            found[entry] = (place + 1, rank + 1)
        return found

    def _within_error(self, best: int, other: int) -> bool:
        gap = self.strengths[self.order[best]] - self.strengths[self.order[other]]
        matrix = self.covariance
        variance = matrix[best, best] + matrix[other, other] - 2 * matrix[best, other]
        return gap**2 < max(float(variance), TOLERANCE)


def rank(session_id: str, entries: Sequence[int], comparisons: Sequence[Comparison]) -> Ranking:
    """Return the ranking of entries; comparisons with other entries are ignored, and equal ones ordered by lot."""
    known = {entry: number for number, entry in enumerate(sorted(entries))}
    valid = [each for each in comparisons if each.first in known and each.second in known]
    strengths, covariance = _fit(len(known), _Data.of(known, valid))
    by_entry = {entry: round(float(strengths[number]), 6) for entry, number in known.items()}
    order = _ordered(session_id, by_entry)
    numbers = [known[entry] for entry in order]
    return Ranking(tuple(order), by_entry, covariance[np.ix_(numbers, numbers)])


def _ordered(session_id: str, strengths: Mapping[int, float]) -> list[int]:
    order: list[int] = []
    for strength in sorted(set(strengths.values()), reverse=True):
        equal = {str(entry) for entry, own in strengths.items() if own == strength}
        while equal:
            order.append(int(chosen := first_by_lot(session_id, 0, equal)))
            equal.remove(chosen)
    return order


@dataclass(frozen=True, slots=True)
class _Data:
    """Comparisons as arrays: the numbers of the entries, the share of the first one, and the weight."""

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    share: Floats
    weight: Floats

    @classmethod
    def of(cls, known: Mapping[int, int], comparisons: Sequence[Comparison]) -> _Data:
        judged = Counter(each.person_id for each in comparisons)
        enough = max(1, min(FULL_WEIGHT_PAIRS, len(known) * (len(known) - 1) // 2))
        shares = [0.5 if each.better is None else float(each.better == each.first) for each in comparisons]
        return cls(
            np.array([known[each.first] for each in comparisons], dtype=np.intp),
            np.array([known[each.second] for each in comparisons], dtype=np.intp),
            np.array(shares, dtype=np.float64),
            np.array([min(1.0, judged[each.person_id] / enough) for each in comparisons], dtype=np.float64),
        )


def _fit(count: int, data: _Data) -> tuple[Floats, Floats]:
    """Return the strengths and their covariance.

    An answer against all expectation is probably a slip, so it counts the less the stranger it is (expectation
    maximisation over a mixture of honest answers and slips).
    """
    strengths, covariance = _fit_once(count, data, data.weight, np.zeros(count))
    for _ in range(MAX_PASSES):
        chance = _probability(data, strengths)
        answered = np.where(data.share == 0.5, 0.5, np.where(data.share == 1.0, chance, 1 - chance))
        honest = (1 - 2 * LAPSE) * answered / (LAPSE + (1 - 2 * LAPSE) * answered)
        before = strengths
        strengths, covariance = _fit_once(count, data, data.weight * honest, strengths)
        if not count or np.abs(strengths - before).max() < TOLERANCE:
            break
    return strengths, covariance


def _fit_once(count: int, data: _Data, weight: Floats, start: Floats) -> tuple[Floats, Floats]:
    """Return the most probable strengths and their covariance, by Newton's method."""
    strengths, hessian = start, np.eye(count) * PRIOR
    for _ in range(MAX_STEPS):
        chance = _probability(data, strengths)
        pull, curvature = weight * (data.share - chance), weight * chance * (1 - chance)
        gradient = np.bincount(data.first, pull, count) - np.bincount(data.second, pull, count) - PRIOR * strengths
        hessian = np.eye(count) * PRIOR
        for one, other, sign in (
            (data.first, data.first, 1),
            (data.second, data.second, 1),
            (data.first, data.second, -1),
            (data.second, data.first, -1),
        ):
            np.add.at(hessian, (one, other), sign * curvature)
        step = np.linalg.solve(hessian, gradient)
        strengths = strengths + np.clip(step, -1, 1)
        if not count or np.abs(step).max() < TOLERANCE:
            break
    return strengths, np.asarray(np.linalg.inv(hessian), dtype=np.float64)


def _probability(data: _Data, strengths: Floats) -> Floats:
    """Return how probable it is that the first entry of each comparison is the better one."""
    result: Floats = 1 / (1 + np.exp(strengths[data.second] - strengths[data.first]))
    return result
