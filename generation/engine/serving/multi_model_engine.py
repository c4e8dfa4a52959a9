"""Several models behind one engine: each has an engine of its own and is loaded on demand."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from generation.engine.base import Emit, Engine
from generation.engine.denoising.batching import FAIRNESS_INTERVAL
from generation.engine.output.captioner import Captioner
from generation.engine.serving.captions import Captions
from generation.engine.serving.model_cache import LoadFailure, ModelCache
from generation.engine.serving.model_loader import ModelLoader
from generation.errors import UserError
from generation.messages import Event, Failed, FailureReason, Finished, Generate, Read
from generation.models.model import Model
from generation.models.registry import ModelRegistry

LOAD_WAIT_S = 0.02  # seconds that a step without a ready engine waits for a model, before messages are read again


@dataclass(frozen=True, slots=True)
class _AssignedJob:
    """A request, and the name of its model."""

    request: Generate
    model: str


class MultiModelEngine:
    """Generates every job with the model that it names, which is loaded first if necessary.

    Call all methods from one thread, which makes the steps of all models; loading has its own. `ModelCache` keeps
    models within `device_bytes` on the device and `ram_bytes` in RAM. The default model is loaded by the constructor,
    which raises loading errors. If another model cannot be loaded, the jobs that wait for it fail, and the next job
    tries again. A `captioner` describes pictures in place of the models.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        loader: ModelLoader,
        emit: Emit,
        device_bytes: int,
        ram_bytes: int = 0,
        captioner: Captioner | None = None,
    ) -> None:
        self._emit, self._device = emit, str(loader.device)
        self._waiting: dict[str, _AssignedJob] = {}
        self._running: dict[str, _AssignedJob] = {}
        self._running_lock = threading.Lock()  # engines report ends from their own threads
        self._waiting_for_memory = False
        self._turn = 0
        self._served: dict[str, int] = {}
        self._cache = ModelCache(loader, device_bytes, ram_bytes, emit, self._on_event, self._busy_models)
        self._captions = Captions(captioner, emit, self._cache.wakeup)
        self._loaded = self._cache.loaded
        self._registry = registry.updated(self._cache.load(registry.default))

    @property
    def model(self) -> Model:
        """Return the default model with its actual settings."""
        return self._registry.default

    @property
    def device(self) -> str:
        """Return the name of the device."""
        return self._device

    @property
    def busy(self) -> bool:
        """Return whether there is a step to make, or a model to wait for."""
        is_waiting = self._waiting or self._cache.is_loading or self._captions.busy
        return bool(is_waiting) or any(cached.engine.busy for cached in self._loaded.values())

    def add(self, request: Generate) -> None:
        """Accept a job."""
        if not self._captions.add(request):
            self._assign(request)

    def _assign(self, request: Generate) -> None:
        """Let a job wait for its model."""
        try:
            model = self._registry.resolve(request.params)
        except UserError as error:
            self._emit(Failed(request.job_id, FailureReason.USER_ERROR, str(error)))
        else:
            self._waiting[request.job_id] = _AssignedJob(request, model.name)
            self._dispatch_waiting()

    def cancel(self, job_id: str) -> None:
        """End a job as cancelled, wherever it is; unknown ids are ignored."""
        if self._captions.cancel(job_id):
            return
        if self._waiting.pop(job_id, None):
            self._emit(Failed(job_id, FailureReason.CANCELLED, "cancelled"))
        elif job := self._running.get(job_id):
            self._loaded[job.model].engine.cancel(job_id)

    def step(self) -> None:
        """Add a model that has been loaded, request the next one, and make a step with one of the engines."""
        self._poll_loaded()
        for request in self._captions.poll():
            self._assign(request)
        self._dispatch_waiting()  # before the next load, so that no model is evicted that a job waits for
        self._request_next_load()
        if engine := self._next_engine():
            engine.step()
        elif self._cache.wakeup.wait(LOAD_WAIT_S):
            self._cache.wakeup.clear()

    def close(self) -> None:
        """Finish what is being decoded, drop the rest, and free all memory."""
        self._captions.close()
        self._cache.close()

    def _dispatch_waiting(self) -> None:
        """Pass jobs to the engines of loaded models; while a job waits for memory, no other job starts."""
        if self._waiting_for_memory:
            return
        for job_id, job in list(self._waiting.items()):
            if job.model in self._loaded:
                del self._waiting[job_id]
                with self._running_lock:
                    self._running[job_id] = job
                self._cache.touch(job.model)
                self._loaded[job.model].engine.add(job.request)

    def _on_event(self, event: Event) -> None:
        """Pass on an engine's event, and note which job has ended."""
        if isinstance(event, Finished | Read | Failed):
            with self._running_lock:
                self._running.pop(event.job_id, None)
            self._cache.wakeup.set()
        self._emit(event)

    def _jobs(self) -> list[_AssignedJob]:
        """Return the running jobs, in the queue's order."""
        with self._running_lock:
            return sorted(self._running.values(), key=_order)

    def _busy_models(self) -> set[str]:
        return {job.model for job in self._jobs()}

    def _next_engine(self) -> Engine | None:
        """Return the engine that makes the next step.

        Most turns go to the model of the job that is first in the queue's order, since strict rotation would make all
        finish late. Every fourth goes to the one that was served longest ago.
        """
        self._served = {name: self._served.get(name, 0) for name in self._loaded}
        ready = [name for name, cached in self._loaded.items() if cached.engine.busy]
        if not ready:
            return None
        self._turn += 1
        if self._turn % FAIRNESS_INTERVAL:
            name = next((job.model for job in self._jobs() if job.model in ready), ready[0])
        else:
            name = min(ready, key=lambda name: self._served[name])
        self._served[name] = self._turn
        return self._loaded[name].engine

    def _request_next_load(self) -> None:
        """Request the model of the first waiting job, as soon as there is memory for it."""
        self._waiting_for_memory = False
        absent = [job for job in self._waiting.values() if job.model not in self._loaded]
        if self._cache.is_loading or not absent:
            return
        model = self._registry.resolve(min(absent, key=_order).request.params)
        self._waiting_for_memory = not self._cache.request_load(model)

    def _poll_loaded(self) -> None:
        """Add the model that has been loaded, or fail the jobs that waited for it; raises unexpected errors."""
        outcome = self._cache.poll_loaded()
        if isinstance(outcome, Model):
            self._registry = self._registry.updated(outcome)
        elif outcome is not None:
            self._fail_waiting(outcome)

    def _fail_waiting(self, failure: LoadFailure) -> None:
        for job_id in [job_id for job_id, job in self._waiting.items() if job.model == failure.model]:
            del self._waiting[job_id]
            self._emit(Failed(job_id, failure.reason, failure.text))


def _order(job: _AssignedJob) -> int:
    return job.request.order
