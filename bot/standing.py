"""Where a job stands: what its notice shows while somebody waits."""

from __future__ import annotations

from bot import wording
from bot.notice import Frame
from bot.studio import Studio
from generation.job import Job
from generation.messages import Progress
from generation.worker import Worker

TOKEN_WARNING = 120.0  # seconds before the token's end from which the person is told


class Standing:
    """Where a job stands while somebody waits for it, as its notice shows it."""

    def __init__(self, studio: Studio, job: Job) -> None:
        self._studio = studio
        self._job = job
        self._progress: Progress | None = None
        self.worker: Worker | None = None

    def note(self, progress: Progress) -> None:
        """Take in news of the drawing."""
        self._progress = progress

    def frame(self) -> Frame:
        """Put the present state in words and a picture."""
        model = self._studio.model
        if self.worker is None:
            place = self._studio.queue.place(self._job.id)
            text = wording.waiting(self._job, model, place, self._studio.worker.state)
        else:
            text = wording.drawing(self._job, model, self._progress, self.worker.state)
        if self._runs_out_of_time():
            text = wording.leaving(text)
        return Frame(text, self._progress.preview if self._progress else None)

    def _runs_out_of_time(self) -> bool:
        to = self._job.destination
        return not to.by_channel and self._studio.clock() > to.token_expires_at - TOKEN_WARNING
