"""Lock the data folder for one process: two bots on one queue would answer everything twice."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bot.config import ConfigError
from db.backup import LOCK_FILE


@contextmanager
def acquire_instance_lock(data_dir: Path) -> Iterator[None]:
    """Lock the data folder inside the block, creating it if needed. Raises ConfigError if that is impossible."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        file = (data_dir / LOCK_FILE).open("w")
    except OSError as error:
        raise ConfigError(f"DATA_DIR {data_dir} cannot be used: {error.strerror}") from None
    with file as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(f"another Atelier is using DATA_DIR {data_dir}") from None
        yield


def is_locked(data_dir: Path) -> bool:
    """Return whether another process has locked the data folder; changes nothing."""
    try:
        with (data_dir / LOCK_FILE).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False
