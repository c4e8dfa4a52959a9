"""The bot's handle on a GPU process: jobs in, grids out; its death is an ordinary outcome."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from generation.errors import JobCancelled, OutOfMemoryError, UserError, WorkerCrashed
from generation.messages import (
    Cancel,
    Crashed,
    Event,
    Failed,
    FailureReason,
    Finished,
    Generate,
    Grid,
    Loaded,
    Loading,
    Progress,
    Ready,
    Stop,
    Unloaded,
)
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.text import Text
from generation.worker.engine_loader import LoadEngine, load_engine
from generation.worker.process import EXIT_GRACE, GpuProcess, describe_exit

# Grids that fill a UNet call on such a device, and what keeps it busy while others are being decoded.
DEFAULT_CAPACITY = {"cuda": 6, "mps": 2, "cpu": 2}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Restarting:
    """The process has died, for `reason`, and another is being started."""

    reason: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The default model could not be loaded, again and again; `reason` is the last error.

    It is tried again now and then.
    """

    reason: str


WorkerState = Loading | Ready | Restarting | Broken
OnProgress = Callable[[Progress], None]


class Worker(Protocol):
    """Something that draws; only this module may know where.

    `repertoire` is described before any weights are loaded, and each model in it corrected once it is. Jobs for every
    model are taken; `held` names the models that can draw at once, `loading` says which other one is on its way and
    how far, `load_seconds` how long each took when it last came. `capacity` is the number of jobs that are worth giving
    to it at once.
    """

    registry: ModelRegistry
    loaded_models: frozenset[str]
    loading: Loading | None
    load_seconds: dict[str, float]
    capacity: int
    state: WorkerState

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Have `callback` called in the event loop whenever `state`, `held` or `loading` has changed."""

    async def start(self) -> None:
        """Begin to load the default model; `state` tells how far it is."""

    async def close(self) -> None:
        """End whatever runs; the jobs that it held end with WorkerDied."""

    async def generate(self, request: Generate, on_progress: OnProgress) -> Grid:
        """Draw one job, waiting for its model first where that has to be loaded.

        To cancel the job, cancel the task that awaits this: it goes on to wait until the engine has let the job go.
        Raises Complaint, JobCancelled and WorkerDied; RuntimeError for what nobody expected.
        """


@dataclass(slots=True, eq=False)
class _PendingJob:
    """A job that somebody waits for; `ended` is set to the grid or to what is to be raised."""

    request: Generate
    model: str
    on_progress: OnProgress
    outcome: asyncio.Future[Grid | Exception]
    sent: bool = False

    def end(self, outcome: Grid | Exception) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)


class _Watchdog:
    """Calls `alarm` when something that goes on has been silent for `limit` seconds."""

    def __init__(self, limit: float, alarm: Callable[[float], None]) -> None:
        self._limit, self._alarm = limit, alarm
        self._timer: asyncio.TimerHandle | None = None

    def update(self, *, is_active: bool, has_news: bool) -> None:
        """Count the silence, from now on where something was heard, as long as it goes on."""
        if self._timer is not None and (has_news or not is_active):
            self._timer.cancel()
            self._timer = None
        if is_active and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._limit, self._alarm, self._limit)


class LocalWorker:
    """A worker in a process of its own on this machine.

    `threads` is torch's number of CPU threads (0: its own choice); a `capacity` of 0 is chosen for the device. A
    process that says nothing for `step_timeout` seconds of what it draws, or for `load_timeout` of what it loads, is
    killed. After the n-th failed load in a row the next one waits for the n-th of `retry_after` seconds; from the last
    one on, the worker counts as broken.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        device: str = "auto",
        threads: int = 0,
        *,
        capacity: int = 0,
        step_timeout: float = 120,
        load_timeout: float = 1800,
        retry_after: tuple[float, ...] = (1, 5, 30, 300),
        load: LoadEngine = load_engine,
    ) -> None:
        self.registry = registry
        self.loaded_models = frozenset[str]()
        self.capacity = capacity or 1
        self._fixed_capacity = capacity
        self.loading: Loading | None = None
        self.load_seconds: dict[str, float] = {}
        self.state: WorkerState = Loading("torch", 0, 1, registry.default.name)
        self._load = partial(load, registry, device, threads)
        self._retry_after = retry_after
        self._subscribers: list[Callable[[], None]] = []
        self._jobs: dict[str, _PendingJob] = {}
        self._process: GpuProcess | None = None
        self._process_ended = asyncio.Event()
        self._closing = False
        self._failed_loads = 0
        self._crash = Crashed("")
        self._step_watchdog = _Watchdog(step_timeout, self._kill_hung)
        self._load_watchdog = _Watchdog(load_timeout, self._kill_hung)
        self._restart: asyncio.TimerHandle | None = None

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Have `callback` called in the event loop whenever `state`, `held` or `loading` has changed."""
        self._subscribers.append(callback)

    async def start(self) -> None:
        """Begin to load the default model; `state` tells how far it is."""
        self._start_process()

    async def close(self) -> None:
        """Ask the process to end, kill it when it does not; the jobs that it held end with WorkerDied."""
        self._closing = True
        self._fail(WorkerCrashed("the worker is being closed"), sent=False)
        if self._restart is not None:
            self._restart.cancel()
        if (process := self._process) is None:
            return
        process.send(Stop())
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process_ended.wait(), EXIT_GRACE)
        finally:
            process.kill()
        await self._process_ended.wait()

    async def generate(self, request: Generate, on_progress: OnProgress) -> Grid:
        """Draw one job; see `Worker.generate`."""
        if self._closing:
            raise WorkerCrashed("the worker is closed")
        if isinstance(self.state, Broken):
            raise _model_unavailable()
        model = self.registry.resolve(request.params).name
        future: asyncio.Future[Grid | Exception] = asyncio.get_running_loop().create_future()
        job = self._jobs[request.job_id] = _PendingJob(request, model, on_progress, future)
        if isinstance(self.state, Ready):
            self._send(job)
        try:
            outcome = await asyncio.shield(job.outcome)
        except asyncio.CancelledError:
            await self._cancel_and_wait(job)
            raise
        finally:
            del self._jobs[request.job_id]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def _cancel_and_wait(self, job: _PendingJob) -> None:
        job.on_progress = _ignore
        if not job.sent or self._process is None:
            return
        self._process.send(Cancel(job.request.job_id))
        while not job.outcome.done():
            with contextlib.suppress(asyncio.CancelledError):  # asking twice does not make the engine faster
                await asyncio.wait({job.outcome})

    def _send(self, job: _PendingJob) -> None:
        assert self._process is not None
        job.sent = True
        self._process.send(job.request)
        self._update_watchdogs()

    def _start_process(self) -> None:
        self._process_ended.clear()
        self._crash = Crashed("")
        self._restart = None
        self.loading = Loading("torch", 0, 1, self.registry.default.name)
        try:
            self._process = GpuProcess(self._load, self._on_event, self._on_end)
        except OSError as error:
            self._crash = Crashed(str(error))
            self._on_end(None)
        self._update_watchdogs()

    def _on_event(self, event: Event) -> None:
        match event:
            case Loading():
                self._on_loading(event)
            case Loaded():
                self._on_loaded(event)
            case Unloaded():
                self._on_unloaded(event)
            case Ready():
                self._on_ready(event)
            case Progress(job_id) if job_id in self._jobs:
                self._jobs[job_id].on_progress(event)
            case Finished(job_id, grid) if job_id in self._jobs:
                self._jobs[job_id].end(grid)
            case Failed(job_id) if job_id in self._jobs:
                self._jobs[job_id].end(_exception(event))
            case Crashed():
                self._crash = event
        self._update_watchdogs(event)

    def _on_loading(self, event: Loading) -> None:
        log.info("loading %s: %s (%d of %d)", event.model, event.part, event.done, event.total)
        self.loading = event
        if isinstance(self.state, Ready):
            self._notify()
        elif not isinstance(self.state, Broken):
            self._set_state(event)

    def _on_loaded(self, event: Loaded) -> None:
        log.info("%s is held after %.1f s of loading", event.model.name, event.seconds)
        self.load_seconds[event.model.name] = event.seconds
        self._mark_loaded(event.model)
        if isinstance(self.state, Ready):
            self._notify()

    def _mark_loaded(self, model: Model) -> None:
        self.registry = self.registry.updated(model)
        self.loaded_models |= {model.name}
        self.loading = None

    def _on_unloaded(self, event: Unloaded) -> None:
        log.info("%s is not held any more", event.model)
        self.loaded_models -= {event.model}
        if self.loading is not None and self.loading.model == event.model:
            self.loading = None
        self._notify()

    def _on_ready(self, event: Ready) -> None:
        log.info("%s is ready on %s", event.model.name, event.device)
        self._mark_loaded(event.model)
        self.capacity = self._fixed_capacity or DEFAULT_CAPACITY.get(event.device.partition(":")[0], 1)
        self._failed_loads = 0
        self._set_state(event)
        for job in self._jobs.values():
            if not job.sent:
                self._send(job)

    def _on_end(self, exit_code: int | None) -> None:
        self._process = None
        self.loaded_models, self.loading = frozenset(), None
        self._process_ended.set()
        self._update_watchdogs()
        reason = self._crash.text or describe_exit(exit_code)
        self._fail(WorkerCrashed(f"the GPU process died: {reason}"), sent=True)
        if self._closing:
            return
        log.error("the GPU process %s: %s", describe_exit(exit_code), reason)
        if self._crash.permanent:
            self._mark_broken(reason)
        else:
            delay = self._next_delay(reason)
            self._restart = asyncio.get_running_loop().call_later(delay, self._start_process)

    def _next_delay(self, reason: str) -> float:
        if isinstance(self.state, Ready):
            self._set_state(Restarting(reason))
            return 0
        self._failed_loads = min(self._failed_loads + 1, len(self._retry_after))
        delay = self._retry_after[self._failed_loads - 1]
        log.warning("%s could not be loaded; next try in %g s", self.registry.default.name, delay)
        if self._failed_loads < len(self._retry_after):
            self._set_state(Restarting(reason))
        else:
            self._mark_broken(reason)
        return delay

    def _mark_broken(self, reason: str) -> None:
        self._set_state(Broken(reason))
        self._fail(_model_unavailable(), sent=False)

    def _set_state(self, state: WorkerState) -> None:
        self.state = state
        self._notify()

    def _notify(self) -> None:
        for callback in self._subscribers:
            callback()

    def _fail(self, error: Exception, *, sent: bool) -> None:
        for job in self._jobs.values():
            if job.sent is sent:
                job.end(error)

    def _update_watchdogs(self, event: Event | None = None) -> None:
        """Count the silence about loading and about steps, each by itself: news of one must not hide that of the other.

        A later job does not give a hung step more time.
        """
        about_loading = isinstance(event, Loading)
        self._load_watchdog.update(is_active=self.loading is not None, has_news=about_loading)
        self._step_watchdog.update(is_active=self._expects_steps(), has_news=event is not None and not about_loading)

    def _expects_steps(self) -> bool:
        """Tell whether jobs wait for steps, and not just for their model."""
        running = [job for job in self._jobs.values() if job.sent and not job.outcome.done()]
        if self._process is None or not running:
            return False
        return self.loading is None or any(job.model in self.loaded_models for job in running)

    def _kill_hung(self, limit: float) -> None:
        self._crash = Crashed(f"no sign of life for {limit:g} s")
        if self._process is not None:
            self._process.kill()


def _exception(failed: Failed) -> Exception:
    match failed.reason:
        case FailureReason.USER_ERROR:
            return UserError(failed.text)
        case FailureReason.OUT_OF_MEMORY:
            return OutOfMemoryError(failed.text)
        case FailureReason.CANCELLED:
            return JobCancelled(failed.text)
        case FailureReason.INTERNAL:
            return RuntimeError(failed.text)


def _model_unavailable() -> UserError:
    return UserError(
        Text(
            "Nothing can be drawn at the moment: the model cannot be loaded. "
            "Why is in the log of whoever runs this bot."
        )
    )


def _ignore(_: Progress) -> None:
    pass
