"""A contest of simulated people with known tastes: they compare the pairs that the bot would show them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import combinations

from cogs.together.contest.pairing import next_pair
from cogs.together.contest.ranking import Ranking, rank
from db.together.contests import Comparison, Entry
from generation.params import Tile

PAIRS_EACH = 20
REFRESH_AFTER = 25  # comparisons from one estimate of the strengths to the next

Judge = Callable[[Entry, Entry], Entry]


class SimulatedContest:
    """Entries whose true order is known, and the answers of voters."""

    def __init__(self, entries: int, seed: int) -> None:
        self.dice = random.Random(seed)
        self.entries = [
            Entry(id=number, session_id="c", person_id=number, tile=Tile("0" * 12, 0), at=float(number))
            for number in range(1, entries + 1)
        ]
        order = [entry.id for entry in self.entries]
        self.dice.shuffle(order)
        self.quality = {entry: number for number, entry in enumerate(order)}  # the higher the better
        self.comparisons: list[Comparison] = []
        self.refreshes = True
        self._answered: dict[int, set[tuple[int, int]]] = {}
        self._strengths: dict[int, float] = {}

    def taste(self, noise: float) -> Judge:
        """Return a judge who prefers the truly better entry, and slips with a probability."""

        def judge(left: Entry, right: Entry) -> Entry:
            better, worse = sorted((left, right), key=lambda each: -self.quality[each.id])
            return worse if self.dice.random() < noise else better

        return judge

    @contextmanager
    def trial(self) -> Iterator[None]:
        """Forget at the end of the block what people vote in it, within the hour in which strengths stay the same."""
        before = self.entries, list(self.comparisons), {voter: set(pairs) for voter, pairs in self._answered.items()}
        self._strengths, self.refreshes = dict(self.ranking().strengths), False
        yield
        self.entries, self.comparisons, self._answered = before
        self.refreshes = True

    def vote(self, voters: Iterable[int], judge: Judge, pairs: int = PAIRS_EACH) -> None:
        """Let voters compare pairs in turns."""
        people = list(voters)
        for _ in range(pairs):
            for voter in people:
                self._compare(voter, judge)

    def _compare(self, voter: int, judge: Judge) -> None:
        answered = self._answered.setdefault(voter, set())
        pair = next_pair(voter, self.entries, answered, self._strengths)
        if pair is None:
            return
        first, second = sorted(entry.id for entry in pair)
        answered.add((first, second))
        self.comparisons.append(Comparison(voter, first, second, judge(*pair).id))
        self.entries = [replace(each, shown=each.shown + (each in pair)) for each in self.entries]
        if self.refreshes and len(self.comparisons) % REFRESH_AFTER == 0:
            self._strengths = dict(self.ranking().strengths)

    def ranking(self) -> Ranking:
        """Return the ranking by the answers so far."""
        return rank("c", [entry.id for entry in self.entries], self.comparisons)

    def agreement(self) -> float:
        """Return Kendall's τ between the ranking and the truth."""
        places = {entry: place for place, entry in enumerate(self.ranking().order)}
        pairs = list(combinations(places, 2))
        agreeing = sum((places[a] < places[b]) == (self.quality[a] > self.quality[b]) for a, b in pairs)
        return 2 * agreeing / len(pairs) - 1
