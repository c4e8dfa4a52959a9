"""A UNet whose blocks are compiled for a few batch sizes, and run uncompiled meanwhile."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from generation.engine.device.oom import is_out_of_memory, release_memory
from generation.engine.networks.row_buckets import BatchShape, batch_shape, call_padded
from generation.engine.networks.weight_sharing import clone_sharing_weights
from generation.errors import first_line

# What repeats in a UNet: nearly all its pointwise work, which a compiler fuses.
BLOCKS = frozenset({"BasicTransformerBlock", "ResnetBlock2D"})
CALLS_BEFORE_COMPILING = 20  # about one grid; compiling takes a minute
MAX_SHAPES = 32
GRAPHS_PER_SHAPE = 24  # of the blocks that differ in width or place; they share the limit of their class

_COMPILER_LOCK = threading.Lock()  # shared by all models: torch's compiler stance is global to the process

log = logging.getLogger(__name__)


def compile_blocks(unet: Any, **options: Any) -> Any:
    """Return a copy of a UNet, with the same weights, whose repeated blocks are compiled."""
    compiled = clone_sharing_weights(unet)
    for block in compiled.modules():
        if type(block).__name__ in BLOCKS:
            block.compile(**options)
    return compiled


def allow_many_shapes() -> None:
    """Let torch compile more shapes of a block than eight; its settings are those of the calling thread."""
    limits, most = torch._dynamo.config, MAX_SHAPES * GRAPHS_PER_SHAPE
    limits.recompile_limit = max(limits.recompile_limit, most)
    limits.accumulated_recompile_limit = max(limits.accumulated_recompile_limit, most)


class CompiledUnet:
    """Replaces a UNet: shapes that are called often are compiled, on a thread of their own.

    Until then, and permanently if compiling fails, the UNet runs uncompiled. So it does while another shape is
    compiled, since tracing is not safe while compiled code runs. No step ever waits for the compiler.
    """

    def __init__(self, unet: Any, compiler: Callable[..., Any] = compile_blocks) -> None:
        self.dtype, self.device = unet.dtype, unet.device
        self._unet, self._compiled = unet, compiler(unet, dynamic=False)
        self._calls: Counter[BatchShape] = Counter()
        self._ready: set[BatchShape] = set()
        self._has_failed = False
        self._thread = ThreadPoolExecutor(1, "compiling", allow_many_shapes)

    def __call__(self, latents: Tensor, timesteps: Tensor, **conditions: Any) -> tuple[Tensor, ...]:
        """Return the UNet's output."""
        shape = batch_shape(latents, conditions)
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

    def warm_up(self, calls: Iterable[tuple[Tensor, Tensor, dict[str, Any]]]) -> None:
        """Compile the shapes of calls (latents, timesteps, conditions); wait for the first of them only."""
        compiling = []
        for latents, timesteps, conditions in calls:
            if shape := batch_shape(latents, conditions):
                self._calls[shape] = CALLS_BEFORE_COMPILING
                compiling.append(self._thread.submit(self._compile, shape, latents, timesteps, conditions))
        if compiling:
            compiling[0].result()

    def close(self) -> None:
        """Compile nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _run(self, shape: BatchShape, latents: Tensor, timesteps: Tensor, conditions: Any) -> tuple[Tensor, ...]:
        return call_padded(self._compiled, shape.rows, latents, timesteps, conditions)

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
