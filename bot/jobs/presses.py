"""Recognise a button that was pressed twice by mistake."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from db.jobs import JobState, JobStore

REPEAT_S = 2.0  # within which the same press again is taken for a mistake, until the first one's job has ended
UNFINISHED = (JobState.WAITING, JobState.RUNNING, JobState.GENERATED)

Press = tuple[int, int, str]  # the user, the message, and the button's custom_id with what was typed after it


@dataclass
class _Recorded:
    at: float
    job_id: str | None = None  # None until the job is accepted


class RecentPresses:
    """The presses of the last seconds and those whose jobs are still being submitted, with their jobs."""

    def __init__(self, jobs: JobStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._jobs, self._clock = jobs, clock
        self._recorded: dict[Press, _Recorded] = {}

    async def is_repeated(self, press: Press) -> bool:
        """Return whether the same press was made a moment ago and its job goes on; otherwise record this one."""
        self._forget_old()
        if earlier := self._recorded.get(press):
            record = await self._jobs.get(earlier.job_id) if earlier.job_id else None
            is_newest = self._recorded.get(press, earlier) is earlier  # or the same press was made during the look-up
            if record is None or record.state in UNFINISHED or not is_newest:
                return True
        self._recorded[press] = _Recorded(self._clock())
        return False

    def accepted(self, press: Press, job_id: str) -> None:
        """Record the job of a press."""
        self._recorded[press].job_id = job_id

    def refused(self, press: Press) -> None:
        """Forget a press that made no job: it may be tried again at once."""
        self._recorded.pop(press, None)

    def _forget_old(self) -> None:
        limit = self._clock() - REPEAT_S
        self._recorded = {
            press: recorded
            for press, recorded in self._recorded.items()
            if recorded.job_id is None or recorded.at >= limit
        }
