"""Keep a folder of dated backups: add one, and delete the oldest."""

from __future__ import annotations

import re
import time
from pathlib import Path

from db.upkeep.backup import BackupContents, BackupError, create_backup

_NAME = re.compile(r"atelier-\d{8}-\d{6}\.zip")


def add_backup(data_dir: Path, folder: Path, keep: int | None, now: float | None = None) -> tuple[Path, BackupContents]:
    """Write a backup with its date in its name, then keep the newest `keep`, or all if None. Raises BackupError.

    Nothing is deleted if the backup fails, and no file whose name is not that of such a backup.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = folder / time.strftime("atelier-%Y%m%d-%H%M%S.zip", time.localtime(now))
        contents = create_backup(data_dir, target)
        # The one just written stays, even if the clock was set back, or summer time has ended.
        others = [path for path in dated_backups(folder) if path != target]
        for old in others[: max(0, len(others) + 1 - keep)] if keep else []:
            old.unlink(missing_ok=True)
    except OSError as error:
        raise BackupError(f"{folder} cannot be used: {error.strerror}") from None
    return target, contents


def dated_backups(folder: Path) -> list[Path]:
    """Return the backups in a folder, the oldest first."""
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
