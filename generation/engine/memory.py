"""Running out of memory: an ordinary outcome that the worker survives."""

from __future__ import annotations

import torch

TOO_LARGE = "There is not enough memory to draw this. A smaller size would help."


def is_out_of_memory(error: RuntimeError) -> bool:
    """Say whether the error means that there was no memory; the CPU's allocator has no class of its own for it."""
    return (
        isinstance(error, torch.OutOfMemoryError) or "not enough memory" in str(error) or "out of memory" in str(error)
    )


def release_memory(device: torch.device) -> None:
    """Give back what the failed attempt left in torch's cache."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
