"""How the program is started from a terminal, so that what messages recommend works as it is typed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONTAINER = "ATELIER_CONTAINER"  # the Dockerfile sets it
POWERSHELL = "powershell -ExecutionPolicy Bypass -File"


def as_typed(arguments: str = "") -> str:
    """Return the line that runs the program with some arguments, to be typed in its folder.

    In `.venv`, which nobody need activate, the script runs it; in a container, compose does.
    """
    if CONTAINER in os.environ:
        start = "docker compose run --rm atelier"
    elif not _is_in_venv():
        start = "python main.py"
    elif sys.platform == "win32":
        start = rf"{POWERSHELL} scripts\atelier.ps1"
    else:
        start = "scripts/atelier"
    return f"{start} {arguments}".rstrip()


def tool_as_typed(tool: str, arguments: str) -> str:
    """Return the line that runs a program of an installed package, such as pip or hf."""
    if CONTAINER in os.environ:
        start = f"docker compose run --rm --entrypoint .venv/bin/{tool} atelier"
    elif not _is_in_venv():
        start = tool
    else:
        start = rf".venv\Scripts\{tool}" if sys.platform == "win32" else f".venv/bin/{tool}"
    return f"{start} {arguments}"


def install_as_typed(extra: str) -> str:
    """Return the line that installs packages which Atelier does not need itself, but for one feature."""
    if CONTAINER in os.environ:
        return f"ATELIER_EXTRAS={extra} docker compose up -d --build"
    if not _is_in_venv():
        return f'pip install -c constraints.txt -e ".[{extra}]"'
    return _environment_as_typed(f"--extra {extra}")


def torch_as_typed(version: str, build: str, index: str) -> str:
    """Return the line that installs another build of PyTorch."""
    if CONTAINER in os.environ:
        return f"ATELIER_TORCH={build} docker compose up -d --build"
    if not _is_in_venv():
        return f"pip install torch=={version} --index-url {index} --force-reinstall"
    return _environment_as_typed(f"--torch {build}")


def _environment_as_typed(options: str) -> str:
    if sys.platform == "win32":
        return rf"{POWERSHELL} scripts\environment.ps1 {options}"
    return f"scripts/environment {options}"


def _is_in_venv() -> bool:
    return Path(sys.prefix).resolve() == (ROOT / ".venv").resolve()
