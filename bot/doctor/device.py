"""Whether the device draws: asked of a process of its own, since the bot's does without PyTorch."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bot.doctor.finding import Finding, aside, bad, fine
from bot.doctor.model import most_weights

ROOT = Path(__file__).resolve().parents[2]
LEAST_FREE = 2**30  # bytes


async def check_device(name: str, models: Sequence[str] = ()) -> list[Finding]:
    """Check the device that DEVICE names by letting it reckon a little, and that the largest model has room on it."""
    weights = await aside(lambda: most_weights(models))
    probe = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "generation.engine.device.device_probe", name, cwd=ROOT, stdout=PIPE, stderr=PIPE
    )
    try:
        said, trouble = await probe.communicate()
    finally:
        if probe.returncode is None:
            probe.kill()
            await probe.wait()
    if probe.returncode != 0:
        return [bad("device", _last_line(trouble), _mend(name))]
    return [_judge(json.loads(said), weights)]


def _judge(found: dict[str, Any], weights: int = 0) -> Finding:
    text = f"{found['name']} ({found['device']}), {_gib(found['free'])} of {_gib(found['total'])} GiB free"
    if found["free"] < LEAST_FREE:
        return bad("device", text, "End what else takes its memory. The bot itself, if it is running, is no trouble.")
    needed = weights * found["bytes"] + LEAST_FREE
    if weights and needed > found["total"]:
        return bad("device", f"{text}; the model needs {_gib(needed)}", "Choose a smaller MODEL, or set DEVICE=cpu.")
    slow = "; without a GPU, a picture takes seconds to minutes" if found["device"] == "cpu" else ""
    return fine("device", f"{text}; PyTorch {found['torch']}{slow}")


def _mend(name: str) -> str:
    if name.startswith("cuda"):
        return "Install the GPU's driver (nvidia-smi must name the GPU), or set DEVICE=auto."
    return "Install the packages again: delete .venv and run scripts/environment."


def _last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "the process that asks it ended without a word"


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f}"
