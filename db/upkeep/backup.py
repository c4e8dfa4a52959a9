"""Back up the data folder to one file while the bot runs, and restore it while the bot is stopped."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sqlite3
import stat
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from db.connection import DATABASE_FILE, read_migrations
from db.image_files import IMAGE_KINDS, PARTIAL_SUFFIX, fsync_folder
from db.together.sessions import RESTORED as RESTORED_PHASE

LOCK_FILE = "lock"  # the file by which a program locks the data folder; it is not part of the data
REDACTED_TOKEN = "not kept in backups"
RESTORED_MESSAGE = "The bot was restored from a backup made before this was drawn. Please ask for it again."

_MEMBER_NAME = re.compile(
    rf"{re.escape(DATABASE_FILE)}|(?:{'|'.join(IMAGE_KINDS)})/[0-9A-Za-z-]{{1,2}}/[0-9A-Za-z-]+\.[0-9A-Za-z]+"
)
_STAGING_PREFIX = ".restoring-"
_BACKUP_PREFIX = ".backup-"
_BACKUP_NAME = re.compile(rf"{re.escape(_BACKUP_PREFIX)}[a-z0-9_]{{8}}")  # as tempfile names it
_UNFINISHED_NAME = re.compile(rf"archive|{re.escape(DATABASE_FILE)}(?:-journal|-wal|-shm)?")
_ABANDONED_S = 24 * 3600.0  # without a change
_ARCHIVE_ERRORS = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
_UNANSWERED = {"deferrals", "direct_messages"}  # a restored bot would answer them once more


class BackupError(Exception):
    """A backup cannot be created or restored; the text says why."""


@dataclass(frozen=True, slots=True)
class BackupContents:
    """The contents of a backup; `images` counts files."""

    jobs: int
    images: int


def create_backup(data_dir: Path, target: Path) -> BackupContents:
    """Write everything in `data_dir` to the file `target`, even while a bot is writing. Raises BackupError.

    The database is copied first, as a snapshot, and the images after it. So every image that the snapshot refers to is
    in the backup, unless it was deleted since. Interaction tokens are left out.
    """
    if not (data_dir / DATABASE_FILE).is_file():
        raise BackupError(f"there is nothing to back up: {data_dir} has no {DATABASE_FILE}")
    if target.exists() and not zipfile.is_zipfile(target):
        raise BackupError(f"{target} already exists and is not a backup: choose another name")
    try:
        _remove_abandoned_backups(target.parent)
        with tempfile.TemporaryDirectory(prefix=_BACKUP_PREFIX, dir=target.parent) as staging:
            database, archive = Path(staging) / DATABASE_FILE, Path(staging) / "archive"
            jobs = _copy_database(data_dir / DATABASE_FILE, database)
            images = _write_archive(archive, database, data_dir)
            archive.replace(target)
            fsync_folder(target.parent)
    except sqlite3.Error as error:
        raise BackupError(f"the database cannot be copied: {error}") from None
    except OSError as error:
        raise BackupError(f"{target} cannot be written: {error.strerror}") from None
    return BackupContents(jobs, images)


def restore_backup(archive: Path, data_dir: Path, *, replace: bool) -> tuple[BackupContents, Path | None]:
    """Restore a backup to `data_dir`; return its contents and the folder with the previous data, if there was any.

    No other process may be using `data_dir`. A folder that is not empty is refused unless `replace` is true. The backup
    is unpacked and checked before the previous data are touched. Raises BackupError.
    """
    try:
        _remove_stale_staging(data_dir)
        existing = sorted(path for path in data_dir.iterdir() if path.name != LOCK_FILE)
        if existing and not replace:
            raise BackupError(
                f"{data_dir} already contains {existing[0].name}: use --replace to put the backup in its place"
            )
        with tempfile.TemporaryDirectory(prefix=_STAGING_PREFIX, dir=data_dir) as staging:
            images = _unpack(archive, Path(staging))
            jobs = _check_database(Path(staging) / DATABASE_FILE)
            old_data = _move_existing(data_dir, existing) if existing else None
            _install(Path(staging), data_dir)
    except _ARCHIVE_ERRORS as error:
        raise BackupError(f"{archive} is damaged or not a backup: {error}") from None
    except sqlite3.Error as error:
        raise BackupError(f"the database in {archive} cannot be used: {error}") from None
    except OSError as error:
        raise BackupError(f"{archive} cannot be restored: {error.strerror}: {error.filename}") from None
    return BackupContents(jobs, images), old_data


def _remove_abandoned_backups(folder: Path) -> None:
    """Delete what killed backups have left, nobody else's folder, and none that is still being written."""
    for staging in folder.glob(f"{_BACKUP_PREFIX}*/"):
        with suppress(OSError):  # another backup may have ended just now
            files = list(staging.iterdir())
            is_own = all(_UNFINISHED_NAME.fullmatch(path.name) and path.is_file() for path in files)
            changed_at = max(path.stat().st_mtime for path in (staging, *files))
            if _BACKUP_NAME.fullmatch(staging.name) and is_own and changed_at < time.time() - _ABANDONED_S:
                shutil.rmtree(staging)


def _copy_database(source: Path, target: Path) -> int:
    """Copy a snapshot of the database without the tokens; return the number of its jobs."""
    with _open_database(source) as live, _open_database(target) as copy:
        live.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")
        _check_integrity(copy)
        # A job of a session has no token, by which it is known.
        copy.execute("UPDATE jobs SET token = ?, token_expires_at = 0 WHERE token <> ''", (REDACTED_TOKEN,))
        for table in _UNANSWERED & _table_names(copy):
            copy.execute(f"DELETE FROM {table}")
        copy.commit()
        copy.execute("VACUUM")  # otherwise the tokens could still be read from free space in the file
        return _count_jobs(copy)


def _table_names(database: sqlite3.Connection) -> set[str]:
    return {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _write_archive(path: Path, database: Path, data_dir: Path) -> int:
    with open(path, "xb", opener=_open_private) as file:  # prompts are private
        with zipfile.ZipFile(file, "w", strict_timestamps=False) as archive:
            archive.write(database, DATABASE_FILE, zipfile.ZIP_DEFLATED)
            images = sum(_add_file(archive, image, data_dir) for image in _image_files(data_dir))
        file.flush()
        os.fsync(file.fileno())
    return images


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _image_files(data_dir: Path) -> Iterator[Path]:
    for kind in IMAGE_KINDS:
        for folder in sorted((data_dir / kind).glob("*")):
            yield from sorted(path for path in folder.glob("*") if not path.name.endswith(PARTIAL_SUFFIX))


def _add_file(archive: zipfile.ZipFile, image: Path, data_dir: Path) -> bool:
    name = image.relative_to(data_dir).as_posix()
    if not _MEMBER_NAME.fullmatch(name):  # not written by the bot
        return False
    try:
        archive.write(image, name)
    except FileNotFoundError:  # deleted in the meantime
        return False
    return True


def _unpack(path: Path, folder: Path) -> int:
    """Unpack a backup into an empty folder; return the number of its images. An unexpected member is refused."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        _check_members(members)
        _check_disk_space(members, folder)
        for member in members:
            target = folder / member.filename
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, target.open("xb") as file:
                shutil.copyfileobj(source, file, 2**20)
    return len(members) - 1


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    for member in members:
        kind = stat.S_IFMT(member.external_attr >> 16)
        if not _MEMBER_NAME.fullmatch(member.orig_filename) or kind not in (0, stat.S_IFREG):
            raise BackupError(f"this is not a backup of Atelier: it contains {member.orig_filename[:100]!r}")
    names = [member.filename for member in members]
    if len(set(names)) < len(names):
        raise BackupError("this is not a backup of Atelier: it contains a file twice")
    if DATABASE_FILE not in names:
        raise BackupError(f"this is not a backup of Atelier: it contains no {DATABASE_FILE}")


def _check_disk_space(members: Iterable[zipfile.ZipInfo], folder: Path) -> None:
    needed, free = sum(member.file_size for member in members), shutil.disk_usage(folder).free
    if needed > free:
        raise BackupError(f"the backup needs {needed >> 20} MiB, but only {free >> 20} MiB are free")


def _check_database(path: Path) -> int:
    """Check that the database is one of Atelier's and fail its unfinished jobs; return the number of jobs."""
    with _open_database(path) as database:
        _check_integrity(database)
        (version,) = database.execute("PRAGMA user_version").fetchone()
        scripts = read_migrations()
        if version > len(scripts):
            raise BackupError(
                f"the backup has version {version}, this program supports {len(scripts)}: update the program first"
            )
        with closing(sqlite3.connect(":memory:")) as blank:
            blank.executescript("".join(scripts[:version]))
            if version < 1 or _schema(database) != _schema(blank):
                raise BackupError("this is not a backup of Atelier: its database has another schema")
        # The bot may have posted their results after the backup was made; they must not be posted twice.
        database.execute(
            "UPDATE jobs SET state = 'failed', ending = ?, ended_at = ? WHERE state IN ('waiting', 'drawing')",
            (RESTORED_MESSAGE, time.time()),
        )
        if _has_sessions(database):  # people have gone on without the bot: it only says that the session ends
            database.execute(
                "UPDATE collab_sessions SET phase = ?, due_at = 0 WHERE ended_at IS NULL", (RESTORED_PHASE,)
            )
            # Earlier backups gave a token to pictures that a telephone keeps to itself: they would be posted.
            database.execute(
                """UPDATE jobs SET token = '' WHERE state = 'drawn' AND private = 1
                   AND id IN (SELECT job_id FROM collab_rounds)"""
            )
        database.execute("DELETE FROM memos WHERE name = 'commands'")  # other commands may have been synced since
        database.commit()
        return _count_jobs(database)


def _check_integrity(database: sqlite3.Connection) -> None:
    ((first, *_), *_) = database.execute("PRAGMA integrity_check(1)").fetchall()
    if first != "ok":
        raise sqlite3.DatabaseError(first)


def _schema(database: sqlite3.Connection) -> set[tuple[str, ...]]:
    """Return the type and name of every object in a database, and the columns of its tables."""
    objects = database.execute(
        "SELECT type, name, tbl_name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
    ).fetchall()
    columns = [
        ("column", table, *map(str, column))
        for kind, table, _ in objects
        if kind == "table"
        for column in database.execute("SELECT name, type FROM pragma_table_info(?)", (table,))
    ]
    return {*objects, *columns}


def _has_sessions(database: sqlite3.Connection) -> bool:
    """Return whether the backup is recent enough to know collaborative sessions."""
    query = "SELECT 1 FROM sqlite_master WHERE name = 'collab_sessions'"
    return database.execute(query).fetchone() is not None


def _count_jobs(database: sqlite3.Connection) -> int:
    return int(database.execute("SELECT count(*) FROM jobs").fetchone()[0])


def _remove_stale_staging(data_dir: Path) -> None:
    """Delete the files that an interrupted restore had unpacked."""
    for stale in data_dir.glob(f"{_STAGING_PREFIX}*"):
        shutil.rmtree(stale)


def _move_existing(data_dir: Path, existing: Iterable[Path]) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    target = data_dir.resolve().with_name(f"{data_dir.resolve().name}.before-{stamp}")
    target.mkdir()
    try:
        for path in existing:
            path.rename(target / path.name)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        target.rmdir()
        raise BackupError(f"{data_dir} is a mount point: move its contents away by hand, then restore") from None
    return target


def _install(staging: Path, data_dir: Path) -> None:
    """Move everything to its place: the database last, because it marks the folder as complete."""
    for path in sorted(staging.iterdir(), key=lambda path: path.name == DATABASE_FILE):
        path.rename(data_dir / path.name)
    if hasattr(os, "sync"):  # not on Windows, which writes them within seconds
        os.sync()


@contextmanager
def _open_database(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, timeout=10)) as database:
        database.execute("PRAGMA trusted_schema = OFF")
        yield database
