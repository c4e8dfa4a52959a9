"""Check the names in `.env`: a misspelt one has no effect and is easily overlooked."""

from __future__ import annotations

from pathlib import Path

from bot.config import describe_misspelt
from bot.doctor.result import CheckResult, failed
from bot.env_file import read_settings


def check_settings(file: Path) -> list[CheckResult]:
    """Return a problem for each misspelt name; nothing if there is none."""
    return [failed("settings", text, f"Correct it in {file}.") for text in describe_misspelt(read_settings(file))]
