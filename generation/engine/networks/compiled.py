"""A UNet that is compiled for a few batch sizes, and runs uncompiled meanwhile."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import torch
from torch import Tensor

from generation.engine.device.oom import is_out_of_memory, release_memory
from generation.errors import first_line

ROW_BUCKETS = (2, 4, 8, 16, 24, 32)  # rows; a call is padded to the next, since each number is compiled separately
CALLS_BEFORE_COMPILING = 20  # about one grid; compiling takes a minute
MAX_SHAPES = 32

_COMPILER_LOCK = threading.Lock()  # shared by all models: torch's compiler stance is global to the process

log = logging.getLogger(__name__)


class BatchShape(NamedTuple):
    """The shape of a compiled call: its rows, the shape of a row's latents, and the length of its text."""

    rows: int
    latents: tuple[int, ...]
    text_length: int


class CompiledUnet:
    """Replaces a UNet: shapes that are called often are compiled, on a thread of their own.

    Until then, and permanently if compiling fails, the UNet runs uncompiled. So it does while another shape is
    compiled, since tracing is not safe while compiled code runs. No step ever waits for the compiler.
    """

    def __init__(self, unet: Any, compiler: Callable[..., Any] = torch.compile) -> None:
        self.dtype, self.device = unet.dtype, unet.device
        self._unet, self._compiled = unet, compiler(unet, dynamic=False)
        self._calls: Counter[BatchShape] = Counter()
        self._ready: set[BatchShape] = set()
        self._has_failed = False
        self._thread = ThreadPoolExecutor(1, "compiling")
        torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, MAX_SHAPES)

    def __call__(self, latents: Tensor, timesteps: Tensor, **conditions: Any) -> tuple[Tensor, ...]:
        """Return the UNet's output."""
        shape = _batch_shape(latents, conditions)
        if shape in self._ready and _COMPILER_LOCK.acquire(blocking=False):
            try:
                with torch.compiler.set_stance("eager_on_recompile"):
                    return self._run(shape, latents, timesteps, conditions)
            finally:
                _COMPILER_LOCK.release()
        if shape is not None:
            self._record_call(shape, latents, timesteps, conditions)
        eager: tuple[Tensor, ...] = self._unet(latents, timesteps, **conditions)
        return eager

    def close(self) -> None:
        """Compile nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _run(self, shape: BatchShape, latents: Tensor, timesteps: Tensor, conditions: Any) -> tuple[Tensor, ...]:
        rows = len(latents)
        latents, timesteps, conditions = (
            _pad_rows(each, rows, shape.rows) for each in (latents, timesteps, conditions)
        )
        return tuple(part[:rows] for part in self._compiled(latents, timesteps, **conditions))

    def _record_call(self, shape: BatchShape, *given: Any) -> None:
        self._calls[shape] += 1
        frequent_shapes = sum(calls >= CALLS_BEFORE_COMPILING for calls in self._calls.values())
        if self._calls[shape] == CALLS_BEFORE_COMPILING and frequent_shapes <= MAX_SHAPES and not self._has_failed:
            self._thread.submit(self._compile, shape, *given)

    @torch.inference_mode()
    def _compile(self, shape: BatchShape, *given: Any) -> None:
        device_context = torch.cuda.device(self.device) if self.device.type == "cuda" else contextlib.nullcontext()
        with _COMPILER_LOCK, device_context:
            try:
                if not self._has_failed:
                    self._run(shape, *given)
                    self._ready.add(shape)
                    log.info("the UNet is compiled for %d rows of %s", shape.rows, shape.latents)
            except Exception as error:
                self._handle_failure(shape, error)

    def _handle_failure(self, shape: BatchShape, error: Exception) -> None:
        """Retry a shape later if memory ran out; after any other error compile nothing more."""
        if isinstance(error, RuntimeError) and is_out_of_memory(error):
            release_memory(self.device)
            self._calls[shape] = 0
            return
        self._has_failed = True
        log.warning("the UNet cannot be compiled, and runs uncompiled: %s", first_line(error))


def _batch_shape(latents: Tensor, conditions: Any) -> BatchShape | None:
    """Return the shape to which a call is padded; None for one that is too large."""
    rows = next((bucket for bucket in ROW_BUCKETS if bucket >= len(latents)), None)
    if rows is None:
        return None
    return BatchShape(rows, tuple(latents.shape[1:]), conditions["encoder_hidden_states"].shape[1])


def _pad_rows(value: Any, rows: int, target: int) -> Any:
    """Repeat the last row of every tensor in `value`; predictions for the copies are dropped."""
    if isinstance(value, dict):
        return {key: _pad_rows(part, rows, target) for key, part in value.items()}
    if not isinstance(value, Tensor) or rows == target:
        return value
    return torch.cat([value, value[-1:].expand(target - rows, *value.shape[1:])])
