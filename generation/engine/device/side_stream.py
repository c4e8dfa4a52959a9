"""Work on a device beside the step loop: in an order of its own, and with one wait for all its results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from generation.engine.device.transfer import is_asynchronous


class SideStream:
    """A CUDA stream for a thread, so that what it waits for does not stand behind the UNet's steps.

    Where a device does its work at once, as the CPU does, all of this does nothing.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._module: Any = torch.get_device_module(device) if is_asynchronous(device) else None
        self._stream: Any = self._module.Stream(device) if self._module else None

    @property
    def is_asynchronous(self) -> bool:
        """Return whether the work is queued, and done later."""
        return self._module is not None

    def handover(self) -> Any:
        """Return a mark after all that the calling thread has queued, for `after`."""
        if not self._module:
            return None
        mark = self._module.Event()
        mark.record(self._module.current_stream(self._device))
        return mark

    @contextmanager
    def after(self, mark: Any, *tensors: Tensor) -> Iterator[None]:
        """Queue the block's work in this stream, after `mark`; it uses `tensors` of the thread that made the mark."""
        if not self._module:
            yield
            return
        with self._module.stream(self._stream):
            if mark is not None:
                self._stream.wait_event(mark)
            for tensor in tensors:
                tensor.record_stream(self._stream)  # so that their memory is not used again before
            yield

    def fetch(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return tensors on the CPU, after one wait for all of them; call it within `after`."""
        if not self._module:
            return [tensor.cpu() for tensor in tensors]
        copies = [torch.empty(tensor.shape, dtype=tensor.dtype).pin_memory() for tensor in tensors]
        for copy, tensor in zip(copies, tensors, strict=True):
            copy.copy_(tensor, non_blocking=True)
        self._wait()
        return copies

    def finish(self, *tensors: Tensor) -> None:
        """Wait for the block's work, and keep the memory of `tensors` while the step loop uses them."""
        if not self._module:
            return
        self._wait()
        for tensor in tensors:
            tensor.record_stream(self._module.default_stream(self._device))

    def _wait(self) -> None:
        done = self._module.Event(blocking=True)
        done.record(self._stream)
        done.synchronize()
