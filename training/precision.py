"""The precision of training: bfloat16 where the hardware has it."""

from __future__ import annotations

import torch

from generation.engine.device.device import has_native_bfloat16


def autocast(device: str) -> torch.autocast:
    """Return the context in which a model trains: without bfloat16 instructions, a CPU is far faster in float32."""
    return torch.autocast(device, torch.bfloat16, enabled=device != "cpu" or has_native_bfloat16())
