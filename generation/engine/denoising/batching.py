"""Choose the rows of the next UNet call."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from generation.engine.denoising.job import BatchKey, DenoisingJob
from generation.engine.denoising.reading import ReadingJob


class BatchSlice(NamedTuple):
    """A job and how many of its rows are in the call."""

    job: DenoisingJob | ReadingJob
    row_count: int

    @property
    def rows_in_call(self) -> int:
        """Return the rows of the call that are the job's: those, and the leader that they attend to."""
        return self.row_count + self.job.leader_rows


FAIRNESS_INTERVAL = 4
GROWTH_THRESHOLD = 100  # successful calls before more rows are tried again
MAX_GROWTH_THRESHOLD = 10_000


class Batcher:
    """Shares the UNet among the jobs: batch keys take turns, and within a key the lowest queue order comes first.

    Most turns go to the key whose first job has the least left to do, since strict rotation would make all of them
    finish late. Every fourth goes to the key served longest ago, so that no job waits behind others for long. `budget`
    is the number of pixels that one call may have, over all rows. It shrinks after a call that ran out of memory. It
    grows back to its initial value while calls succeed, since the memory may have been freed.
    """

    def __init__(self, budget: int) -> None:
        self.budget = self._max_budget = budget
        self._successes, self._growth_threshold = 0, GROWTH_THRESHOLD
        self._turn = 0
        self._served: dict[BatchKey, int] = {}

    def next_batch(self, jobs: Sequence[DenoisingJob | ReadingJob]) -> list[BatchSlice]:
        """Return the slices of the next call: at least one row, however large."""
        self._turn += 1
        by_key: dict[BatchKey, list[DenoisingJob | ReadingJob]] = defaultdict(list)
        for job in sorted(jobs, key=lambda job: job.request.order):
            by_key[job.key].append(job)
        self._served = {key: self._served.get(key, 0) for key in by_key}
        if self._turn % FAIRNESS_INTERVAL:
            key = min(by_key, key=lambda key: by_key[key][0].remaining_pixels)
        else:
            key = min(by_key, key=self._served.__getitem__)
        self._served[key] = self._turn
        return self._fill(by_key[key])

    def _fill(self, jobs: Sequence[DenoisingJob | ReadingJob]) -> list[BatchSlice]:
        capacity = max(1 + jobs[0].leader_rows, self.budget // jobs[0].pixels)
        slices = []
        for job in jobs:
            rows = min(job.remaining_rows, capacity - job.leader_rows)
            if rows > 0:
                slices.append(BatchSlice(job, rows))
                capacity -= slices[-1].rows_in_call
        return slices

    def halve(self, slices: Sequence[BatchSlice]) -> bool:
        """Halve the rows of a call that was too large, for twice as long as last time; False for a single row."""
        if sum(each.row_count for each in slices) == 1:
            return False
        rows = sum(each.rows_in_call for each in slices)
        self.budget = rows // 2 * slices[0].job.pixels
        self._successes, self._growth_threshold = 0, min(2 * self._growth_threshold, MAX_GROWTH_THRESHOLD)
        return True

    def record_success(self) -> None:
        """Count a call that had enough memory; after enough of them the budget is doubled."""
        if self.budget >= self._max_budget:
            return
        self._successes += 1
        if self._successes == self._growth_threshold:
            self.budget, self._successes = min(2 * self.budget, self._max_budget), 0
