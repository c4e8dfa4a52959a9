"""A UNet that is compiled for a few numbers of rows, while it goes on drawing as it is."""

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

ROW_BUCKETS = (2, 4, 8, 16, 24, 32)  # rows; a call is padded up to the next, since each number is compiled for itself
CALLS_BEFORE_COMPILING = 20  # calls: a grid or so; compiling takes a minute
MAX_SHAPES = 32

_COMPILER_LOCK = threading.Lock()  # of all models together: torch's stance is the whole process's

log = logging.getLogger(__name__)


class BatchShape(NamedTuple):
    """What a compiled call is for: so many rows of such latents, with texts of such a length."""

    rows: int
    latents: tuple[int, ...]
    text_length: int


class CompiledUnet:
    """Takes the place of a UNet: calls of a shape that is often asked for are compiled, on a thread of their own.

    Until then, and for good when compiling fails, the UNet draws as it is; so it does while another shape is compiled,
    since tracing beside compiled code that runs is not safe. No step ever waits for a compiler.
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
        """Give what the UNet gives."""
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
        """Try a shape again later for which there was no memory; after any other fault compile nothing more."""
        if isinstance(error, RuntimeError) and is_out_of_memory(error):
            release_memory(self.device)
            self._calls[shape] = 0
            return
        self._has_failed = True
        log.warning("the UNet cannot be compiled, and goes on as it is: %s", first_line(error))


def _batch_shape(latents: Tensor, conditions: Any) -> BatchShape | None:
    """Give the shape to which a call is padded; None for one that is too large."""
    rows = next((bucket for bucket in ROW_BUCKETS if bucket >= len(latents)), None)
    if rows is None:
        return None
    return BatchShape(rows, tuple(latents.shape[1:]), conditions["encoder_hidden_states"].shape[1])


def _pad_rows(value: Any, rows: int, wanted: int) -> Any:
    """Repeat the last row of every tensor in `value`; its prediction is thrown away."""
    if isinstance(value, dict):
        return {key: _pad_rows(part, rows, wanted) for key, part in value.items()}
    if not isinstance(value, Tensor) or rows == wanted:
        return value
    return torch.cat([value, value[-1:].expand(wanted - rows, *value.shape[1:])])
