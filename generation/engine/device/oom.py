"""Out-of-memory errors, an ordinary outcome that the worker survives, and memory budgets."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import psutil
import torch

from generation.text import Text

DEVICE_MEMORY_FRACTION = 0.85  # of the memory that is free at start; the rest is for running jobs
OOM_ERROR_TEXTS = ("not enough memory", "out of memory", "STATUS_ALLOC_FAILED")
DEVICE_ERROR = re.compile(r"CUDA|cuDNN|CUBLAS|HIP|MPS")  # in torch's message when a device has failed
OVERFLOW_MESSAGE = Text("The result overflowed this device's precision. Another seed or a lower `--cfg` may help.")
OOM_MESSAGE = Text("There is not enough memory to draw this. Try a smaller size.")


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether the error means that memory ran out.

    The CPU's allocator has no error class of its own for it. Neither have cuBLAS and cuDNN, which need memory for every
    new thread.
    """
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in OOM_ERROR_TEXTS)


@contextlib.contextmanager
def suppress_oom() -> Iterator[None]:
    """Continue after the block if it ran out of memory; other errors are raised."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise


def default_budgets(device: torch.device) -> tuple[int, int]:
    """Return the default budgets in bytes: for models on a device, and for models offloaded to RAM.

    The second is 0 where the device's memory is the RAM.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(DEVICE_MEMORY_FRACTION * free), available_ram() // 2
    return int(psutil.virtual_memory().total) // 2, 0


def available_ram() -> int:
    """Return the bytes of RAM available without swapping."""
    return int(psutil.virtual_memory().available)


def release_memory(device: torch.device) -> None:
    """Free the memory that a failed attempt left in torch's cache."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
