"""Lock the data folder for one process: two bots on one queue would answer everything twice."""

from __future__ import annotations

import fcntl
import logging
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bot.config import ConfigError
from db.backup import LOCK_FILE
from db.connection import DATABASE_FILE

log = logging.getLogger(__name__)


@contextmanager
def acquire_instance_lock(data_dir: Path) -> Iterator[None]:
    """Lock the data folder inside the block, creating it if needed. Raises ConfigError if that is impossible."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        _make_private(data_dir)
        file = (data_dir / LOCK_FILE).open("w")
    except OSError as error:
        raise ConfigError(f"DATA_DIR {data_dir} cannot be used: {error.strerror}") from None
    with file as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(f"another Atelier is using DATA_DIR {data_dir}") from None
        yield


def _make_private(data_dir: Path) -> None:
    """Take the folder, and the database in it, from all other accounts of this machine."""
    for path in (data_dir, *data_dir.glob(f"{DATABASE_FILE}*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            try:
                path.chmod(mode & 0o700)
            except PermissionError:
                log.warning("%s can be read by other accounts, and belongs to one of them", path)


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
