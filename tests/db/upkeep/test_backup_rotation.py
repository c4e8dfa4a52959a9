"""A folder of backups keeps the newest, and loses nothing when a backup fails."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from db.connection import DATABASE_FILE, Connection
from db.upkeep.backup import BackupError
from db.upkeep.backup_rotation import add_backup, dated_backups

DAY = 86_400


@pytest.fixture
def data(tmp_path: Path) -> Path:
    async def create() -> None:
        async with Connection.open(tmp_path / "data" / DATABASE_FILE):
            pass

    asyncio.run(create())
    return tmp_path / "data"


def test_the_newest_backups_are_kept_and_other_files_too(data, tmp_path):
    folder = tmp_path / "backups"
    written = [add_backup(data, folder, 3, now=day * DAY)[0] for day in range(1, 6)]
    (folder / "mine.zip").touch()
    (folder / "atelier-old.zip").touch()
    last, _ = add_backup(data, folder, 3, now=6 * DAY)
    assert dated_backups(folder) == [*written[-2:], last]
    assert {path.name for path in folder.iterdir()} > {"mine.zip", "atelier-old.zip"}


def test_a_backup_just_written_is_kept_although_the_clock_was_set_back(data, tmp_path):
    folder = tmp_path / "backups"
    add_backup(data, folder, 1, now=2 * DAY)
    earlier, _ = add_backup(data, folder, 1, now=DAY)
    assert dated_backups(folder) == [earlier]


def test_without_a_number_all_are_kept(data, tmp_path):
    for day in range(1, 4):
        add_backup(data, tmp_path / "backups", None, now=day * DAY)
    assert len(dated_backups(tmp_path / "backups")) == 3


def test_a_failed_backup_deletes_nothing(data, tmp_path):
    folder = tmp_path / "backups"
    kept, _ = add_backup(data, folder, 1, now=DAY)
    (data / DATABASE_FILE).write_bytes(b"damaged" * 1000)
    with pytest.raises(BackupError):
        add_backup(data, folder, 1, now=2 * DAY)
    assert dated_backups(folder) == [kept]
