"""Check that the device works, in a separate process because the bot's process does not import PyTorch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from bot.doctor.model import largest_parameter_count
from bot.doctor.probe import FIX_REINSTALL, run_probe
from bot.doctor.result import CheckResult, failed, in_daemon_thread, passed

MIN_FREE_BYTES = 2**30  # bytes


class ProbeError(Exception):
    """The device cannot compute; the text is the reason, `fix` what to do."""

    def __init__(self, text: str, fix: str) -> None:
        super().__init__(text)
        self.fix = fix


async def check_device(name: str, models: Sequence[str] = ()) -> list[CheckResult]:
    """Check that the device DEVICE names can compute, and that the largest model fits into its memory."""
    weights = await in_daemon_thread(lambda: largest_parameter_count(models))
    try:
        return [_evaluate(await probe_device(name), weights)]
    except ProbeError as error:
        return [failed("device", str(error), error.fix)]


async def probe_device(name: str) -> dict[str, Any]:
    """Return the device that DEVICE names as `device_probe` describes it. Raises ProbeError."""
    probe = await run_probe("generation.engine.device.device_probe", name)
    if probe.returncode != 0:
        raise ProbeError(probe.last_error_line, _suggest_fix(name))
    found: dict[str, Any] = json.loads(probe.stdout)
    if "problem" in found:
        raise ProbeError(found["problem"], found["fix"])
    return found


def memory_needed(weights: int) -> int:
    """Return the memory that a model needs on a device, for weights of this size; both in bytes."""
    return weights + MIN_FREE_BYTES


def _evaluate(device: dict[str, Any], weights: int = 0) -> CheckResult:
    text = f"{device['name']} ({device['device']}), {_gib(device['free'])} of {_gib(device['total'])} GiB free"
    if device["free"] < MIN_FREE_BYTES:
        return failed("device", text, "Stop other programs that use its memory. A running Atelier is fine.")
    needed = memory_needed(weights * device["bytes"])
    if weights and needed > device["total"]:
        return failed("device", f"{text}; the model needs {_gib(needed)}", "Choose a smaller MODEL, or set DEVICE=cpu.")
    hint = "; without a GPU, a picture takes seconds to minutes" if device["device"] == "cpu" else ""
    return passed("device", f"{text}; PyTorch {device['torch']}{hint}")


def _suggest_fix(name: str) -> str:
    if name.startswith("cuda"):
        return "Install the GPU's driver (nvidia-smi must list the GPU), or set DEVICE=auto."
    return FIX_REINSTALL


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f}"
