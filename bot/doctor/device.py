"""Check that the devices work, in separate processes because the bot's process does not import PyTorch."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from bot.doctor.model import largest_parameter_count
from bot.doctor.probe import FIX_REINSTALL, run_probe
from bot.doctor.result import CheckResult, failed, in_daemon_thread, passed
from generation.engine.device.availability import DeviceUnavailable, no_fp8
from generation.worker.devices import isolated, list_devices, no_such_gpu

MIN_FREE_BYTES = 2**30  # bytes


class ProbeError(Exception):
    """The device cannot compute; the text is the reason, `fix` what to do."""

    def __init__(self, text: str, fix: str) -> None:
        super().__init__(text)
        self.fix = fix


async def check_device(setting: str, models: Sequence[str] = (), *, fp8: bool = False) -> list[CheckResult]:
    """Check that each device DEVICE names can compute, and that the largest model fits into its memory.

    With `fp8`, it must multiply in 8 bits.
    """
    weights = await in_daemon_thread(lambda: largest_parameter_count(models))
    try:
        found = [_evaluate(each, weights, fp8=fp8) for each in await probe_devices(setting)]
        return found or [passed("device", "none here: only the machines of the cluster generate")]
    except ProbeError as error:
        return [failed("device", str(error), error.fix)]


async def probe_devices(setting: str) -> list[dict[str, Any]]:
    """Return each device that DEVICE names as `device_probe` describes it. Raises ProbeError.

    Several are described as their workers' processes see them; those on one device have a share of its memory each.
    """
    try:
        devices = await in_daemon_thread(lambda: list_devices(setting))
    except DeviceUnavailable as error:
        raise ProbeError(error.problem, error.fix) from None
    if not devices:
        return []
    if len(devices) == 1:
        return [await probe_device(devices[0])]
    distinct = dict.fromkeys(devices)
    return await asyncio.gather(*(_probe_isolated(device, devices.count(device)) for device in distinct))


async def _probe_isolated(device: str, workers: int) -> dict[str, Any]:
    own_name, environment = isolated(device)
    try:
        found = await probe_device(own_name, environment)
    except ProbeError as error:
        if not environment:
            raise
        raise ProbeError(no_such_gpu(device).problem, error.fix) from None
    shares = {memory: found[memory] // workers for memory in ("free", "total")}
    return {**found, **shares, "device": device, "workers": workers}


async def probe_device(name: str, environment: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
    """Return a device as `device_probe` describes it, with changes to the environment. Raises ProbeError."""
    probe = await run_probe("generation.engine.device.device_probe", name, environment=environment)
    if probe.returncode != 0:
        raise ProbeError(probe.last_error_line, _suggest_fix(name))
    found: dict[str, Any] = json.loads(probe.stdout)
    if "problem" in found:
        raise ProbeError(found["problem"], found["fix"])
    return found


def memory_needed(weights: int) -> int:
    """Return the memory that a model needs on a device, for weights of this size; both in bytes."""
    return weights + MIN_FREE_BYTES


def _evaluate(device: dict[str, Any], weights: int = 0, *, fp8: bool = False) -> CheckResult:
    text = f"{device['name']} ({device['device']}), {_gib(device['free'])} of {_gib(device['total'])} GiB free"
    if (workers := device.get("workers", 1)) > 1:
        text += f" for each of {workers} workers"
    if device["free"] < MIN_FREE_BYTES:
        return failed("device", text, "Stop other programs that use its memory. A running Atelier is fine.")
    needed = memory_needed(weights * device["bytes"])
    if weights and needed > device["total"]:
        return failed("device", f"{text}; the model needs {_gib(needed)}", "Choose a smaller MODEL, or set DEVICE=cpu.")
    if fp8 and not device["fp8"]:
        error = no_fp8(device["device"])
        return failed("device", f"{text}; {error.problem}", f"{error.fix[0].upper()}{error.fix[1:]}")
    hint = "; without a GPU, a picture takes seconds to minutes" if device["device"] == "cpu" else ""
    return passed("device", f"{text}; PyTorch {device['torch']}{', products in 8 bits' if fp8 else ''}{hint}")


def _suggest_fix(name: str) -> str:
    if name.startswith("cuda"):
        return "Install the GPU's driver (nvidia-smi must list the GPU), or set DEVICE=auto."
    return FIX_REINSTALL


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f}"
