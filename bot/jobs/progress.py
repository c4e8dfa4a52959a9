"""Where a job stands: what its notice shows while somebody waits."""

from __future__ import annotations

from bot.jobs.status_message import StatusContent
from bot.services import Services
from bot.ui import job_text
from generation.job import Job
from generation.messages import Progress, Ready
from generation.worker.worker import Worker, WorkerState

# Between two pieces of news for each place in the queue, so that two hundred notices are not edited at once. Once they
# have to be edited by the channel, all of them share what Discord allows there, about one edit a second.
REFRESH_S_PER_POSITION = 1.0
REFRESH_S_PER_POSITION_BY_CHANNEL = 10.0
TOKEN_WARNING_S = 120.0  # seconds before the token's end from which the person is told


def waiting_reason(job: Job, worker: Worker) -> WorkerState:
    """Say what a job waits for besides its turn: the process, or its own model that is on its way; else Ready."""
    loading = worker.loading
    if isinstance(worker.state, Ready) and loading and loading.model == worker.registry.model_name(job.params):
        return loading
    return worker.state


class JobProgress:
    """Where a job stands while somebody waits for it, as its notice shows it."""

    def __init__(self, services: Services, job: Job, previews: bool = True) -> None:
        self._services = services
        self._job = job
        self._previews = previews
        self._progress: Progress | None = None
        self._preview: bytes | None = None
        self._queue_text_shown = ""
        self._queue_text_shown_at = 0.0
        self.worker: Worker | None = None

    def update(self, progress: Progress) -> None:
        """Take in news of the drawing: a preview takes time to make, and may come after news of later steps."""
        if progress.preview is not None and self._previews:
            self._preview = progress.preview
        if self._progress is None or progress.step >= self._progress.step:
            self._progress = progress

    def render(self) -> StatusContent:
        """Put the present state in words and a picture."""
        text = self._queue_text() if self.worker is None else self._running_text(self.worker)
        if self._token_expires_soon():
            text = job_text.with_token_warning(text)
        return StatusContent(text, self._preview)

    def _running_text(self, worker: Worker) -> str:
        """Say how far the job is, or what it waits for although it has its turn."""
        state, registry = waiting_reason(self._job, worker), self._services.registry
        model_is_absent = (
            isinstance(state, Ready) and worker.registry.model_name(self._job.params) not in worker.loaded_models
        )
        if model_is_absent and worker.loading:  # another, before which its own is not begun with
            state = worker.loading
        return job_text.running(self._job, registry, self._progress, state, model_is_absent=model_is_absent)

    def _queue_text(self) -> str:
        """Say where the job stands in the queue: the further back, the less often anew."""
        services, now = self._services, self._services.clock()
        queue_position = services.queue.position(self._job.id)
        by_token = now < self._job.destination.token_expires_at
        interval = REFRESH_S_PER_POSITION if by_token else REFRESH_S_PER_POSITION_BY_CHANNEL
        if queue_position is None or now >= self._queue_text_shown_at + interval * queue_position.position:
            self._queue_text_shown = job_text.waiting(
                self._job, services.registry, queue_position, waiting_reason(self._job, services.worker)
            )
            self._queue_text_shown_at = now
        return self._queue_text_shown

    def _token_expires_soon(self) -> bool:
        """Tell whether the token may end before the job does, as far as that can be foreseen."""
        to = self._job.destination
        if to.by_channel:
            return False
        queue_position = self._services.queue.position(self._job.id)
        wait = queue_position.seconds if queue_position is not None and queue_position.seconds is not None else 0.0
        return self._services.clock() + wait > to.token_expires_at - TOKEN_WARNING_S
