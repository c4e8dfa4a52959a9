"""Choose the torch device and its precision."""

from __future__ import annotations

import torch

from generation.engine.device.availability import DeviceUnavailable, built_without_cuda, no_apple_gpu


def require_device(name: str) -> None:
    """Raise DeviceUnavailable if this PyTorch or this machine cannot use the device that `name` stands for."""
    kind, _, index = name.partition(":")
    if kind == "cuda":
        _require_cuda(name, int(index or 0))
    elif kind == "mps":
        _require_mps(name)


def _require_cuda(name: str, index: int) -> None:
    if torch.version.cuda is None and torch.version.hip is None:
        raise built_without_cuda(name, str(torch.__version__))
    if not torch.cuda.is_available():
        tool = "rocm-smi" if torch.version.hip is not None else "nvidia-smi"
        raise DeviceUnavailable(
            f"DEVICE={name}, but PyTorch finds no GPU that it can use",
            f"install or update the GPU's driver ({tool} must list the GPU), or set DEVICE=auto.",
        )
    if index >= (count := torch.cuda.device_count()):
        last = "cuda:0 is the only GPU" if count == 1 else f"the last GPU is cuda:{count - 1}"
        raise DeviceUnavailable(f"DEVICE={name}, but {last}", "set DEVICE=cuda, or the number of a GPU that is there.")


def _require_mps(name: str) -> None:
    if not torch.backends.mps.is_available():
        raise no_apple_gpu(name)


def choose_device(name: str) -> tuple[torch.device, torch.dtype]:
    """Return the device that `name` ("auto", "cpu", "cuda", "cuda:1", "mps") stands for, and its best precision."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda":
        return device, torch.float16
    return device, torch.bfloat16 if device.type == "cpu" and has_native_bfloat16() else torch.float32


def multiplies_bfloat16() -> bool:
    """Return whether there is a GPU that has bfloat16 instructions."""
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)


def has_native_bfloat16() -> bool:
    """Return whether the CPU has bfloat16 instructions: it takes half the time with them, and longer without."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(instructions, False) for instructions in ("avx512_bf16", "amx_bf16"))


def multiplies_fp8(device: torch.device) -> bool:
    """Return whether a GPU multiplies in 8 bits with a scale for each row, by trying it."""
    if device.type != "cuda":
        return False
    values, scales = torch.ones(16, 16, device=device).to(torch.float8_e4m3fn), torch.ones(16, 1, device=device)
    try:
        torch._scaled_mm(values, values.T, scale_a=scales, scale_b=scales.T, out_dtype=torch.bfloat16)
    except (RuntimeError, ValueError):  # torch raises both
        return False
    return True
