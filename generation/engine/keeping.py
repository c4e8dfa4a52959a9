"""Keep models in memory: bring those that are wanted, and let others go for them."""

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
from generation.engine.memory import is_out_of_memory, release_memory
from generation.engine.residency import Residency
from generation.errors import Complaint
from generation.messages import Left, Loaded, Loading, Reason
from generation.models import Model

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
class Held:
    """A model that draws, and how long it took to come."""

    networks: Networks
    engine: Engine
    seconds: float


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a model could not be loaded, in words that may be shown."""

    model: str
    reason: Reason
    text: str


class _Arrival:
    """A model on its way, brought by a thread of its own, and what comes of it."""

    def __init__(self, model: Model, bring: Callable[[], Held | Refusal], news: threading.Event) -> None:
        self.model = model
        self.outcome: Future[Held | Refusal] = Future()
        self._bring, self._news = bring, news
        threading.Thread(target=self._work, name=f"loading {model.name}", daemon=True).start()

    def _work(self) -> None:
        try:
            self.outcome.set_result(self._bring())
        except BaseException as error:
            self.outcome.set_exception(error)
        self._news.set()


class Keeper:
    """Holds models, by their names, each with an engine of its own that tells what happens by `hear`.

    A model that has no room within `memory` bytes lets the ones go that draw nothing, the least recently used first: to
    RAM as long as they fit into `spare` bytes there. Those that `draw` do not leave. One model at a time is on its way,
    on a thread of its own; all methods are for the one thread that makes the steps. `news` is set when it has come.
    """

    def __init__(
        self, maker: Maker, memory: int, spare: int, emit: Emit, hear: Emit, draw: Callable[[], set[str]]
    ) -> None:
        self.held: dict[str, Held] = {}
        self.news = threading.Event()
        self._maker, self._emit, self._hear, self._draw = maker, emit, hear, draw
        self._on_device, self._in_ram = Residency(memory), Residency(spare)
        self._parked: dict[str, Networks] = {}
        self._sizes: dict[str, int] = {}
        self._arrival: _Arrival | None = None

    @property
    def is_bringing(self) -> bool:
        """Say whether a model is on its way."""
        return self._arrival is not None

    def load(self, model: Model) -> Model:
        """Load a model at once, and give it as it really is; raises whatever is wrong with it."""
        return self._take_in(model, self._load(model))

    def use(self, name: str) -> None:
        """Note that a model is being used."""
        self._on_device.use(name)

    def send_for(self, model: Model) -> bool:
        """Have a model brought, and let others go for it; False while those that draw are in its way."""
        leaving = self._on_device.making_room(self._size(model), self._draw())
        if leaving is None:
            return False
        self._send_for(model, leaving)
        return True

    def receive(self) -> Model | Refusal | None:
        """Take in the model that has come, and give it as it really is, or why it has not.

        None where nothing has come, or it has to be sent for again. Raises what nobody expected of its loading.
        """
        if self._arrival is None or not self._arrival.outcome.done():
            return None
        arrival, self._arrival = self._arrival, None
        outcome = arrival.outcome.result()
        if isinstance(outcome, Held):
            return self._take_in(arrival.model, outcome)
        self._emit(Left(arrival.model.name))
        if outcome.reason is Reason.OUT_OF_MEMORY and self.held:
            self._sizes[arrival.model.name] = self._on_device.budget  # it wants the device to itself
            return None
        return outcome

    def close(self) -> None:
        """Close all engines, and let go of all memory."""
        if self._arrival is not None and isinstance(coming := self._arrival.outcome.result(), Held):
            coming.engine.close()
        for name in list(self.held):
            self.held.pop(name).engine.close()
        self._parked.clear()

    def _size(self, model: Model) -> int:
        """Give the bytes that a model took when it was last here, or is expected to take."""
        if model.name not in self._sizes:
            self._sizes[model.name] = self._maker.expected_size(model)
        return self._sizes[model.name]

    def _send_for(self, model: Model, leaving: Sequence[str]) -> None:
        gone = [(name, self._dismiss(name)) for name in leaving]
        self._arrival = _Arrival(model, partial(self._bring, model, gone), self.news)

    def _dismiss(self, name: str) -> Held:
        self._on_device.leave(name)
        self._emit(Left(name))
        return self.held.pop(name)

    def _let_another_go(self) -> bool:
        """Let a model go that draws nothing, since memory has run out in the step that is being made."""
        idle = self._on_device.least_recent(self._draw())
        if idle is None or self._arrival is not None:  # the thread of an arrival may be making room itself
            return False
        log.warning("there is not enough memory for what is drawn: %s has to leave", idle)
        self._make_room([(idle, self._dismiss(idle))])
        return True

    def _take_in(self, model: Model, held: Held) -> Model:
        true = replace(held.networks.model, name=model.name)
        self.held[model.name] = held
        self._sizes[model.name] = held.networks.size
        self._on_device.hold(model.name, held.networks.size)
        self._emit(Loaded(true, held.seconds))
        return true

    def _bring(self, model: Model, gone: list[tuple[str, Held]]) -> Held | Refusal:
        """Make room and load a model; on the thread of its arrival."""
        try:
            self._make_room(gone)
            return self._load(model)
        except Exception as error:
            if isinstance(error, RuntimeError) and is_out_of_memory(error):
                log.warning("there is not enough memory to load %s", model.name)
                text = f"There is not enough memory to draw with {model.name}."
                return Refusal(model.name, Reason.OUT_OF_MEMORY, text)
            if isinstance(error, RuntimeError) and DEVICES.search(str(error)):
                raise
            log.warning("%s cannot be loaded: %s", model.name, error, exc_info=not isinstance(error, KNOWN_FAULTS))
            text = f"{model.name} cannot be loaded at the moment. Why is in the log of whoever runs this bot."
            return Refusal(model.name, Reason.COMPLAINT, text)

    def _make_room(self, gone: list[tuple[str, Held]]) -> None:
        if gone:
            while gone:  # nothing else may hold on to them
                self._put_away(*gone.pop(0))
            gc.collect()
        release_memory(self._maker.device)

    def _put_away(self, name: str, held: Held) -> None:
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

    def _load(self, model: Model) -> Held:
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
        return Held(networks, engine, time.monotonic() - began)
