"""Who takes part in the next UNet call."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from generation.engine.run import BatchKey, Run


class Share(NamedTuple):
    """A run and how many of its rows are in the call."""

    run: Run
    rows: int


LONGEST_WAITING = 4
CAUTION = 100  # calls that go well before more rows are tried again
MOST_CAUTION = 10_000


class Turns:
    """Shares the UNet among the runs: batch keys take turns, and within a key the lowest order comes first.

    Most turns go to the key whose first run has the least to do, since strict rotation would make all of them finish
    late; every fourth goes to the key that was served longest ago, so that nobody waits behind others' jobs. `budget`
    is the number of pixels that may be in one call, all rows together: less after a call for which there was no memory,
    and by and by as much as in the beginning when all goes well, since what took the memory may have gone.
    """

    def __init__(self, budget: int) -> None:
        self.budget = self._most = budget
        self._went_well, self._caution = 0, CAUTION
        self._turn = 0
        self._served: dict[BatchKey, int] = {}

    def next_call(self, runs: Sequence[Run]) -> list[Share]:
        """Choose the rows of the next call; at least one, however large."""
        self._turn += 1
        by_key: dict[BatchKey, list[Run]] = defaultdict(list)
        for run in sorted(runs, key=lambda run: run.request.order):
            by_key[run.key].append(run)
        self._served = {key: self._served.get(key, 0) for key in by_key}
        if self._turn % LONGEST_WAITING:
            key = min(by_key, key=lambda key: by_key[key][0].work_left)
        else:
            key = min(by_key, key=self._served.__getitem__)
        self._served[key] = self._turn
        return self._fill(by_key[key])

    def _fill(self, runs: Sequence[Run]) -> list[Share]:
        room = max(1, self.budget // runs[0].pixels)
        shares = []
        for run in runs:
            rows = min(run.rows_left, room)
            if rows:
                shares.append(Share(run, rows))
            room -= rows
        return shares

    def shrink(self, shares: Sequence[Share]) -> bool:
        """Allow half of what was just too much, for twice as long as last time; False if that was a single row."""
        rows = sum(share.rows for share in shares)
        if rows == 1:
            return False
        self.budget = rows // 2 * shares[0].run.pixels
        self._went_well, self._caution = 0, min(2 * self._caution, MOST_CAUTION)
        return True

    def note_success(self) -> None:
        """Count a call for which there was memory; after enough of them twice as much is allowed."""
        if self.budget >= self._most:
            return
        self._went_well += 1
        if self._went_well == self._caution:
            self.budget, self._went_well = min(2 * self.budget, self._most), 0
