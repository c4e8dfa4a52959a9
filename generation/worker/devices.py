"""The devices that DEVICE names: which GPUs there are, and how a process is kept to one of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import takewhile
from pathlib import Path
from subprocess import DEVNULL

from generation.engine.device.availability import DeviceUnavailable, require_possible_device

ALL, NONE = "all", "none"
NVIDIA_TOOLS = ("nvidia-smi", "/usr/lib/wsl/lib/nvidia-smi")  # the second is where WSL 2 has it
AMD_NODES = Path("/sys/class/kfd/kfd/topology/nodes")
LISTING_TIMEOUT_S = 30.0


def list_devices(setting: str) -> tuple[str, ...]:
    """Return the devices that DEVICE names, one for each worker. Raises DeviceUnavailable for one that is not there.

    Without any, only machines of a cluster generate. A single device is not looked for here: the engine finds out.
    """
    if setting == NONE:
        return ()
    devices = _all_devices() if setting == ALL else tuple(setting.split(","))
    for device in devices:
        require_possible_device(device)
    if len(devices) > 1 and setting != ALL:
        _require_gpus(devices)
    return devices


def worker_names(devices: Sequence[str]) -> list[str]:
    """Return a name for each worker: its device, numbered where several workers share one."""
    shared, seen = Counter(devices), Counter[str]()
    names = []
    for device in devices:
        seen[device] += 1
        names.append(device if shared[device] == 1 else f"{device}-{seen[device]}")
    return names


def isolated(device: str) -> tuple[str, dict[str, str]]:
    """Return what a GPU is called in a process that sees no other, and the environment for that process.

    It must be set before torch is imported. So the process takes no memory of other GPUs, and an error of one GPU does
    not reach the others. GPUs are numbered as nvidia-smi lists them.
    """
    kind, _, number = device.partition(":")
    if kind != "cuda" or not number:
        return device, {}
    visible = _visible_gpus()
    gpu = number if visible is None else visible[int(number)] if int(number) < len(visible) else "-1"
    order = os.environ.get("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    return "cuda:0", {_visibility_variable(): gpu, "CUDA_DEVICE_ORDER": order}


def no_such_gpu(device: str) -> DeviceUnavailable:
    """Return the error of a GPU that this machine does not have, or cannot use."""
    return DeviceUnavailable(
        f"DEVICE names {device}, but there is no such GPU that PyTorch can use",
        "set DEVICE to GPUs that nvidia-smi lists (rocm-smi for AMD).",
    )


def _all_devices() -> tuple[str, ...]:
    if sys.platform == "darwin":  # a Mac has one GPU
        return ("mps",)
    count = len(_gpus())
    if not count:
        raise DeviceUnavailable(
            "DEVICE=all, but this machine lists no GPU",
            "install or update the GPU's driver (nvidia-smi or rocm-smi must list the GPU), or set DEVICE=auto.",
        )
    return tuple(f"cuda:{number}" for number in range(count))


def _require_gpus(devices: Sequence[str]) -> None:
    """Raise DeviceUnavailable for a number above those of the GPUs; where none can be listed, torch finds out."""
    count = len(_gpus()) if any(device.startswith("cuda:") for device in devices) else 0
    for device in devices if count else ():
        if int(device.partition(":")[2]) >= count:
            last = "cuda:0 is the only GPU" if count == 1 else f"the last GPU is cuda:{count - 1}"
            raise DeviceUnavailable(f"DEVICE names {device}, but {last}", "name GPUs that exist, or set DEVICE=all.")


def _gpus() -> list[str]:
    """Return the GPUs that torch would see, by number or id."""
    visible = _visible_gpus()
    return visible if visible is not None else _nvidia_gpus() or _amd_gpus()


def _visible_gpus() -> list[str] | None:
    """Return the GPUs to which the environment keeps this program, None without a restriction."""
    text = os.environ.get(_visibility_variable())
    return None if text is None else list(takewhile(lambda gpu: gpu not in ("", "-1"), map(str.strip, text.split(","))))


def _visibility_variable() -> str:
    try:
        return "HIP_VISIBLE_DEVICES" if "rocm" in version("torch") else "CUDA_VISIBLE_DEVICES"
    except PackageNotFoundError:
        return "CUDA_VISIBLE_DEVICES"


def _nvidia_gpus() -> list[str]:
    for tool in NVIDIA_TOOLS:
        try:
            listing = subprocess.check_output([tool, "-L"], text=True, stderr=DEVNULL, timeout=LISTING_TIMEOUT_S)
        except (OSError, subprocess.SubprocessError):
            continue
        gpus = [line for line in listing.splitlines() if line.startswith("GPU ")]  # not the lines of parts (MIG)
        return [str(number) for number in range(len(gpus))]
    return []


def _amd_gpus() -> list[str]:
    """Return the GPUs among the nodes of AMD's kernel driver; a processor is one too, without vector units."""
    files = sorted(AMD_NODES.glob("*/properties"), key=lambda file: int(file.parent.name))
    with_units = [file for file in files if "simd_count 0\n" not in file.read_text(encoding="ascii", errors="replace")]
    return [str(number) for number in range(len(with_units))]
