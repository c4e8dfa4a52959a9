"""Backups contain everything but secrets, work beside a running bot, and only Atelier's own are restored."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import shutil
import sqlite3
import stat
import sys
import threading
import time
import zipfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from db.connection import DATABASE_FILE, MIGRATIONS, Connection
from db.image_files import ImageStore
from db.jobs import JobState, JobStore
from db.together.sessions import ENDED, RESTORED, Round, SessionKind, SessionStore
from db.upkeep.backup import (
    REDACTED_TOKEN,
    RESTORED_MESSAGE,
    BackupContents,
    BackupError,
    create_backup,
    restore_backup,
)
from generation.messages import Grid
from generation.params import Tile
from tests.support.jobs import make_full_job, make_job
from tests.support.old_database import OLD_DATABASES, jobs_by_state
from tests.support.sessions import make_session

ROOT = Path(__file__).resolve().parents[3]
GRID = Grid((b"1", b"2", b"3", b"4"), b"sheet", "webp", 0.1)
SECRET = "aW50ZXJhY3Rpb246MTQ0MTE1"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data folder with two finished jobs and their images, for copies."""
    folder = tmp_path_factory.mktemp("filled") / "data"
    asyncio.run(fill_data_folder(folder))
    return folder


@pytest.fixture
def data(tmp_path: Path, filled: Path) -> Path:
    """Return a data folder with two finished jobs and their images."""
    return shutil.copytree(filled, tmp_path / "data")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "backup.zip"


async def fill_data_folder(data: Path) -> None:
    images = ImageStore(data)
    async with JobStore.open(data / DATABASE_FILE) as store:
        for job in (make_job(id="0123456789ab"), make_full_job()):
            await store.add_job(replace(job, destination=replace(job.destination, token=SECRET * 9)))
            await store.mark_running(job.id)
            await images.save(job.id, GRID)
            await store.mark_generated(job.id, GRID.suffix)
            await store.mark_posted(job.id, 71)
        await images.save_upload(b"uploaded")
    (data / "lock").touch()


def files_below(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith((DATABASE_FILE, "lock")))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def rows(database: Path, sql: str = "SELECT * FROM jobs ORDER BY id") -> list[tuple]:
    with closing(sqlite3.connect(database)) as sqlite:
        return sqlite.execute(sql).fetchall()


def make_empty_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


def test_a_restored_backup_has_everything_that_was_backed_up(data, file, tmp_path):
    assert create_backup(data, file) == BackupContents(jobs=2, images=11)
    target = make_empty_folder(tmp_path)
    (target / "lock").touch()
    assert restore_backup(file, target, replace=False) == (BackupContents(jobs=2, images=11), None)
    assert files_below(target) == files_below(data)
    everything = "SELECT id, params, state, asker_id, answer_id, asked_at FROM jobs ORDER BY id"
    assert rows(target / DATABASE_FILE, everything) == rows(data / DATABASE_FILE, everything)
    assert sorted(path.name for path in target.iterdir()) == sorted(
        [DATABASE_FILE, "lock", "sheets", "tiles", "uploads"]
    )


def test_no_token_is_in_a_backup(data, file):
    with closing(sqlite3.connect(data / DATABASE_FILE)) as sqlite:
        sqlite.execute("PRAGMA secure_delete = OFF")  # leaves the token in free space of the file
        sqlite.execute("UPDATE jobs SET ending = ? WHERE id = '0123456789ab'", ("Basil" + SECRET * 500,))
        sqlite.execute("UPDATE jobs SET ending = NULL")
        sqlite.commit()
    assert SECRET.encode() in (data / DATABASE_FILE).read_bytes()
    create_backup(data, file)
    with zipfile.ZipFile(file) as archive:
        assert not any(SECRET.encode() in archive.read(name) for name in archive.namelist())
        (file.parent / "copy").write_bytes(archive.read(DATABASE_FILE))
    assert set(rows(file.parent / "copy", "SELECT token, token_expires_at FROM jobs")) == {(REDACTED_TOKEN, 0.0)}
    assert set(rows(data / DATABASE_FILE, "SELECT token FROM jobs")) == {(SECRET * 9,)}


def test_a_backup_is_readable_by_its_owner_only(data, file):
    create_backup(data, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_only_files_of_the_bot_are_backed_up(data, file):
    (data / ".env").write_text("DISCORD_TOKEN=secret")
    (data / "tiles" / "01" / "0123456789ab-0.png.0a1b2c3d.partial").write_bytes(b"half")
    (data / "tiles" / "01" / "my notes.txt").write_text("hello")
    (data / "preview").mkdir()
    create_backup(data, data / "backup.zip")
    create_backup(data, data / "backup.zip")
    with zipfile.ZipFile(data / "backup.zip") as archive:
        assert len(archive.namelist()) == 12
        assert not [name for name in archive.namelist() if "env" in name or "partial" in name or "notes" in name]


async def test_a_backup_beside_a_busy_bot_is_complete_and_blocks_nothing(data, file, tmp_path):
    images = ImageStore(data)
    done = threading.Event()

    def back_up_often() -> list[BackupContents]:
        try:
            return [create_backup(data, file) for _ in range(5)]
        finally:
            done.set()

    async with JobStore.open(data / DATABASE_FILE) as store:
        backups = asyncio.create_task(asyncio.to_thread(back_up_often))
        while not done.is_set():
            job = make_job()
            await store.add_job(job)
            await store.mark_running(job.id)
            await images.save(job.id, GRID)
            await store.mark_generated(job.id, GRID.suffix)
            await images.delete(job.id)
        counts = [contents.jobs for contents in await backups]
    assert counts == sorted(counts)
    restore_backup(file, make_empty_folder(tmp_path), replace=False)


def test_an_image_deleted_during_the_backup_is_skipped(data, file, monkeypatch):
    deleted = ImageStore(data).path(Tile("0123456789ab", 0))
    write = zipfile.ZipFile.write

    def delete_then_write(archive, path, *more):
        deleted.unlink(missing_ok=True)
        write(archive, path, *more)

    monkeypatch.setattr(zipfile.ZipFile, "write", delete_then_write)
    assert create_backup(data, file) == BackupContents(jobs=2, images=10)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_a_failed_backup_leaves_the_earlier_one_and_no_other_files(data, file, error, monkeypatch):
    create_backup(data, file)
    before = file.read_bytes()

    def fail(*_):
        raise error

    monkeypatch.setattr("db.upkeep.backup._image_files", fail)
    with pytest.raises((BackupError, KeyboardInterrupt)):
        create_backup(data, file)
    assert file.read_bytes() == before
    assert sorted(path.name for path in file.parent.iterdir()) == ["backup.zip", "data"]


def test_a_file_that_is_not_a_backup_is_not_overwritten(data, file):
    file.write_text("my diary")
    with pytest.raises(BackupError, match="not a backup"):
        create_backup(data, file)
    assert file.read_text() == "my diary"


def test_a_backup_of_an_empty_folder_is_refused(tmp_path, file):
    with pytest.raises(BackupError, match="nothing to back up"):
        create_backup(tmp_path / "data", file)
    assert not (tmp_path / "data").exists()


def test_a_damaged_database_is_not_backed_up(data, file):
    content = bytearray((data / DATABASE_FILE).read_bytes())
    content[4096 * 2 : 4096 * 6] = os.urandom(4096 * 4)
    (data / DATABASE_FILE).write_bytes(content)
    with pytest.raises(BackupError, match="database"):
        create_backup(data, file)
    assert not file.exists()


def test_a_folder_that_is_not_empty_is_not_overwritten(data, file):
    create_backup(data, file)
    before = files_below(data)
    with pytest.raises(BackupError, match="--replace"):
        restore_backup(file, data, replace=False)
    assert files_below(data) == before


def test_the_previous_data_are_kept_beside_the_folder(data, file):
    create_backup(data, file)
    (data / "tiles" / "01" / "0123456789ab-0.png").write_bytes(b"another image")
    before, rows_before = files_below(data), rows(data / DATABASE_FILE)
    _, previous = restore_backup(file, data, replace=True)
    assert previous is not None
    assert previous.parent == data.parent
    assert files_below(previous) == before
    assert rows(previous / DATABASE_FILE) == rows_before
    assert (data / "tiles" / "01" / "0123456789ab-0.png").read_bytes() == b"1"
    assert (data / "lock").exists()


def test_a_folder_that_cannot_be_moved_away_is_unchanged(data, file, monkeypatch):
    create_backup(data, file)
    before = files_below(data)

    def refuse(path, _):
        raise OSError(errno.EXDEV, "Invalid cross-device link", str(path))

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(BackupError, match="mount point"):
        restore_backup(file, data, replace=True)
    assert files_below(data) == before
    assert sorted(path.name for path in data.parent.iterdir()) == ["backup.zip", "data"]


def test_jobs_waiting_at_the_backup_are_not_generated_after_a_restore(tmp_path, file):
    data = tmp_path / "data"
    data.mkdir()
    with closing(sqlite3.connect(data / DATABASE_FILE)) as sqlite:
        sqlite.executescript(sorted(OLD_DATABASES.glob("*.sql"))[-1].read_text())
    create_backup(data, file)
    restore_backup(file, data, replace=True)
    states = {row[0]: row[1:] for row in rows(data / DATABASE_FILE, "SELECT id, state, ending FROM jobs")}
    for state in JobState:
        after, ending = states[jobs_by_state()[state].id]
        is_failed = state in (JobState.WAITING, JobState.RUNNING)
        assert after == (JobState.FAILED if is_failed else state)
        assert (ending == RESTORED_MESSAGE) is is_failed
    assert rows(data / DATABASE_FILE, "SELECT * FROM memos WHERE name = 'commands'") == []


async def test_sessions_that_went_on_at_the_backup_only_say_that_they_end(tmp_path, file):
    goes_on, over = make_session(due_at=5000.0), make_session()
    async with Connection.open(tmp_path / "before" / DATABASE_FILE) as connection:
        for session in (goes_on, over):
            await SessionStore(connection).add(session, most=5)
        await SessionStore(connection).end(over.id, 2.0)
    create_backup(tmp_path / "before", file)
    target = make_empty_folder(tmp_path)
    restore_backup(file, target, replace=False)
    async with Connection.open(target / DATABASE_FILE) as connection:
        store = SessionStore(connection)
        assert [(each.id, each.phase) for each in await store.due(0.0)] == [(goes_on.id, RESTORED)]
        assert (await store.get(over.id)).phase == ENDED


@pytest.mark.parametrize("token", ["", REDACTED_TOKEN], ids=["now", "earlier"])
async def test_a_picture_that_a_telephone_holds_is_held_after_a_restore(tmp_path, file, token):
    to = replace(make_job().destination, token=token, private=True)
    job, session = make_job(destination=to), make_session(kind=SessionKind.TELEPHONE)
    async with Connection.open(tmp_path / "before" / DATABASE_FILE) as connection:
        jobs, sessions = JobStore(connection), SessionStore(connection)
        await sessions.add(session, most=5)
        await sessions.add_round(Round(session_id=session.id, number=1, job_id=job.id))
        await jobs.add_job(job)
        await jobs.mark_running(job.id)
        await jobs.mark_generated(job.id, "webp")
    create_backup(tmp_path / "before", file)
    target = make_empty_folder(tmp_path)
    restore_backup(file, target, replace=False)
    async with JobStore.open(target / DATABASE_FILE) as store:
        (record,) = await store.open_records()
        assert record.job.destination.is_held


@pytest.mark.parametrize("old", sorted(OLD_DATABASES.glob("*.sql")), ids=lambda path: path.stem)
async def test_a_backup_of_an_earlier_version_is_restored_and_works(tmp_path, file, old):
    data = tmp_path / "data"
    data.mkdir()
    with closing(sqlite3.connect(data / DATABASE_FILE)) as sqlite:
        sqlite.executescript(old.read_text())
    create_backup(data, file)
    restore_backup(file, data, replace=True)
    async with JobStore.open(data / DATABASE_FILE) as store:
        assert await store.get(jobs_by_state()[JobState.POSTED].id)


def make_archive(members: dict[str, bytes], **attributes: int) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = attributes.get("external_attr", 0)
            archive.writestr(info, content)
    return written.getvalue()


@pytest.mark.parametrize(
    "name",
    [
        "../outside.png",
        "tiles/../../outside.png",
        "tiles/01/../../../outside.png",
        "/tmp/outside.png",
        "tiles/01/../outside.png",
        "tiles\\..\\..\\outside.png",
        "C:/outside.png",
        "tiles/01/0123456789ab-0.png/x",
        "tiles//0123456789ab-0.png",
        "lock",
        ".env",
        "atelier.sqlite3-wal",
        "atelier.sqlite3/x",
        "tiles/",
        "tiles/01/0123456789ab-0.png\n",
    ],
)
def test_an_unsafe_member_name_is_refused(data, file, tmp_path, name):
    create_backup(data, file)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"evil")
    target = make_empty_folder(tmp_path)
    with pytest.raises(BackupError, match="not a backup of Atelier"):
        restore_backup(file, target, replace=False)
    assert list(target.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.zip", "data", "elsewhere"]


def test_a_member_name_with_a_null_byte_is_refused(data, file, tmp_path):
    create_backup(data, file)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("uploads/01/a.png!/../../../b", b"evil")
    file.write_bytes(file.read_bytes().replace(b"a.png!/..", b"a.png\0/.."))
    with pytest.raises(BackupError, match="not a backup of Atelier"):
        restore_backup(file, make_empty_folder(tmp_path), replace=False)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFDIR, stat.S_IFCHR])
def test_links_and_devices_are_refused(data, file, tmp_path, kind):
    create_backup(data, file)
    with zipfile.ZipFile(file, "a") as archive:
        info = zipfile.ZipInfo("tiles/01/0123456789cd-0.png")
        info.external_attr = (kind | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(BackupError, match="not a backup of Atelier"):
        restore_backup(file, make_empty_folder(tmp_path), replace=False)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_duplicate_member_is_refused(data, file, tmp_path):
    create_backup(data, file)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(DATABASE_FILE, b"another")
    with pytest.raises(BackupError, match="twice"):
        restore_backup(file, make_empty_folder(tmp_path), replace=False)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_backup_is_refused_before_anything_is_touched(data, file, share):
    create_backup(data, file)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    before = files_below(data)
    with pytest.raises(BackupError, match="damaged or not a backup"):
        restore_backup(file, data, replace=True)
    assert files_below(data) == before


def test_a_backup_with_a_flipped_bit_is_refused(data, file):
    create_backup(data, file)
    with zipfile.ZipFile(file) as archive:
        offset = archive.getinfo("tiles/01/0123456789ab-0.png").header_offset
    content = bytearray(file.read_bytes())
    content[offset + 30 + len("tiles/01/0123456789ab-0.png")] ^= 1
    file.write_bytes(content)
    with pytest.raises(BackupError, match="damaged"):
        restore_backup(file, data, replace=True)


def test_a_backup_that_would_fill_the_disk_is_refused(data, file, tmp_path, monkeypatch):
    create_backup(data, file)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(BackupError, match="only 0 MiB are free"):
        restore_backup(file, make_empty_folder(tmp_path), replace=False)


def foreign_database(*statements: str, base: bool = True) -> bytes:
    scripts = [path.read_text() for path in sorted(MIGRATIONS.glob("*.sql"))] if base else []
    with closing(sqlite3.connect(":memory:")) as sqlite:
        sqlite.executescript("".join(scripts))
        sqlite.execute(f"PRAGMA user_version = {len(scripts)}")
        for statement in statements:
            sqlite.execute(statement)
        sqlite.commit()
        return sqlite.serialize()


@pytest.mark.parametrize(
    ("database", "message"),
    [
        (b"This is no database." * 1000, "not a database"),
        (b"", "another schema"),
        (foreign_database(base=False), "another schema"),
        (foreign_database("PRAGMA user_version = 999"), "update the program"),
        (foreign_database("PRAGMA user_version = -1"), "another schema"),
        (foreign_database("CREATE TABLE more (x)"), "another schema"),
        (foreign_database("ALTER TABLE jobs ADD COLUMN more"), "another schema"),
        (foreign_database("DROP INDEX jobs_open"), "another schema"),
        (
            foreign_database("CREATE TRIGGER evil AFTER INSERT ON jobs BEGIN DELETE FROM jobs; END"),
            "another schema",
        ),
    ],
)
def test_a_foreign_database_is_refused(data, file, database, message):
    file.write_bytes(make_archive({DATABASE_FILE: database}))
    before = files_below(data)
    with pytest.raises(BackupError, match=message):
        restore_backup(file, data, replace=True)
    assert files_below(data) == before
    assert len(rows(data / DATABASE_FILE)) == 2


def test_a_backup_without_a_database_is_refused(file, tmp_path):
    file.write_bytes(make_archive({"tiles/01/0123456789ab-0.png": b"1"}))
    with pytest.raises(BackupError, match="not a backup of Atelier"):
        restore_backup(file, make_empty_folder(tmp_path), replace=False)


def test_leftovers_of_an_interrupted_restore_are_deleted(data, file, tmp_path):
    create_backup(data, file)
    target = make_empty_folder(tmp_path)
    (target / ".restoring-abc").mkdir()
    (target / ".restoring-abc" / DATABASE_FILE).write_bytes(b"half")
    restore_backup(file, target, replace=False)
    assert not (target / ".restoring-abc").exists()


def test_leftovers_of_a_killed_backup_are_deleted_after_a_day(data, file):
    def leave(name: str, member: str, age: float, file_age: float | None = None) -> Path:
        path = file.parent / name / member
        path.parent.mkdir(parents=True)
        path.write_bytes(b"half")
        os.utime(path, (time.time() - (file_age or age),) * 2)
        for folder in path.parents[: len(Path(member).parts)]:
            os.utime(folder, (time.time() - age,) * 2)
        return file.parent / name

    old = 25 * 3600
    killed, young = leave(".backup-abcdefg0", "archive", old), leave(".backup-abcdefg1", "archive", 3600)
    long, diary = leave(".backup-abcdefg2", "archive", old, 60), leave(".backup-abcdefg3", "diary.txt", old)
    folder, named = leave(".backup-abcdefg4", "archive/diary.txt", old), leave(".backup-of-mine", "archive", old)
    create_backup(data, file)
    assert not killed.exists()
    assert all(kept.exists() for kept in (young, long, diary, folder, named))


async def test_backups_while_another_process_adds_jobs(data, file, tmp_path):
    writer = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.job_writer",
        str(data / DATABASE_FILE),
        "60",
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert writer.stdout is not None
    first = await writer.stdout.readline()
    await asyncio.to_thread(create_backup, data, file)
    rest = await writer.stdout.read()
    assert await writer.wait() == 0
    target = make_empty_folder(tmp_path)
    restore_backup(file, target, replace=False)
    known = {row[0] for row in rows(target / DATABASE_FILE, "SELECT id FROM jobs")}
    assert first.decode().strip() in known
    assert len(rest.split()) == 59
