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
    Left,
    Loaded,
    Loading,
    Progress,
    Ready,
    Reason,
    Stop,
)
from generation.models import Model
from generation.process import EXIT_GRACE, GpuProcess, say_exit
from generation.repertoire import Repertoire

# Grids that fill a UNet call on such a device, and what keeps it busy while others are being decoded.
JOBS_AT_ONCE = {"cuda": 6, "mps": 2, "cpu": 2}

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


State = Loading | Ready | Restarting | Broken
OnProgress = Callable[[Progress], None]


class Worker(Protocol):
    """Something that draws; only this module may know where.

    `repertoire` is described before any weights are loaded, and each model in it corrected once it is. Jobs for every
    model are taken; `held` names the models that can draw at once, `loading` says which other one is on its way and
    how far, `load_seconds` how long each took when it last came. `capacity` is the number of jobs that are worth giving
    to it at once.
    """

    repertoire: Repertoire
    held: frozenset[str]
    loading: Loading | None
    load_seconds: dict[str, float]
    capacity: int
    state: State

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
class _Pending:
    """A job that somebody waits for; `ended` is set to the grid or to what is to be raised."""

    request: Generate
    model: str
    on_progress: OnProgress
    ended: asyncio.Future[Grid | Exception]
    sent: bool = False

    def end(self, outcome: Grid | Exception) -> None:
        if not self.ended.done():
            self.ended.set_result(outcome)


class _Watch:
    """Calls `alarm` when something that goes on has been silent for `limit` seconds."""

    def __init__(self, limit: float, alarm: Callable[[float], None]) -> None:
        self._limit, self._alarm = limit, alarm
        self._timer: asyncio.TimerHandle | None = None

    def look(self, *, goes_on: bool, heard: bool) -> None:
        """Count the silence, from now on where something was heard, as long as it goes on."""
        if self._timer is not None and (heard or not goes_on):
            self._timer.cancel()
            self._timer = None
        if goes_on and self._timer is None:
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
        repertoire: Repertoire,
        device: str = "auto",
        threads: int = 0,
        *,
        capacity: int = 0,
        step_timeout: float = 120,
        load_timeout: float = 1800,
        retry_after: tuple[float, ...] = (1, 5, 30, 300),
        load: Load = load_engine,
    ) -> None:
        self.repertoire = repertoire
        self.held = frozenset[str]()
        self.capacity = capacity or 1
        self._fixed_capacity = capacity
        self.loading: Loading | None = None
        self.load_seconds: dict[str, float] = {}
        self.state: State = Loading("torch", 0, 1, repertoire.default.name)
        self._load = partial(load, repertoire, device, threads)
        self._retry_after = retry_after
        self._subscribers: list[Callable[[], None]] = []
        self._jobs: dict[str, _Pending] = {}
        self._process: GpuProcess | None = None
        self._ended = asyncio.Event()
        self._closing = False
        self._failed_loads = 0
        self._last_words = Crashed("")
        self._of_steps = _Watch(step_timeout, self._kill_silent)
        self._of_loading = _Watch(load_timeout, self._kill_silent)
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
        model = self.repertoire.drawing(request.params).name
        ended: asyncio.Future[Grid | Exception] = asyncio.get_running_loop().create_future()
        job = self._jobs[request.job_id] = _Pending(request, model, on_progress, ended)
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

    async def _let_go(self, job: _Pending) -> None:
        job.on_progress = _ignore
        if not job.sent or self._process is None:
            return
        self._process.send(Cancel(job.request.job_id))
        while not job.ended.done():
            with contextlib.suppress(asyncio.CancelledError):  # asking twice does not make the engine faster
                await asyncio.wait({job.ended})

    def _send(self, job: _Pending) -> None:
        assert self._process is not None
        job.sent = True
        self._process.send(job.request)
        self._watch()

    def _start_process(self) -> None:
        self._ended.clear()
        self._last_words = Crashed("")
        self._restart = None
        self.loading = Loading("torch", 0, 1, self.repertoire.default.name)
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
            case Loaded():
                self._on_loaded(event)
            case Left():
                self._on_left(event)
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
        self._watch(event)

    def _on_loading(self, event: Loading) -> None:
        log.info("loading %s: %s (%d of %d)", event.model, event.part, event.done, event.of)
        self.loading = event
        if isinstance(self.state, Ready):
            self._tell()
        elif not isinstance(self.state, Broken):
            self._become(event)

    def _on_loaded(self, event: Loaded) -> None:
        log.info("%s is held after %.1f s of loading", event.model.name, event.seconds)
        self.load_seconds[event.model.name] = event.seconds
        self._hold(event.model)
        if isinstance(self.state, Ready):
            self._tell()

    def _hold(self, model: Model) -> None:
        self.repertoire = self.repertoire.corrected(model)
        self.held |= {model.name}
        self.loading = None

    def _on_left(self, event: Left) -> None:
        log.info("%s is not held any more", event.model)
        self.held -= {event.model}
        if self.loading is not None and self.loading.model == event.model:
            self.loading = None
        self._tell()

    def _on_ready(self, event: Ready) -> None:
        log.info("%s is ready on %s", event.model.name, event.device)
        self._hold(event.model)
        self.capacity = self._fixed_capacity or JOBS_AT_ONCE.get(event.device.partition(":")[0], 1)
        self._failed_loads = 0
        self._become(event)
        for job in self._jobs.values():
            if not job.sent:
                self._send(job)

    def _on_end(self, exit_code: int | None) -> None:
        self._process = None
        self.held, self.loading = frozenset(), None
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
        log.warning("%s could not be loaded; next try in %g s", self.repertoire.default.name, delay)
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
        self._tell()

    def _tell(self) -> None:
        for callback in self._subscribers:
            callback()

    def _fail(self, error: Exception, *, sent: bool) -> None:
        for job in self._jobs.values():
            if job.sent is sent:
                job.end(error)

    def _watch(self, event: Event | None = None) -> None:
        """Count the silence about loading and about steps, each by itself: news of one must not hide that of the other.

        A later job does not give a hung step more time.
        """
        about_loading = isinstance(event, Loading)
        self._of_loading.look(goes_on=self.loading is not None, heard=about_loading)
        self._of_steps.look(goes_on=self._steps_are_due(), heard=event is not None and not about_loading)

    def _steps_are_due(self) -> bool:
        """Tell whether jobs wait for steps, and not just for their model."""
        under_way = [job for job in self._jobs.values() if job.sent and not job.ended.done()]
        if self._process is None or not under_way:
            return False
        return self.loading is None or any(job.model in self.held for job in under_way)

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
