"""Test a device and describe it: python -m generation.engine.device.device_probe DEVICE."""

from __future__ import annotations

import json
import os
import platform
import sys
from typing import Any

import psutil
import torch

from generation.engine.device.availability import DeviceUnavailable
from generation.engine.device.device import choose_device, multiplies_fp8, require_device


def probe(name: str) -> dict[str, Any]:
    """Multiply matrices on a device; return its name, its memory in bytes, and the bytes per weight.

    If the device cannot be used here, return the problem and its fix instead.
    """
    try:
        require_device(name)
    except DeviceUnavailable as error:
        return {"problem": error.problem, "fix": error.fix}
    device, precision = choose_device(name)
    eye = torch.eye(64, device=device, dtype=precision)
    if float((eye @ eye).sum()) != 64:
        raise RuntimeError(f"{device} computes wrong results")
    free, total = _memory(device)
    memory = {"free": free, "total": total, "bytes": precision.itemsize}
    facts = {"device": str(device), "name": _name(device), "torch": torch.__version__}
    return {**facts, "fp8": multiplies_fp8(device), **memory}


def _memory(device: torch.device) -> tuple[int, int]:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)
    ram = psutil.virtual_memory()
    return ram.available, ram.total


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} with {os.cpu_count()} cores"


if __name__ == "__main__":
    print(json.dumps(probe(sys.argv[1])))
