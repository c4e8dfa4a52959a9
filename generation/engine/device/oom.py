"""Running out of memory: an ordinary outcome that the worker survives."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import torch

DEVICE_MEMORY_FRACTION = 0.85  # of the memory that is free at the start; the rest is for what is drawn
OOM_ERROR_TEXTS = ("not enough memory", "out of memory", "STATUS_ALLOC_FAILED")
OOM_MESSAGE = "There is not enough memory to draw this. A smaller size would help."


def is_out_of_memory(error: RuntimeError) -> bool:
    """Say whether the error means that there was no memory.

    The CPU's allocator has no class of its own for it, and neither have cuBLAS and cuDNN, which every new thread needs
    room for.
    """
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in OOM_ERROR_TEXTS)


@contextlib.contextmanager
def suppress_oom() -> Iterator[None]:
    """Go on behind the block where there was no memory for it; any other error goes through."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise


def default_budgets(device: torch.device) -> tuple[int, int]:
    """Give the bytes that models may take on a device if nobody says otherwise, and those in RAM for who had to leave.

    Where the device's memory is the RAM, it is the only place.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(DEVICE_MEMORY_FRACTION * free), available_ram() // 2
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2, 0


def available_ram() -> int:
    """Give the bytes that could be used without pushing anybody out; half of all, where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith("MemAvailable:")))
    except (OSError, StopIteration):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def release_memory(device: torch.device) -> None:
    """Give back what the failed attempt left in torch's cache."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
