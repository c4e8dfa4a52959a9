"""Several engines as one: each draws with a model of its own, as many of them as memory holds."""

from __future__ import annotations

import gc
import logging
import re
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import torch

from generation.child import Emit, Engine
from generation.engine.batch import LONGEST_WAITING
from generation.engine.memory import is_out_of_memory, release_memory
from generation.engine.residency import Residency
from generation.errors import Complaint
from generation.messages import Event, Failed, Finished, Generate, Left, Loaded, Loading, Reason
from generation.models import Model
from generation.repertoire import Repertoire

PAUSE = 0.02  # seconds that a step without an engine to step waits for a model, before messages are looked at again
RAM = torch.device("cpu")
KNOWN_FAULTS = (Complaint, OSError)  # of a model's files, in words that say enough
DEVICES = re.compile(r"CUDA|cuDNN|CUBLAS|HIP|MPS")  # in what torch says where a device has failed

log = logging.getLogger(__name__)


class Networks(Protocol):
    """A loaded model, on the device or in RAM.

    `begin` makes an engine of it once it is on the device, which is given a way to let another model go.
    """

    @property
    def model(self) -> Model:
        """The model as it really is."""

    @property
    def size(self) -> int:
        """The bytes of all weights."""

    @property
    def begin(self) -> Callable[[Emit, Callable[[], bool]], Engine]:
        """What makes an engine that draws with it."""

    def move(self, device: torch.device) -> None:
        """Bring the weights to another memory."""


class Maker(Protocol):
    """What loads models."""

    @property
    def device(self) -> torch.device:
        """Where they are loaded to."""

    def expected_size(self, model: Model) -> int:
        """Foresee how many bytes a model takes."""

    def load(self, model: Model, report: Callable[[Loading], None]) -> Networks:
        """Load a model."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A model that draws, and how long it took to come."""

    networks: Networks
    engine: Engine
    seconds: float


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why a model could not be loaded, in words that may be shown."""

    reason: Reason
    text: str


@dataclass(frozen=True, slots=True)
class _Job:
    """A request, and the name of the model that draws it."""

    request: Generate
    model: str


class _Arrival:
    """A model on its way, brought by a thread of its own, and what comes of it."""

    def __init__(self, model: Model, bring: Callable[[], _Held | _Refusal], news: threading.Event) -> None:
        self.model = model
        self.outcome: Future[_Held | _Refusal] = Future()
        self._bring, self._news = bring, news
        threading.Thread(target=self._work, name=f"loading {model.name}", daemon=True).start()

    def _work(self) -> None:
        try:
            self.outcome.set_result(self._bring())
        except BaseException as error:
            self.outcome.set_exception(error)
        self._news.set()


class Ensemble:
    """Draws every job with the model that it names, which is loaded first where it has to be.

    All methods are for one thread, which makes the steps of all models; loading goes on beside it. A model that has no
    room within `memory` bytes lets the ones go that draw nothing, the least recently used first: to RAM as long as they
    fit into `spare` bytes there. One that draws does not leave. The default model is loaded at once, and what that
    raises comes out of here. Another that cannot be loaded ends the jobs that wait for it, and is tried again for the
    next one.
    """

    def __init__(self, repertoire: Repertoire, maker: Maker, emit: Emit, memory: int, spare: int = 0) -> None:
        self._repertoire, self._maker, self._emit = repertoire, maker, emit
        self._on_device, self._in_ram = Residency(memory), Residency(spare)
        self._held: dict[str, _Held] = {}
        self._parked: dict[str, Networks] = {}
        self._sizes: dict[str, int] = {}
        self._waiting: dict[str, _Job] = {}
        self._drawing: dict[str, _Job] = {}
        self._of_drawing = threading.Lock()  # engines tell of ends from their own threads
        self._arrival: _Arrival | None = None
        self._is_cramped = False
        self._news = threading.Event()
        self._turn = 0
        self._served: dict[str, int] = {}
        self._take_in(repertoire.default, self._load(repertoire.default))

    @property
    def model(self) -> Model:
        """Give the default model, as it really is."""
        return self._repertoire.default

    @property
    def device(self) -> str:
        """Give the name of the device."""
        return str(self._maker.device)

    @property
    def busy(self) -> bool:
        """Say whether there is a step to make, or a model to wait for."""
        return bool(self._waiting or self._arrival) or any(held.engine.busy for held in self._held.values())

    def add(self, request: Generate) -> None:
        """Take a job."""
        try:
            model = self._repertoire.drawing(request.params)
        except Complaint as complaint:
            self._emit(Failed(request.job_id, Reason.COMPLAINT, str(complaint)))
        else:
            self._waiting[request.job_id] = _Job(request, model.name)
            self._let_in()

    def cancel(self, job_id: str) -> None:
        """End a job as cancelled, wherever it is; unknown ids are ignored."""
        if self._waiting.pop(job_id, None):
            self._emit(Failed(job_id, Reason.CANCELLED, "cancelled"))
        elif job := self._drawing.get(job_id):
            self._held[job.model].engine.cancel(job_id)

    def step(self) -> None:
        """Take in a model that has come, send for the next that is wanted, and make a step with one of those there."""
        self._receive()
        self._let_in()  # before the next is sent for, so that nobody leaves whom somebody has been waiting for
        self._send_for_next()
        if engine := self._next_engine():
            engine.step()
        elif self._news.wait(PAUSE):
            self._news.clear()

    def close(self) -> None:
        """Finish what is being decoded, forget the rest, and let go of all memory."""
        if self._arrival is not None and isinstance(coming := self._arrival.outcome.result(), _Held):
            coming.engine.close()
        for name in list(self._held):
            self._held.pop(name).engine.close()
        self._parked.clear()

    def _let_in(self) -> None:
        """Give jobs to the engines that are there; while somebody waits for room, nobody who came later gets in."""
        if self._is_cramped:
            return
        for job_id, job in list(self._waiting.items()):
            if job.model in self._held:
                del self._waiting[job_id]
                with self._of_drawing:
                    self._drawing[job_id] = job
                self._on_device.use(job.model)
                self._held[job.model].engine.add(job.request)

    def _hear(self, event: Event) -> None:
        """Pass on what an engine tells, and note whose job has come to its end."""
        if isinstance(event, Finished | Failed):
            with self._of_drawing:
                self._drawing.pop(event.job_id, None)
            self._news.set()
        self._emit(event)

    def _jobs(self) -> list[_Job]:
        """Give the jobs that draw, in the queue's order."""
        with self._of_drawing:
            return sorted(self._drawing.values(), key=_order)

    def _next_engine(self) -> Engine | None:
        """Give the engine that makes the next step.

        Most turns go to the model of the job that is first in the queue's order, since strict rotation would make all
        finish late; every fourth goes to the one that was served longest ago.
        """
        able = [name for name, held in self._held.items() if held.engine.busy]
        if not able:
            return None
        self._turn += 1
        if self._turn % LONGEST_WAITING:
            name = next((job.model for job in self._jobs() if job.model in able), able[0])
        else:
            name = min(able, key=lambda name: self._served.get(name, 0))
        self._served[name] = self._turn
        return self._held[name].engine

    def _send_for_next(self) -> None:
        """Have the model brought that the first of the waiting jobs wants, as soon as there is room for it."""
        self._is_cramped = False
        absent = [job for job in self._waiting.values() if job.model not in self._held]
        if self._arrival is not None or not absent:
            return
        model = self._repertoire.drawing(min(absent, key=_order).request.params)
        leaving = self._on_device.making_room(self._size(model), {job.model for job in self._jobs()})
        if leaving is None:
            self._is_cramped = True
        else:
            self._send_for(model, leaving)

    def _size(self, model: Model) -> int:
        """Give the bytes that a model took when it was last here, or is expected to take."""
        if model.name not in self._sizes:
            self._sizes[model.name] = self._maker.expected_size(model)
        return self._sizes[model.name]

    def _send_for(self, model: Model, leaving: Sequence[str]) -> None:
        gone = [(name, self._dismiss(name)) for name in leaving]
        self._arrival = _Arrival(model, partial(self._bring, model, gone), self._news)

    def _dismiss(self, name: str) -> _Held:
        self._on_device.leave(name)
        self._served.pop(name, None)
        self._emit(Left(name))
        return self._held.pop(name)

    def _let_another_go(self) -> bool:
        """Let a model go that draws nothing, since memory has run out in the step that is being made."""
        idle = self._on_device.least_recent({job.model for job in self._jobs()})
        if idle is None or self._arrival is not None:  # the thread of an arrival may be making room itself
            return False
        log.warning("there is not enough memory for what is drawn: %s has to leave", idle)
        self._make_room([(idle, self._dismiss(idle))])
        return True

    def _receive(self) -> None:
        """Take in the model that has come; raises what nobody expected of its loading."""
        if self._arrival is None or not self._arrival.outcome.done():
            return
        arrival, self._arrival = self._arrival, None
        outcome = arrival.outcome.result()
        if isinstance(outcome, _Held):
            self._take_in(arrival.model, outcome)
        elif outcome.reason is Reason.OUT_OF_MEMORY and self._held:
            self._sizes[arrival.model.name] = self._on_device.budget  # it wants the device to itself
            self._emit(Left(arrival.model.name))
        else:
            self._refuse(arrival.model.name, outcome)

    def _take_in(self, model: Model, held: _Held) -> None:
        true = replace(held.networks.model, name=model.name)
        self._held[model.name] = held
        self._sizes[model.name] = held.networks.size
        self._on_device.hold(model.name, held.networks.size)
        self._repertoire = self._repertoire.corrected(true)
        self._emit(Loaded(true, held.seconds))

    def _refuse(self, name: str, refusal: _Refusal) -> None:
        self._emit(Left(name))
        for job_id in [job_id for job_id, job in self._waiting.items() if job.model == name]:
            del self._waiting[job_id]
            self._emit(Failed(job_id, refusal.reason, refusal.text))

    def _bring(self, model: Model, gone: list[tuple[str, _Held]]) -> _Held | _Refusal:
        """Make room and load a model; on the thread of its arrival."""
        try:
            self._make_room(gone)
            return self._load(model)
        except Exception as error:
            if isinstance(error, RuntimeError) and is_out_of_memory(error):
                log.warning("there is not enough memory to load %s", model.name)
                return _Refusal(Reason.OUT_OF_MEMORY, f"There is not enough memory to draw with {model.name}.")
            if isinstance(error, RuntimeError) and DEVICES.search(str(error)):
                raise
            log.warning("%s cannot be loaded: %s", model.name, error, exc_info=not isinstance(error, KNOWN_FAULTS))
            text = f"{model.name} cannot be loaded at the moment. Why is in the log of whoever runs this bot."
            return _Refusal(Reason.COMPLAINT, text)

    def _make_room(self, gone: list[tuple[str, _Held]]) -> None:
        if gone:
            while gone:  # nothing else may hold on to them
                self._put_away(*gone.pop(0))
            gc.collect()
        release_memory(self._maker.device)

    def _put_away(self, name: str, held: _Held) -> None:
        """Move a model to RAM if it fits there, letting others go from there; else let go of it."""
        held.engine.close()
        networks = held.networks
        if networks.size <= self._in_ram.budget:
            for other in self._in_ram.making_room(networks.size, ()) or ():
                self._in_ram.leave(other)
                del self._parked[other]
            networks.move(RAM)
            self._parked[name] = networks
            self._in_ram.hold(name, networks.size)

    def _load(self, model: Model) -> _Held:
        """Bring a model from RAM, or from where it is kept."""
        began = time.monotonic()

        def report(loading: Loading) -> None:
            self._emit(replace(loading, model=model.name))

        if networks := self._parked.pop(model.name, None):
            report(Loading("from RAM", 0, 1))
            self._in_ram.leave(model.name)
            networks.move(self._maker.device)
        else:
            networks = self._maker.load(model, report)
        engine = networks.begin(self._hear, self._let_another_go)
        return _Held(networks, engine, time.monotonic() - began)


def _order(job: _Job) -> int:
    return job.request.order
