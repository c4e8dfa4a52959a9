"""Keep models in memory: load requested ones, and evict others for them."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial

import torch

from generation.engine.base import Emit, Engine
from generation.engine.device.oom import DEVICE_ERROR, is_out_of_memory, release_memory
from generation.engine.serving.memory_budget import MemoryBudget
from generation.engine.serving.model_loader import LoadedModel, ModelLoader
from generation.errors import UserError
from generation.messages import FailureReason, Loaded, Loading, Unloaded
from generation.models.model import Model
from generation.text import Text

RAM = torch.device("cpu")
EXPECTED_LOAD_ERRORS = (UserError, OSError)  # about a model's files; logged without a traceback

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CachedModel:
    """A loaded model with its engine, and how long loading took."""

    loaded_model: LoadedModel
    engine: Engine
    load_seconds: float


@dataclass(frozen=True, slots=True)
class LoadFailure:
    """Why a model could not be loaded; `text` may be shown to users."""

    model: str
    reason: FailureReason
    text: str


class _PendingLoad:
    """A model that is being loaded on a thread of its own, and the outcome."""

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
    """Keeps models by name, each with an engine of its own whose events go to `on_event`.

    A model that does not fit into `device_bytes` evicts idle models, the least recently used first. They move to RAM if
    they fit into `ram_bytes` there. `busy_models` are never evicted. One model at a time is loaded, on a thread of its
    own, and sets `wakeup` when done. Call all methods from the one thread that makes the steps.
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
        """Return whether a model is being loaded."""
        return self._pending is not None

    def load(self, model: Model) -> Model:
        """Load a model immediately and return it with its actual settings; loading errors are raised."""
        return self._add(model, self._load(model))

    def touch(self, name: str) -> None:
        """Mark a model as the most recently used."""
        self._device_budget.touch(name)

    def request_load(self, model: Model) -> bool:
        """Start loading a model, evicting others for it; False while busy models take up the memory."""
        for name, cached in self.loaded.items():
            self._device_budget.resize(name, cached.loaded_model.size)  # with the ControlNets that came since
        evicted = self._device_budget.plan_eviction(self._size(model), self._busy_models())
        if evicted is None:
            return False
        self._start_load(model, evicted)
        return True

    def poll_loaded(self) -> Model | LoadFailure | None:
        """Add the model that has been loaded and return it with its actual settings, or return the failure.

        None if none has been loaded, or if it must be requested again. Raises unexpected loading errors.
        """
        if self._pending is None or not self._pending.outcome.done():
            return None
        pending, self._pending = self._pending, None
        outcome = pending.outcome.result()
        if isinstance(outcome, CachedModel):
            return self._add(pending.model, outcome)
        self._emit(Unloaded(pending.model.name))
        if outcome.reason is FailureReason.OUT_OF_MEMORY and self.loaded:
            self._sizes[pending.model.name] = self._device_budget.limit  # it needs the device to itself
            return None
        return outcome

    def close(self) -> None:
        """Close all engines and free all memory."""
        if self._pending is not None and isinstance(pending := self._pending.outcome.result(), CachedModel):
            pending.engine.close()
        for name in list(self.loaded):
            self.loaded.pop(name).engine.close()
        self._offloaded.clear()

    def _size(self, model: Model) -> int:
        """Return the bytes that a model took when it was last loaded, or is expected to take."""
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
        """Evict an idle model, since the current step ran out of memory."""
        idle = self._device_budget.lru_idle(self._busy_models())
        if idle is None or self._pending is not None:  # the loading thread may be freeing memory itself
            return False
        log.warning("not enough memory for the running jobs: evicting %s", idle)
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
        """Free memory and load a model, on the loading thread."""
        try:
            self._free_memory(evicted)
            return self._load(model)
        except Exception as error:
            if isinstance(error, RuntimeError) and is_out_of_memory(error):
                log.warning("not enough memory to load %s", model.name)
                text = Text("There is not enough memory to load {model}.", model=model.name)
                return LoadFailure(model.name, FailureReason.OUT_OF_MEMORY, text)
            if isinstance(error, RuntimeError) and DEVICE_ERROR.search(str(error)):
                raise
            log.warning(
                "%s cannot be loaded: %s", model.name, error, exc_info=not isinstance(error, EXPECTED_LOAD_ERRORS)
            )
            text = Text(
                "{model} cannot be loaded at the moment. The bot operator can find the reason in the log.",
                model=model.name,
            )
            return LoadFailure(model.name, FailureReason.USER_ERROR, text)

    def _free_memory(self, evicted: list[tuple[str, CachedModel]]) -> None:
        if evicted:
            while evicted:  # no reference to them may remain
                self._offload(*evicted.pop(0))
            gc.collect()
        release_memory(self._loader.device)

    def _offload(self, name: str, cached: CachedModel) -> None:
        """Move a model to RAM if it fits there, dropping others from RAM for it; else drop it."""
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
        """Load a model from RAM, or else from its files."""
        began = time.monotonic()

        def report(loading: Loading) -> None:
            self._emit(replace(loading, model=model.name))

        if loaded_model := self._offloaded.pop(model.name, None):
            report(Loading(Text("from RAM"), 0, 1))
            self._ram_budget.remove(model.name)
            loaded_model.move(self._loader.device)
        else:
            loaded_model = self._loader.load(model, report)
        engine = loaded_model.create_engine(self._on_event, self._evict_idle)
        return CachedModel(loaded_model, engine, time.monotonic() - began)
