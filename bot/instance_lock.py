"""Lock the data folder for one process: two bots on one queue would answer everything twice."""

from __future__ import annotations

import logging
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from bot.config import ConfigError
from db.upkeep.backup import LOCK_FILE

log = logging.getLogger(__name__)


@contextmanager
def acquire_instance_lock(data_dir: Path) -> Iterator[None]:
    """Lock the data folder inside the block, creating it if needed. Raises ConfigError if that is impossible."""
    lock = FileLock(data_dir / LOCK_FILE)
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        _make_private(data_dir)
        lock.acquire(blocking=False)
    except Timeout:
        raise ConfigError(f"another Atelier is using DATA_DIR {data_dir}") from None
    except OSError as error:
        raise ConfigError(f"DATA_DIR {data_dir} cannot be used: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()


def _make_private(data_dir: Path) -> None:
    """Take the folder, and what lies directly in it, from all other accounts of this machine."""
    for path in (data_dir, *data_dir.iterdir()):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            try:
                path.chmod(mode & 0o700)
            except PermissionError:
                log.warning("%s can be read by other accounts, and belongs to one of them", path)


def is_locked(data_dir: Path) -> bool:
    """Return whether another process has locked the data folder; changes nothing."""
    file = data_dir / LOCK_FILE
    if not file.exists():
        return False
    try:
        with FileLock(file).acquire(blocking=False):
            return False
    except Timeout:
        return True
