"""Check a database that another process may be using, without changing it."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from db.connection import read_migrations

LOCK_TIMEOUT_S = 5.0  # far longer than a write of the bot takes
PROGRESS_INTERVAL = 10_000  # instructions of SQLite's virtual machine between two checks of the deadline


@dataclass(frozen=True, slots=True)
class IntegrityReport:
    """The schema version and the newest one known, the number of jobs, and the first damage if there is any.

    `is_intact` is None if the check ran out of time.
    """

    version: int
    latest_version: int
    jobs: int
    damage: str | None
    is_intact: bool | None


def check_integrity(path: Path, timeout: float) -> IntegrityReport:
    """Check the database at `path` for at most `timeout` seconds; raises OSError if it cannot be read or written."""
    latest_version, deadline = len(read_migrations()), time.monotonic() + timeout
    try:
        with closing(
            sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=rw", LOCK_TIMEOUT_S, uri=True)
        ) as database:
            version = database.execute("PRAGMA user_version").fetchone()[0]
            database.execute("BEGIN IMMEDIATE")  # as the bot does before it writes
            database.rollback()
            jobs = database.execute("SELECT count(*) FROM jobs").fetchone()[0] if version else 0
            damage, is_intact = _run_integrity_check(database, deadline)
    except sqlite3.OperationalError as error:
        raise OSError(str(error)) from None
    except sqlite3.DatabaseError as error:
        return IntegrityReport(0, latest_version, 0, str(error), is_intact=False)
    return IntegrityReport(version, latest_version, jobs, damage, is_intact)


def _run_integrity_check(database: sqlite3.Connection, deadline: float) -> tuple[str | None, bool | None]:
    database.set_progress_handler(lambda: time.monotonic() > deadline, PROGRESS_INTERVAL)
    try:
        ((first, *_), *_) = database.execute("PRAGMA integrity_check(1)").fetchall()
    except sqlite3.OperationalError as error:
        if "interrupted" not in str(error):
            raise
        return None, None
    finally:
        database.set_progress_handler(None, 0)
    return (None, True) if first == "ok" else (str(first), False)
