"""Who takes part in the next UNet call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from generation.engine.run import BatchKey, Run


class Share(NamedTuple):
    """A run and how many of its rows are in the call."""

    run: Run
    rows: int


class Turns:
    """Shares the UNet among the runs: batch keys take turns, and within a key the lowest order comes first.

    `budget` is the number of pixels that may be in one call, all rows together.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._turn = 0
        self._served: dict[BatchKey, int] = {}

    def next_call(self, runs: Sequence[Run]) -> list[Share]:
        """Choose the rows of the next call; at least one, however large."""
        self._turn += 1
        last_turns = {run.key: self._served.get(run.key, 0) for run in runs}
        key = min(last_turns, key=last_turns.__getitem__)
        self._served = last_turns | {key: self._turn}
        return self._fill(sorted((run for run in runs if run.key == key), key=lambda run: run.request.order))

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
        """Allow half of what was just too much; False if that was a single row."""
        rows = sum(share.rows for share in shares)
        if rows == 1:
            return False
        self.budget = rows // 2 * shares[0].run.pixels
        return True
