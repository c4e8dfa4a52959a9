"""Recognise a button that was pressed twice by mistake."""

from __future__ import annotations

import time
from collections.abc import Callable

from db.jobs import JobState, JobStore

REPEAT_S = 2.0  # within which the same press again is taken for a mistake, until the first one's job has ended
UNFINISHED = (JobState.WAITING, JobState.RUNNING, JobState.GENERATED)

Press = tuple[int, int, str]  # the user, the message, and the button's custom_id with what was typed after it


class RecentPresses:
    """The presses of the last seconds, and the job of each once it is known."""

    def __init__(self, jobs: JobStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._jobs, self._clock = jobs, clock
        self._pressed_at: dict[Press, float] = {}
        self._job_ids: dict[Press, str] = {}

    async def is_repeated(self, press: Press) -> bool:
        """Return whether the same press was made a moment ago and its job goes on; otherwise record this one."""
        self._forget_old()
        if press in self._pressed_at:
            job_id = self._job_ids.get(press)
            record = await self._jobs.get(job_id) if job_id else None
            if record is None or record.state in UNFINISHED:
                return True
        self._pressed_at[press] = self._clock()
        self._job_ids.pop(press, None)
        return False

    def accepted(self, press: Press, job_id: str) -> None:
        """Record the job of a press."""
        self._job_ids[press] = job_id

    def refused(self, press: Press) -> None:
        """Forget a press that made no job: it may be tried again at once."""
        self._pressed_at.pop(press, None)
        self._job_ids.pop(press, None)

    def _forget_old(self) -> None:
        limit = self._clock() - REPEAT_S
        for press in [press for press, at in self._pressed_at.items() if at < limit]:
            self.refused(press)
