"""Choose the torch device and its precision."""

from __future__ import annotations

import torch


def choose_device(name: str) -> tuple[torch.device, torch.dtype]:
    """Return the device that `name` ("auto", "cpu", "cuda", "cuda:1", "mps") stands for, and its best precision."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda":
        return device, torch.float16
    return device, torch.bfloat16 if device.type == "cpu" and has_native_bfloat16() else torch.float32


def has_native_bfloat16() -> bool:
    """Return whether the CPU has bfloat16 instructions: it takes half the time with them, and longer without."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(instructions, False) for instructions in ("avx512_bf16", "amx_bf16"))
