"""Where a job stands: what its notice shows while somebody waits."""

from __future__ import annotations

from bot import wording
from bot.notice import Frame
from bot.studio import Studio
from generation.job import Job
from generation.messages import Progress, Ready
from generation.worker.worker import Worker, WorkerState

# Between two pieces of news for each place in the queue, so that two hundred notices are not edited at once. Once they
# have to be edited by the channel, all of them share what Discord allows there, about one edit a second.
SECONDS_A_PLACE = 1.0
SECONDS_A_PLACE_BY_CHANNEL = 10.0
TOKEN_WARNING = 120.0  # seconds before the token's end from which the person is told


def hindrance(job: Job, worker: Worker) -> WorkerState:
    """Say what a job waits for besides its turn: the process, or its own model that is on its way; else Ready."""
    loading = worker.loading
    if isinstance(worker.state, Ready) and loading and loading.model == worker.registry.model_name(job.params):
        return loading
    return worker.state


class Standing:
    """Where a job stands while somebody waits for it, as its notice shows it."""

    def __init__(self, studio: Studio, job: Job, previews: bool = True) -> None:
        self._studio = studio
        self._job = job
        self._previews = previews
        self._progress: Progress | None = None
        self._preview: bytes | None = None
        self._place_shown = ""
        self._place_shown_at = 0.0
        self.worker: Worker | None = None

    def note(self, progress: Progress) -> None:
        """Take in news of the drawing: a preview takes time to make, and may come after news of later steps."""
        if progress.preview is not None and self._previews:
            self._preview = progress.preview
        if self._progress is None or progress.step >= self._progress.step:
            self._progress = progress

    def frame(self) -> Frame:
        """Put the present state in words and a picture."""
        text = self._place() if self.worker is None else self._drawing(self.worker)
        if self._runs_out_of_time():
            text = wording.leaving(text)
        return Frame(text, self._preview)

    def _drawing(self, worker: Worker) -> str:
        """Say how far the job is, or what it waits for although it has its turn."""
        state, repertoire = hindrance(self._job, worker), self._studio.repertoire
        is_absent = (
            isinstance(state, Ready) and worker.registry.model_name(self._job.params) not in worker.loaded_models
        )
        if is_absent and worker.loading:  # another, before which its own is not begun with
            state = worker.loading
        return wording.drawing(self._job, repertoire, self._progress, state, is_absent=is_absent)

    def _place(self) -> str:
        """Say where the job stands in the queue: the further back, the less often anew."""
        studio, now = self._studio, self._studio.clock()
        place = studio.queue.position(self._job.id)
        by_token = now < self._job.destination.token_expires_at
        pause = SECONDS_A_PLACE if by_token else SECONDS_A_PLACE_BY_CHANNEL
        if place is None or now >= self._place_shown_at + pause * place.position:
            self._place_shown = wording.waiting(
                self._job, studio.repertoire, place, hindrance(self._job, studio.worker)
            )
            self._place_shown_at = now
        return self._place_shown

    def _runs_out_of_time(self) -> bool:
        """Tell whether the token may end before the job does, as far as that can be foreseen."""
        to = self._job.destination
        if to.by_channel:
            return False
        place = self._studio.queue.position(self._job.id)
        wait = place.seconds if place is not None and place.seconds is not None else 0.0
        return self._studio.clock() + wait > to.token_expires_at - TOKEN_WARNING
