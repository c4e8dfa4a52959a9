"""Run a module of the engine in a process of its own, since the bot's process does not import torch."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).parents[2]
FIX_REINSTALL = "Reinstall the packages: delete .venv and run scripts/environment."


@dataclass(frozen=True, slots=True)
class ProbeOutput:
    """How a probe ended, and what it printed."""

    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def last_error_line(self) -> str:
        """Return what a probe that failed says last."""
        lines = self.stderr.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "the probe ended without output"


async def run_probe(module: str, *arguments: str, environment: Mapping[str, str] = MappingProxyType({})) -> ProbeOutput:
    """Run `python -m module`, with changes to the environment, and return its output; a cancelled probe is killed."""
    command = (sys.executable, "-m", module, *arguments)
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env={**os.environ, **environment}, stdout=PIPE, stderr=PIPE
    )
    try:
        stdout, stderr = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return ProbeOutput(process.returncode, stdout, stderr)
