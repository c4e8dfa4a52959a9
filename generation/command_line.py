"""How the program is started from a terminal, so that what messages recommend works as it is typed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONTAINER = "ATELIER_CONTAINER"  # the Dockerfile sets it


def as_typed(arguments: str = "") -> str:
    """Return the line that runs the program with some arguments, to be typed in its folder.

    In `.venv`, which nobody need activate, the script runs it; in a container, compose does.
    """
    if CONTAINER in os.environ:
        start = "docker compose run --rm atelier"
    elif Path(sys.prefix).resolve() != (ROOT / ".venv").resolve():
        start = "python main.py"
    elif sys.platform == "win32":
        start = r"powershell -ExecutionPolicy Bypass -File scripts\atelier.ps1"
    else:
        start = "scripts/atelier"
    return f"{start} {arguments}".rstrip()
