"""Copy tensors to a device without waiting for it."""

from __future__ import annotations

import torch
from torch import Tensor


def is_asynchronous(device: torch.device) -> bool:
    """Return whether work is queued on the device, so that whoever reads a value waits for all that is queued."""
    return device.type not in ("cpu", "mps")


def to_device(tensor: Tensor, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """Copy a tensor of the CPU to a device.

    From ordinary memory CUDA would copy it only after everything that is queued, and wait for that.
    """
    if not is_asynchronous(device):
        return tensor.to(device, dtype)
    return tensor.to(dtype or tensor.dtype).pin_memory().to(device, non_blocking=True)
