"""An engine without torch that follows the prompt; the GPU process of the worker's tests imports it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Container
from dataclasses import replace
from pathlib import Path

from generation.engine.base import Emit
from generation.errors import UserError
from generation.messages import Failed, FailureReason, Finished, Generate, Grid, Loaded, Loading, Progress, Unloaded
from generation.models.model import Model
from generation.models.registry import ModelRegistry

FOREVER = 1_000_000


class ScriptedEngine:
    """Runs jobs whose prompt says what happens, in `num_inference_steps` steps that take no time."""

    def __init__(self, registry: ModelRegistry, device: str, threads: int, emit: Emit) -> None:
        self.model = replace(registry.default, native_size=64, size_multiple=32)
        self.device = f"{device}:{threads}"
        self._emit = emit
        self._running: dict[str, Generate] = {}
        self._steps: dict[str, int] = {}
        self._cancelled: set[str] = set()

    @property
    def busy(self) -> bool:
        return bool(self._running)

    def add(self, request: Generate) -> None:
        if (reason := FAILURE_REASONS.get(_script(request))) is not None:
            self._emit(Failed(request.job_id, reason, f"it is {reason}"))
            return
        self._running[request.job_id] = request
        self._steps[request.job_id] = 0

    def cancel(self, job_id: str) -> None:
        if job_id in self._running:
            self._cancelled.add(job_id)

    def close(self) -> None:
        pass

    def step(self) -> None:
        for job_id, request in list(self._running.items()):
            if job_id in self._cancelled and _script(request) != "stubborn":
                self._end(Failed(job_id, FailureReason.CANCELLED, ""))
            else:
                self._step(job_id, request)
        time.sleep(0.001)

    def _step(self, job_id: str, request: Generate) -> None:
        self._steps[job_id] += 1
        step, of = self._steps[job_id], request.params.num_inference_steps
        self._emit(Progress(job_id, step, of, b"preview"))
        if step == 2:
            FAILURE_ACTIONS.get(_script(request), lambda: None)()
        if step >= of or (job_id in self._cancelled and _script(request) == "stubborn" and step > 20):
            self._end(Finished(job_id, self._grid(request)))

    def _grid(self, request: Generate) -> Grid:
        tile = TILES.get(_script(request), lambda each: _script(each).encode())(request)
        return Grid(tiles=(tile or b"",), image=b"", suffix="png", seconds=0.0)

    def _end(self, event: Failed | Finished) -> None:
        self._running.pop(event.job_id)
        self._cancelled.discard(event.job_id)
        self._emit(event)


class ScriptedMultiModelEngine(ScriptedEngine):
    """Loads another model for jobs that name it; the prompt says how loading goes, then the job runs as usual."""

    def __init__(self, registry: ModelRegistry, device: str, threads: int, emit: Emit) -> None:
        super().__init__(registry, device, threads, emit)
        self._others = {model.name: replace(model, native_size=128) for model in registry.models[1:]}
        self._loading = 0

    @property
    def busy(self) -> bool:
        return bool(self._running or self._loading)

    def add(self, request: Generate) -> None:
        model = self._others.get(request.params.model)
        if model is None:
            super().add(request)
        elif _script(request) == "fail to load":
            self._emit(Loading("unet", 0, 1, model.name))
            self._emit(Unloaded(model.name))
            self._emit(Failed(request.job_id, FailureReason.USER_ERROR, "it cannot be loaded"))
        else:
            self._loading += 1
            threading.Thread(target=self._load, args=(model, request), daemon=True).start()

    def _load(self, model: Model, request: Generate) -> None:
        for part in range(LOADING_PARTS.get(_script(request), 1)):
            self._emit(Loading("unet", part, FOREVER, model.name))
            time.sleep(0.05)
        if _script(request) == "hang while loading":
            _hang()
        self._emit(Loaded(model, 1.5))
        super().add(request)
        self._loading -= 1


LOADING_PARTS = {"load slowly": 30, "load forever": FOREVER}


def _script(request: Generate) -> str:
    return request.params.parts[0].text


TILES: dict[str, Callable[[Generate], bytes | None]] = {
    "echo": lambda request: request.source,
    "environment": lambda _: " ".join(os.environ).encode(),
}

FAILURE_REASONS = {
    "complain": FailureReason.USER_ERROR,
    "out of memory": FailureReason.OUT_OF_MEMORY,
    "drop": FailureReason.CANCELLED,
    "fail": FailureReason.INTERNAL,
}


def _crash() -> None:
    raise ValueError("CUDA error: an illegal memory access\nand more lines")


def _crash_in_a_thread() -> None:
    threading.Thread(target=_crash).start()


def _hang() -> None:
    time.sleep(3600)


FAILURE_ACTIONS: dict[str, Callable[[], None]] = {
    "crash": _crash,
    "crash in a thread": _crash_in_a_thread,
    "hang": _hang,
}


def load(registry: ModelRegistry, device: str, threads: int, emit: Emit) -> ScriptedEngine:
    for done, part in enumerate(("text_encoder", "unet")):
        emit(Loading(part, done, 2, registry.default.name))
    return ScriptedEngine(registry, device, threads, emit)


def load_multi_model(registry: ModelRegistry, device: str, threads: int, emit: Emit) -> ScriptedMultiModelEngine:
    return ScriptedMultiModelEngine(registry, device, threads, emit)


def load_with_failures(
    folder: Path, failing: Container[int], registry: ModelRegistry, device: str, threads: int, emit: Emit
) -> ScriptedEngine:
    """Fail at the attempts in `failing`, counted from 0; every attempt leaves a file in `folder`."""
    attempt = len(list(folder.iterdir()))
    (folder / str(attempt)).touch()
    if attempt in failing:
        raise OSError(f"no such model: attempt {attempt}")
    return load(registry, device, threads, emit)


def load_with_refusals(
    folder: Path, refused: Container[int], registry: ModelRegistry, device: str, threads: int, emit: Emit
) -> ScriptedEngine:
    """Refuse the device or model at the attempts in `refused`, as if a driver had lost the GPU."""
    attempt = len(list(folder.iterdir()))
    (folder / str(attempt)).touch()
    if attempt in refused:
        raise UserError("there is no such GPU")
    return load(registry, device, threads, emit)


def load_forever(registry: ModelRegistry, device: str, threads: int, emit: Emit) -> ScriptedEngine:
    emit(Loading("unet", 0, 1))
    time.sleep(3600)
    raise AssertionError("unreachable")


def load_another_family(registry: ModelRegistry, device: str, threads: int, emit: Emit) -> ScriptedEngine:
    raise UserError(f"{registry.default.name} is of another family")


def load_unpicklable(registry: ModelRegistry, device: str, threads: int, emit: Emit) -> ScriptedEngine:
    emit(Loading(Unpicklable(), 0, 1))
    return load(registry, device, threads, emit)


class Unpicklable(str):
    """A value that can be sent but not received, like exceptions with their own `__init__`."""

    def __reduce__(self) -> tuple[type[int], tuple[str]]:
        return int, ("not a number",)
