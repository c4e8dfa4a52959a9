"""The bot's handle on a GPU process: jobs in, grids out; its death is an ordinary outcome."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from generation.child import Load, load_engine
from generation.errors import Complaint, JobCancelled, OutOfMemory, WorkerDied
from generation.messages import (
    Cancel,
    Crashed,
    Event,
    Failed,
    Finished,
    Generate,
    Grid,
    Loading,
    Progress,
    Ready,
    Reason,
    Stop,
)
from generation.models import Model, describe
from generation.process import EXIT_GRACE, GpuProcess, say_exit

# Grids that fill a UNet call on such a device, and what keeps it busy while others are being decoded.
JOBS_AT_ONCE = {"cuda": 6, "mps": 2, "cpu": 2}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Restarting:
    """The process has died, for `reason`, and another is being started."""

    reason: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The model could not be loaded, again and again; `reason` is the last error. It is tried again now and then."""

    reason: str


State = Loading | Ready | Restarting | Broken
OnProgress = Callable[[Progress], None]


class Worker(Protocol):
    """Something that draws; only this module may know where.

    `model` is described before the weights are loaded and corrected by the true one; `capacity` is the number of jobs
    that are worth giving to it at once.
    """

    model: Model
    capacity: int
    state: State

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Have `callback` called in the event loop whenever `state` has changed."""

    async def start(self) -> None:
        """Begin to load the model; `state` tells how far it is."""

    async def close(self) -> None:
        """End whatever runs; the jobs that it held end with WorkerDied."""

    async def generate(self, request: Generate, on_progress: OnProgress) -> Grid:
        """Draw one job, waiting for the model first where it is still being loaded.

        To cancel the job, cancel the task that awaits this: it goes on to wait until the engine has let the job go.
        Raises Complaint, JobCancelled and WorkerDied; RuntimeError for what nobody expected.
        """


@dataclass(slots=True, eq=False)
class _Held:
    """A job that somebody waits for; `ended` is set to the grid or to what is to be raised."""

    request: Generate
    on_progress: OnProgress
    ended: asyncio.Future[Grid | Exception]
    sent: bool = False

    def end(self, outcome: Grid | Exception) -> None:
        if not self.ended.done():
            self.ended.set_result(outcome)


class LocalWorker:
    """A worker in a process of its own on this machine.

    `threads` is torch's number of CPU threads (0: its own choice); a `capacity` of 0 is chosen for the device. A
    process that says nothing for `step_timeout` seconds while it draws, or `load_timeout` while it loads, is killed.
    After the n-th failed load in a row the next one waits for the n-th of `retry_after` seconds; from the last one on,
    the worker counts as broken.
    Raises FileNotFoundError when `ref` is a path without a model.
    """

    def __init__(
        self,
        ref: str,
        device: str = "auto",
        threads: int = 0,
        *,
        capacity: int = 0,
        step_timeout: float = 120,
        load_timeout: float = 1800,
        retry_after: tuple[float, ...] = (1, 5, 30, 300),
        load: Load = load_engine,
    ) -> None:
        self.model = describe(ref)
        self.capacity = capacity or 1
        self._fixed_capacity = capacity
        self.state: State = Loading("torch", 0, 1)
        self._load = partial(load, ref, device, threads)
        self._step_timeout, self._load_timeout, self._retry_after = step_timeout, load_timeout, retry_after
        self._subscribers: list[Callable[[], None]] = []
        self._jobs: dict[str, _Held] = {}
        self._process: GpuProcess | None = None
        self._ended = asyncio.Event()
        self._closing = False
        self._failed_loads = 0
        self._last_words = Crashed("")
        self._silence: asyncio.TimerHandle | None = None
        self._restart: asyncio.TimerHandle | None = None

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Have `callback` called in the event loop whenever `state` has changed."""
        self._subscribers.append(callback)

    async def start(self) -> None:
        """Begin to load the model; `state` tells how far it is."""
        self._start_process()

    async def close(self) -> None:
        """Ask the process to end, kill it when it does not; the jobs that it held end with WorkerDied."""
        self._closing = True
        self._fail(WorkerDied("the worker is being closed"), sent=False)
        if self._restart is not None:
            self._restart.cancel()
        if (process := self._process) is None:
            return
        process.send(Stop())
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), EXIT_GRACE)
        finally:
            process.kill()
        await self._ended.wait()

    async def generate(self, request: Generate, on_progress: OnProgress) -> Grid:
        """Draw one job; see `Worker.generate`."""
        if self._closing:
            raise WorkerDied("the worker is closed")
        if isinstance(self.state, Broken):
            raise _cannot_draw()
        job = self._jobs[request.job_id] = _Held(request, on_progress, asyncio.get_running_loop().create_future())
        if isinstance(self.state, Ready):
            self._send(job)
        try:
            outcome = await asyncio.shield(job.ended)
        except asyncio.CancelledError:
            await self._let_go(job)
            raise
        finally:
            del self._jobs[request.job_id]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def _let_go(self, job: _Held) -> None:
        job.on_progress = _ignore
        if not job.sent or self._process is None:
            return
        self._process.send(Cancel(job.request.job_id))
        while not job.ended.done():
            with contextlib.suppress(asyncio.CancelledError):  # asking twice does not make the engine faster
                await asyncio.wait({job.ended})

    def _send(self, job: _Held) -> None:
        assert self._process is not None
        job.sent = True
        self._process.send(job.request)
        if self._silence is None:  # a later job must not give a hung step more time
            self._watch()

    def _start_process(self) -> None:
        self._ended.clear()
        self._last_words = Crashed("")
        self._restart = None
        try:
            self._process = GpuProcess(self._load, self._on_event, self._on_end)
        except OSError as error:
            self._last_words = Crashed(str(error))
            self._on_end(None)
        self._watch()

    def _on_event(self, event: Event) -> None:
        match event:
            case Loading():
                self._on_loading(event)
            case Ready():
                self._on_ready(event)
            case Progress(job_id) if job_id in self._jobs:
                self._jobs[job_id].on_progress(event)
            case Finished(job_id, grid) if job_id in self._jobs:
                self._jobs[job_id].end(grid)
            case Failed(job_id) if job_id in self._jobs:
                self._jobs[job_id].end(_exception(event))
            case Crashed():
                self._last_words = event
        self._watch()

    def _on_loading(self, event: Loading) -> None:
        log.info("loading %s: %s (%d of %d)", self.model.name, event.part, event.done, event.of)
        if not isinstance(self.state, Broken):
            self._become(event)

    def _on_ready(self, event: Ready) -> None:
        log.info("%s is ready on %s", event.model.name, event.device)
        self.model = event.model
        self.capacity = self._fixed_capacity or JOBS_AT_ONCE.get(event.device.partition(":")[0], 1)
        self._failed_loads = 0
        self._become(event)
        for job in self._jobs.values():
            if not job.sent:
                self._send(job)

    def _on_end(self, exit_code: int | None) -> None:
        self._process = None
        self._ended.set()
        self._watch()
        reason = self._last_words.text or say_exit(exit_code)
        self._fail(WorkerDied(f"the GPU process died: {reason}"), sent=True)
        if self._closing:
            return
        log.error("the GPU process %s: %s", say_exit(exit_code), reason)
        if self._last_words.hopeless:
            self._give_up(reason)
        else:
            delay = self._next_delay(reason)
            self._restart = asyncio.get_running_loop().call_later(delay, self._start_process)

    def _next_delay(self, reason: str) -> float:
        if isinstance(self.state, Ready):
            self._become(Restarting(reason))
            return 0
        self._failed_loads = min(self._failed_loads + 1, len(self._retry_after))
        delay = self._retry_after[self._failed_loads - 1]
        log.warning("%s could not be loaded; next try in %g s", self.model.name, delay)
        if self._failed_loads < len(self._retry_after):
            self._become(Restarting(reason))
        else:
            self._give_up(reason)
        return delay

    def _give_up(self, reason: str) -> None:
        self._become(Broken(reason))
        self._fail(_cannot_draw(), sent=False)

    def _become(self, state: State) -> None:
        self.state = state
        for callback in self._subscribers:
            callback()

    def _fail(self, error: Exception, *, sent: bool) -> None:
        for job in self._jobs.values():
            if job.sent is sent:
                job.end(error)

    def _watch(self) -> None:
        """Count the silence from now on."""
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None
        if (limit := self._patience()) is not None:
            self._silence = asyncio.get_running_loop().call_later(limit, self._kill_silent, limit)

    def _patience(self) -> float | None:
        if self._process is None:
            return None
        if not isinstance(self.state, Ready):
            return self._load_timeout
        return self._step_timeout if any(not job.ended.done() for job in self._jobs.values()) else None

    def _kill_silent(self, limit: float) -> None:
        self._last_words = Crashed(f"no sign of life for {limit:g} s")
        if self._process is not None:
            self._process.kill()


def _exception(failed: Failed) -> Exception:
    match failed.reason:
        case Reason.COMPLAINT:
            return Complaint(failed.text)
        case Reason.OUT_OF_MEMORY:
            return OutOfMemory(failed.text)
        case Reason.CANCELLED:
            return JobCancelled(failed.text)
        case Reason.INTERNAL:
            return RuntimeError(failed.text)


def _cannot_draw() -> Complaint:
    return Complaint(
        "Nothing can be drawn at the moment: the model cannot be loaded. Why is in the log of whoever runs this bot."
    )


def _ignore(_: Progress) -> None:
    pass
