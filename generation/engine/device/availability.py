"""What is known about a device before PyTorch is imported: the build that is installed, and the platform."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version

from generation.command_line import torch_as_typed
from generation.errors import UserError

CUDA_WHEELS = "https://download.pytorch.org/whl/cu130"
CPU_BUILD = "+cpu"  # the end of the version of a build without CUDA


class DeviceUnavailable(UserError):
    """The device that DEVICE names cannot be used here; `fix` says what to do about it."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(f"{problem}: {fix}")
        self.problem, self.fix = problem, fix

    def __reduce__(self) -> tuple[type[DeviceUnavailable], tuple[str, str]]:
        return DeviceUnavailable, (self.problem, self.fix)


def require_possible_device(name: str) -> None:
    """Raise DeviceUnavailable if the installed build of PyTorch, or this platform, never has such a device."""
    kind = name.partition(":")[0]
    if kind == "mps" and sys.platform != "darwin":
        raise no_apple_gpu(name)
    if kind == "cuda" and (installed := _build_without_cuda()) is not None:
        raise built_without_cuda(name, installed)


def require_possible_fp8(device: str) -> None:
    """Raise DeviceUnavailable if what DEVICE names never multiplies in 8 bits; of a GPU, only torch can tell."""
    for name in device.split(","):
        if name.partition(":")[0] in ("cpu", "mps"):
            raise no_fp8(name)
    if device == "auto" and _build_without_cuda() is not None:
        raise no_fp8("this machine")


def _build_without_cuda() -> str | None:
    """Return the version of the installed PyTorch if it has no CUDA; None if it may have, or is not installed."""
    try:
        installed = version("torch")
    except PackageNotFoundError:
        return None
    return installed if installed.endswith(CPU_BUILD) or sys.platform == "darwin" else None


def built_without_cuda(name: str, installed: str) -> DeviceUnavailable:
    """Return the error of a PyTorch without CUDA; a Mac has no other."""
    if sys.platform == "darwin":
        return DeviceUnavailable(f"DEVICE={name}, but a Mac has no CUDA", "set DEVICE=auto or DEVICE=mps.")
    install = torch_as_typed(installed.partition("+")[0], "cuda", CUDA_WHEELS)
    return DeviceUnavailable(
        f"DEVICE={name}, but this PyTorch ({installed}) was built without CUDA",
        f"`{install}` installs one with it. Or set DEVICE=auto.",
    )


def no_fp8(device: str) -> DeviceUnavailable:
    """Return the error of a device that cannot multiply in 8 bits."""
    return DeviceUnavailable(
        f"FP8=yes, but {device} cannot multiply in 8 bits",
        "it needs an NVIDIA GPU of the RTX 40 series, an L4, an H100 or a newer one; set FP8=no.",
    )


def no_apple_gpu(name: str) -> DeviceUnavailable:
    """Return the error of a machine without Apple's GPU."""
    return DeviceUnavailable(
        f"DEVICE={name}, but Apple's GPU cannot be used here",
        "it needs a Mac with Apple silicon and macOS 14 or newer; set DEVICE=auto on any other machine.",
    )
