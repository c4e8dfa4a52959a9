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

import torch

from generation.engine.base import Emit, Engine
from generation.engine.device.oom import is_out_of_memory, release_memory
from generation.engine.serving.memory_budget import MemoryBudget
from generation.engine.serving.model_loader import LoadedModel, ModelLoader
from generation.errors import UserError
from generation.messages import FailureReason, Loaded, Loading, Unloaded
from generation.models.model import Model

RAM = torch.device("cpu")
EXPECTED_LOAD_ERRORS = (UserError, OSError)  # of a model's files, in words that say enough
DEVICE_ERROR = re.compile(r"CUDA|cuDNN|CUBLAS|HIP|MPS")  # in what torch says where a device has failed

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CachedModel:
    """A model that draws, and how long it took to come."""

    loaded_model: LoadedModel
    engine: Engine
    load_seconds: float


@dataclass(frozen=True, slots=True)
class LoadFailure:
    """Why a model could not be loaded, in words that may be shown."""

    model: str
    reason: FailureReason
    text: str


class _PendingLoad:
    """A model on its way, brought by a thread of its own, and what comes of it."""

    def __init__(self, model: Model, load: Callable[[], CachedModel | LoadFailure], wakeup: threading.Event) -> None:
        self.model = model
        self.outcome: Future[CachedModel | LoadFailure] = Future()
        self._load, self._wakeup = load, wakeup
        threading.Thread(target=self._work, name=f"loading {model.name}", daemon=True).start()

    def _work(self) -> None:
        try:
            self.outcome.set_result(self._load())
        except BaseException as error:
            self.outcome.set_exception(error)
        self._wakeup.set()


class ModelCache:
    """Holds models, by their names, each with an engine of its own that tells what happens by `hear`.

    A model that has no room within `memory` bytes lets the ones go that draw nothing, the least recently used first: to
    RAM as long as they fit into `spare` bytes there. Those that `draw` do not leave. One model at a time is on its way,
    on a thread of its own; all methods are for the one thread that makes the steps. `news` is set when it has come.
    """

    def __init__(
        self,
        loader: ModelLoader,
        device_bytes: int,
        ram_bytes: int,
        emit: Emit,
        on_event: Emit,
        busy_models: Callable[[], set[str]],
    ) -> None:
        self.loaded: dict[str, CachedModel] = {}
        self.wakeup = threading.Event()
        self._loader, self._emit, self._on_event, self._busy_models = loader, emit, on_event, busy_models
        self._device_budget, self._ram_budget = MemoryBudget(device_bytes), MemoryBudget(ram_bytes)
        self._offloaded: dict[str, LoadedModel] = {}
        self._sizes: dict[str, int] = {}
        self._pending: _PendingLoad | None = None

    @property
    def is_loading(self) -> bool:
        """Say whether a model is on its way."""
        return self._pending is not None

    def load(self, model: Model) -> Model:
        """Load a model at once, and give it as it really is; raises whatever is wrong with it."""
        return self._add(model, self._load(model))

    def touch(self, name: str) -> None:
        """Note that a model is being used."""
        self._device_budget.touch(name)

    def request_load(self, model: Model) -> bool:
        """Have a model brought, and let others go for it; False while those that draw are in its way."""
        evicted = self._device_budget.plan_eviction(self._size(model), self._busy_models())
        if evicted is None:
            return False
        self._start_load(model, evicted)
        return True

    def poll_loaded(self) -> Model | LoadFailure | None:
        """Take in the model that has come, and give it as it really is, or why it has not.

        None where nothing has come, or it has to be sent for again. Raises what nobody expected of its loading.
        """
        if self._pending is None or not self._pending.outcome.done():
            return None
        pending, self._pending = self._pending, None
        outcome = pending.outcome.result()
        if isinstance(outcome, CachedModel):
            return self._add(pending.model, outcome)
        self._emit(Unloaded(pending.model.name))
        if outcome.reason is FailureReason.OUT_OF_MEMORY and self.loaded:
            self._sizes[pending.model.name] = self._device_budget.limit  # it wants the device to itself
            return None
        return outcome

    def close(self) -> None:
        """Close all engines, and let go of all memory."""
        if self._pending is not None and isinstance(pending := self._pending.outcome.result(), CachedModel):
            pending.engine.close()
        for name in list(self.loaded):
            self.loaded.pop(name).engine.close()
        self._offloaded.clear()

    def _size(self, model: Model) -> int:
        """Give the bytes that a model took when it was last here, or is expected to take."""
        if model.name not in self._sizes:
            self._sizes[model.name] = self._loader.expected_size(model)
        return self._sizes[model.name]

    def _start_load(self, model: Model, names: Sequence[str]) -> None:
        evicted = [(name, self._evict(name)) for name in names]
        self._pending = _PendingLoad(model, partial(self._evict_and_load, model, evicted), self.wakeup)

    def _evict(self, name: str) -> CachedModel:
        self._device_budget.remove(name)
        self._emit(Unloaded(name))
        return self.loaded.pop(name)

    def _evict_idle(self) -> bool:
        """Let a model go that draws nothing, since memory has run out in the step that is being made."""
        idle = self._device_budget.lru_idle(self._busy_models())
        if idle is None or self._pending is not None:  # the thread of an arrival may be making room itself
            return False
        log.warning("there is not enough memory for what is drawn: %s has to leave", idle)
        self._free_memory([(idle, self._evict(idle))])
        return True

    def _add(self, model: Model, cached: CachedModel) -> Model:
        actual = replace(cached.loaded_model.model, name=model.name)
        self.loaded[model.name] = cached
        self._sizes[model.name] = cached.loaded_model.size
        self._device_budget.add(model.name, cached.loaded_model.size)
        self._emit(Loaded(actual, cached.load_seconds))
        return actual

    def _evict_and_load(self, model: Model, evicted: list[tuple[str, CachedModel]]) -> CachedModel | LoadFailure:
        """Make room and load a model; on the thread of its arrival."""
        try:
            self._free_memory(evicted)
            return self._load(model)
        except Exception as error:
            if isinstance(error, RuntimeError) and is_out_of_memory(error):
                log.warning("there is not enough memory to load %s", model.name)
                text = f"There is not enough memory to draw with {model.name}."
                return LoadFailure(model.name, FailureReason.OUT_OF_MEMORY, text)
            if isinstance(error, RuntimeError) and DEVICE_ERROR.search(str(error)):
                raise
            log.warning(
                "%s cannot be loaded: %s", model.name, error, exc_info=not isinstance(error, EXPECTED_LOAD_ERRORS)
            )
            text = f"{model.name} cannot be loaded at the moment. Why is in the log of whoever runs this bot."
            return LoadFailure(model.name, FailureReason.USER_ERROR, text)

    def _free_memory(self, evicted: list[tuple[str, CachedModel]]) -> None:
        if evicted:
            while evicted:  # nothing else may hold on to them
                self._offload(*evicted.pop(0))
            gc.collect()
        release_memory(self._loader.device)

    def _offload(self, name: str, cached: CachedModel) -> None:
        """Move a model to RAM if it fits there, letting others go from there; else let go of it."""
        cached.engine.close()
        loaded_model = cached.loaded_model
        if loaded_model.size <= self._ram_budget.limit:
            for other in self._ram_budget.plan_eviction(loaded_model.size, ()) or ():
                self._ram_budget.remove(other)
                del self._offloaded[other]
            loaded_model.move(RAM)
            self._offloaded[name] = loaded_model
            self._ram_budget.add(name, loaded_model.size)

    def _load(self, model: Model) -> CachedModel:
        """Bring a model from RAM, or from where it is kept."""
        began = time.monotonic()

        def report(loading: Loading) -> None:
            self._emit(replace(loading, model=model.name))

        if loaded_model := self._offloaded.pop(model.name, None):
            report(Loading("from RAM", 0, 1))
            self._ram_budget.remove(model.name)
            loaded_model.move(self._loader.device)
        else:
            loaded_model = self._loader.load(model, report)
        engine = loaded_model.create_engine(self._on_event, self._evict_idle)
        return CachedModel(loaded_model, engine, time.monotonic() - began)
