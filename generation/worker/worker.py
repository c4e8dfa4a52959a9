"""The bot's handle of a GPU process: jobs in, grids out; a crash is an ordinary outcome."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from generation.errors import JobCancelled, MachineLost, OutOfMemoryError, UserError, WorkerCrashed, WorkerLost
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
    Offered,
    Progress,
    Read,
    Reading,
    Ready,
    Stop,
    Unloaded,
)
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.params import Params
from generation.text import Text
from generation.worker.engine_loader import LoadEngine, load_engine
from generation.worker.offer import covers
from generation.worker.process import EXIT_GRACE, GpuProcess, describe_exit

# Jobs that fill a UNet call on such a device, and those that keep it busy while others are decoded.
DEFAULT_CAPACITY = {"cuda": 6, "mps": 2, "cpu": 2}
KILLED = -9  # the exit code of a process that SIGKILL ended
STARTING_PART = "torch"  # `Loading.part` while the process starts

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Restarting:
    """The process has died for `reason`, and another is being started."""

    reason: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The default model has failed to load repeatedly; `reason` is the last error.

    It is still tried again from time to time.
    """

    reason: str


WorkerState = Loading | Ready | Restarting | Broken
OnProgress = Callable[[Progress], None]


class Worker(Protocol):
    """Something that generates images; only its own module may know where.

    `name` tells it from other workers; it is empty for the only one. `registry` is described before any weights are
    loaded, and each of its models is corrected once loaded. Jobs for every model are accepted. `loaded_models` names
    those that can start immediately, `loading` the one being loaded and its progress. `load_seconds` is how long each
    took to load last time. `capacity` is the number of jobs worth sending at once. While `draining`, it is sent none.
    """

    name: str
    registry: ModelRegistry
    loaded_models: frozenset[str]
    loading: Loading | None
    load_seconds: dict[str, float]
    capacity: int
    state: WorkerState
    draining: bool

    def can_draw(self, params: Params) -> bool:
        """Return whether the worker has the model and the adapters of a job; a local one has all."""

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Call `callback` in the event loop whenever `state`, `loaded_models` or `loading` has changed."""

    async def start(self) -> None:
        """Start loading the default model; `state` reports its progress."""

    async def close(self) -> None:
        """Stop the worker; jobs that have not ended raise WorkerCrashed."""

    async def generate(self, request: Generate, on_progress: OnProgress) -> Grid:
        """Generate one job, after loading its model if necessary.

        To cancel the job, cancel the task that awaits this: it still waits until the engine has ended the job.
        Raises UserError, JobCancelled, WorkerCrashed (WorkerLost if the worker was killed or cannot be reached), and
        RuntimeError for unexpected errors.
        """

    async def read(self, request: Generate, on_progress: OnProgress) -> Reading:
        """Read what a job asks about instead of generating; otherwise as `generate`."""


@dataclass(slots=True, eq=False)
class _PendingJob:
    """A job that is awaited; `outcome` becomes its result or the exception to raise."""

    request: Generate
    model: str
    on_progress: OnProgress
    outcome: asyncio.Future[Grid | Reading | Exception]
    sent: bool = False

    def end(self, outcome: Grid | Reading | Exception) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)


class _Watchdog:
    """Calls `alarm` when an active operation has been silent for `limit` seconds."""

    def __init__(self, limit: float, alarm: Callable[[float], None]) -> None:
        self._limit, self._alarm = limit, alarm
        self._heard = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def update(self, *, is_active: bool, has_news: bool) -> None:
        """Measure the silence while the operation is active; news restarts the measurement."""
        if not is_active:
            self.stop()
            return
        if has_news or self._timer is None:
            self._heard = time.monotonic()
        if self._timer is None:  # one timer for all news: there are many each second
            self._arm(self._limit)

    def stop(self) -> None:
        """Measure nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        self._timer = None
        left = self._heard + self._limit - time.monotonic()
        if left > 0:
            self._arm(left)
        else:
            self._alarm(self._limit)

    def _arm(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._check)


class LocalWorker:
    """A worker in a process of its own on this machine.

    `threads` is torch's number of CPU threads (0: its own choice); a `capacity` of 0 depends on the device. A process
    is killed when it reports no step for `step_timeout` seconds, or no loading progress for `load_timeout`. After the
    n-th failed load in a row, the next one waits for the n-th of `retry_after` seconds. From the last one on, the
    worker counts as broken. After a crash it restarts at once; if it crashes before it has finished a job, it waits
    like after failed loads, but does not count as broken.

    A `bridge` is a process that generates nothing, but stands for a machine of the cluster: if it ends without a
    reason, that machine is lost, and no job can be the cause.
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
        name: str = "",
        bridge: bool = False,
    ) -> None:
        self.name = name
        self._title = f"the GPU process of {name}" if name else "the GPU process"
        self._where = f" on {name}" if name else ""  # at the end of lines in the log
        self.registry = registry
        self.loaded_models = frozenset[str]()
        self.capacity = capacity or 1
        self._fixed_capacity = capacity
        self.loading: Loading | None = None
        self.load_seconds: dict[str, float] = {}
        self.state: WorkerState = Loading(STARTING_PART, 0, 1, registry.default.name)
        self.draining = False
        self._is_bridge = bridge
        self._offered: Offered | None = None
        self._load = partial(load, registry, device, threads)
        self._retry_after = retry_after
        self._subscribers: list[Callable[[], None]] = []
        self._jobs: dict[str, _PendingJob] = {}
        self._process: GpuProcess | None = None
        self._process_ended = asyncio.Event()
        self._closing = False
        self._failed_loads = self._crashes = 0
        self._was_ready = False
        self._crash = Crashed("")
        self._step_watchdog = _Watchdog(step_timeout, self._kill_hung)
        self._load_watchdog = _Watchdog(load_timeout, self._kill_hung)
        self._restart: asyncio.TimerHandle | None = None

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Call `callback` in the event loop whenever `state`, `loaded_models` or `loading` has changed."""
        self._subscribers.append(callback)

    def can_draw(self, params: Params) -> bool:
        """Return whether the worker has the model and the adapters of a job; see `Worker.can_draw`."""
        return self._offered is None or covers(self._offered, self.registry, params)

    async def start(self) -> None:
        """Start loading the default model, the first time or after `close`; `state` reports its progress.

        Does nothing for a worker that is started already.
        """
        if self._process is not None or self._restart is not None:
            return
        self._closing = False
        self.state = Loading(STARTING_PART, 0, 1, self.registry.default.name)
        self._start_process()

    async def close(self) -> None:
        """Ask the process to exit, and kill it if it does not; jobs that have not ended raise WorkerCrashed."""
        self._closing = True
        self._fail(self._death(None)("the worker is being closed"), sent=False)
        if self._restart is not None:
            self._restart.cancel()
            self._restart = None
        if (process := self._process) is None:
            return
        process.send(Stop())
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EXIT_GRACE):
                    await self._process_ended.wait()
        finally:
            process.kill()
        await self._process_ended.wait()

    async def generate(self, request: Generate, on_progress: OnProgress) -> Grid:
        """Generate one job; see `Worker.generate`."""
        result = await self._result(request, on_progress)
        assert isinstance(result, Grid)
        return result

    async def read(self, request: Generate, on_progress: OnProgress) -> Reading:
        """Read for one job; see `Worker.read`."""
        result = await self._result(request, on_progress)
        assert isinstance(result, Reading)
        return result

    async def _result(self, request: Generate, on_progress: OnProgress) -> Grid | Reading:
        if self._closing:
            raise self._death(None)("the worker is closed")
        if isinstance(self.state, Broken):
            raise _model_unavailable()
        model = self.registry.resolve(request.params).name
        future: asyncio.Future[Grid | Reading | Exception] = asyncio.get_running_loop().create_future()
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
        job.on_progress = ignore_progress
        if not job.sent or self._process is None:
            return
        self._process.send(Cancel(job.request.job_id))
        while not job.outcome.done():
            with contextlib.suppress(asyncio.CancelledError):  # a second cancellation does not end the wait
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
        self.loading = Loading(STARTING_PART, 0, 1, self.registry.default.name)
        try:
            self._process = GpuProcess(self._load, self._on_event, self._on_end, f"gpu {self.name}".rstrip())
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
            case Offered():
                self._offered, self._fixed_capacity = event, event.capacity
            case Ready():
                self._on_ready(event)
            case Progress(job_id) if job_id in self._jobs:
                self._jobs[job_id].on_progress(event)
            case Finished(job_id, grid) if job_id in self._jobs:
                self._crashes = 0
                self._jobs[job_id].end(grid)
            case Read(job_id, reading) if job_id in self._jobs:
                self._crashes = 0
                self._jobs[job_id].end(reading)
            case Failed(job_id) if job_id in self._jobs:
                self._jobs[job_id].end(_exception(event))
            case Crashed():
                self._crash = event
        self._update_watchdogs(event)

    def _on_loading(self, event: Loading) -> None:
        log.info("loading %s: %s (%d of %d)%s", event.model, event.part, event.done, event.total, self._where)
        self.loading = event
        if isinstance(self.state, Ready):
            self._notify()
        elif not isinstance(self.state, Broken):
            self._set_state(event)

    def _on_loaded(self, event: Loaded) -> None:
        log.info("%s is loaded after %.1f s%s", event.model.name, event.seconds, self._where)
        self.load_seconds[event.model.name] = event.seconds
        self._mark_loaded(event.model)
        if isinstance(self.state, Ready):
            self._notify()

    def _mark_loaded(self, model: Model) -> None:
        self.registry = self.registry.updated(model)
        self.loaded_models |= {model.name}
        self.loading = None

    def _on_unloaded(self, event: Unloaded) -> None:
        log.info("%s is unloaded%s", event.model, self._where)
        self.loaded_models -= {event.model}
        if self.loading is not None and self.loading.model == event.model:
            self.loading = None
        self._notify()

    def _on_ready(self, event: Ready) -> None:
        log.info("%s is ready on %s", event.model.name, self.name or event.device)
        self._mark_loaded(event.model)
        self.capacity = self._fixed_capacity or DEFAULT_CAPACITY.get(event.device.partition(":")[0], 1)
        self._failed_loads = 0
        self._was_ready = True
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
        self._fail(self._death(exit_code)(f"{self._title} died: {reason}"), sent=True)
        if self._closing:
            return
        log.error("%s %s", self._title, describe_exit(exit_code) + (f": {reason}" if self._crash.text else ""))
        if self._crash.permanent and not self._was_ready:  # what has worked before may work again
            self._mark_broken(reason)
        else:
            delay = self._next_delay(reason)
            self._restart = asyncio.get_running_loop().call_later(delay, self._start_process)

    def _death(self, exit_code: int | None) -> type[WorkerCrashed]:
        """Return the error of the jobs that the process took with it."""
        if self._crash.lost or (self._is_bridge and not self._crash.text):
            return MachineLost
        return WorkerLost if exit_code == KILLED and not self._crash.text else WorkerCrashed

    def _next_delay(self, reason: str) -> float:
        if isinstance(self.state, Ready):
            delays = 0.0, *self._retry_after[:-1]
            self._crashes = min(self._crashes + 1, len(delays))
            self._set_state(Restarting(reason))
            return delays[self._crashes - 1]
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
        """Watch loading and steps separately: news of one must not hide the silence of the other.

        A later job does not give a hung step more time.
        """
        about_loading = isinstance(event, Loading)
        self._load_watchdog.update(is_active=self.loading is not None, has_news=about_loading)
        self._step_watchdog.update(is_active=self._expects_steps(), has_news=event is not None and not about_loading)

    def _expects_steps(self) -> bool:
        """Return whether jobs wait for steps, rather than only for their model."""
        running = [job for job in self._jobs.values() if job.sent and not job.outcome.done()]
        if self._process is None or not running:
            return False
        return self.loading is None or any(job.model in self.loaded_models for job in running)

    def _kill_hung(self, limit: float) -> None:
        self._crash = Crashed(f"no response for {limit:g} s")
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
            "The bot operator can find the reason in the log."
        )
    )


def ignore_progress(_: Progress) -> None:
    """Take no notice of a job's progress."""
