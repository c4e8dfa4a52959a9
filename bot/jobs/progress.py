"""Render the progress of a job for its status message."""

from __future__ import annotations

from collections.abc import Sequence

from bot.jobs.status_message import StatusContent
from bot.services import Services
from bot.ui import job_text
from generation.job import Job
from generation.messages import Progress, Ready
from generation.worker.fleet import most_usable
from generation.worker.worker import Worker, WorkerState

# Seconds between two queue updates, per position in the queue, so that 200 status messages are not edited at once.
# Edits through the channel share one rate limit of about one edit per second.
REFRESH_S_PER_POSITION = 1.0
REFRESH_S_PER_POSITION_BY_CHANNEL = 10.0
TOKEN_WARNING_S = 120.0  # seconds before the token expires at which the warning appears


def waiting_reason(job: Job, workers: Sequence[Worker]) -> WorkerState:
    """Return the worker state that delays a job without a slot on all of the workers, else Ready.

    NO_WORKER if all are drained.
    """
    return most_usable([starting_reason(job, worker) for worker in workers if not worker.draining])


def starting_reason(job: Job, worker: Worker) -> WorkerState:
    """Return the worker state that delays a job: its own model is loading, or the process is not Ready."""
    loading = worker.loading
    if isinstance(worker.state, Ready) and loading and loading.model == worker.registry.model_name(job.params):
        return loading
    return worker.state


class JobProgress:
    """The progress of a job, as its status message shows it."""

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
        """Store newer progress. A preview takes time to make, so it may arrive after the progress of later steps."""
        if progress.preview is not None and self._previews:
            self._preview = progress.preview
        if self._progress is None or progress.step >= self._progress.step:
            self._progress = progress

    @property
    def percent(self) -> int:
        """Return how much of the job is done; 0 before its first step."""
        return 100 * self._progress.step // self._progress.total if self._progress else 0

    def render(self) -> StatusContent:
        """Return the current text and preview."""
        text = self._queue_text() if self.worker is None else self._running_text(self.worker)
        if self._token_expires_soon():
            text = job_text.with_token_warning(text)
        return StatusContent(text, self._preview, job_text.image_description(self._job, self._services.registry))

    def _running_text(self, worker: Worker) -> str:
        """Return how far the job is, or what it waits for although it has a slot."""
        state, registry = starting_reason(self._job, worker), self._services.registry
        model_is_absent = (
            isinstance(state, Ready) and worker.registry.model_name(self._job.params) not in worker.loaded_models
        )
        if model_is_absent and worker.loading:  # another model, which must finish loading first
            state = worker.loading
        return job_text.running(self._job, registry, self._progress, state, model_is_absent=model_is_absent)

    def _queue_text(self) -> str:
        """Return the position in the queue; it is updated less often further back."""
        services, now = self._services, self._services.clock()
        queue_position = services.queue.position(self._job.id)
        by_token = now < self._job.destination.token_expires_at
        interval = REFRESH_S_PER_POSITION if by_token else REFRESH_S_PER_POSITION_BY_CHANNEL
        age = now - self._queue_text_shown_at  # below 0 after the clock was set back
        if queue_position is None or not 0 <= age < interval * queue_position.position:
            self._queue_text_shown = job_text.waiting(
                self._job, services.registry, queue_position, waiting_reason(self._job, services.fleet.workers)
            )
            self._queue_text_shown_at = now
        return self._queue_text_shown

    def _token_expires_soon(self) -> bool:
        """Return whether the token is estimated to expire before the job ends."""
        to = self._job.destination
        if to.by_channel:
            return False
        queue_position = self._services.queue.position(self._job.id)
        wait = queue_position.seconds if queue_position is not None and queue_position.seconds is not None else 0.0
        return self._services.clock() + wait > to.token_expires_at - TOKEN_WARNING_S
