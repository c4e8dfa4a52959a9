"""Check the data folder: its disk and its database."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from bot.doctor.result import CheckResult, failed, passed, skipped
from bot.instance_lock import is_locked
from db.connection import DATABASE_FILE
from db.upkeep.integrity import IntegrityReport, check_integrity
from generation.command_line import as_typed

MIN_FREE_BYTES = 2**30  # bytes
BYTES_PER_JOB = 2 * 2**20  # bytes; a grid image and its tiles, roughly
DATABASE_TIMEOUT_S = 30.0  # seconds
FIX_RESTORE_BACKUP = f"Stop the bot and restore a backup: {as_typed('restore FILE --replace')}."


def check_disk(data_dir: Path) -> list[CheckResult]:
    """Check that the data folder is writable and has free space."""
    existing = next(folder for folder in (data_dir, *data_dir.resolve().parents) if folder.exists())
    if not existing.is_dir() or not os.access(existing, os.R_OK | os.W_OK | os.X_OK):
        return [
            failed("disk", f"{existing} is not a folder that the bot can write to", "Change its owner, or DATA_DIR.")
        ]
    free = shutil.disk_usage(existing).free
    text = f"{free / 2**30:.1f} GiB free for {data_dir}"
    if free < MIN_FREE_BYTES:
        return [failed("disk", text, "Free some space, set RETENTION_DAYS, or move DATA_DIR to a larger disk.")]
    return [passed("disk", f"{text}, enough for about {round(free / BYTES_PER_JOB, -3):,.0f} grids")]


def check_database(data_dir: Path) -> list[CheckResult]:
    """Check that the database opens, is intact, and can be written to."""
    if not (data_dir / DATABASE_FILE).is_file():
        return [passed("database", "none yet: the bot creates it at its first start")]
    try:
        found = check_integrity(data_dir / DATABASE_FILE, DATABASE_TIMEOUT_S)
        running = "a bot is using it" if is_locked(data_dir) else "no bot is using it"
    except OSError as error:
        return [
            failed(
                "database", f"it cannot be used: {error}", "Make sure that the bot owns DATA_DIR and everything in it."
            )
        ]
    return [_evaluate(found, running)]


def _evaluate(found: IntegrityReport, running: str) -> CheckResult:
    if found.damage is not None:
        return failed("database", f"it is damaged: {found.damage}", FIX_RESTORE_BACKUP)
    if found.version > found.latest_version:
        text = f"it has version {found.version}, but this program only knows versions up to {found.latest_version}"
        return failed("database", text, "Update Atelier, or set another DATA_DIR.")
    text = f"{found.jobs} jobs, version {found.version} of {found.latest_version}, {running}"
    if found.is_intact is None:
        return skipped("database", f"{text}; too large to check within {DATABASE_TIMEOUT_S:g} s")
    return passed("database", text)
