"""Open and migrate one SQLite connection and share it among coroutines."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiosqlite

from db.storage import is_disk_full, is_storage_outage

DATABASE_FILE = "atelier.sqlite3"  # in the data folder
MIGRATIONS = Path(__file__).parent / "migrations"

Statement = tuple[str, dict[str, Any]]


class UnusableDatabaseError(Exception):
    """The file cannot be used as the database; the text says why."""


class NewerDatabaseError(UnusableDatabaseError):
    """The database was written by a newer version of the program."""


class Connection:
    """Share one aiosqlite connection among coroutines.

    Every write is one statement or a few atomic ones, and succeeds or fails by itself. Writes that arrive while the
    disk is busy are committed together (group commit), because syncing the disk is what a commit costs.
    """

    def __init__(self, sqlite: aiosqlite.Connection) -> None:
        self._sqlite = sqlite
        self._pending: list[_PendingWrite] = []
        self._writer: asyncio.Task[None] | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, migrations: Path = MIGRATIONS) -> AsyncIterator[Connection]:
        """Open the database at `path`, creating and migrating it as needed; raises UnusableDatabaseError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        async with aiosqlite.connect(path, isolation_level=None) as sqlite:
            try:
                await _configure(sqlite, migrations)
            except sqlite3.DatabaseError as error:
                fix = ". Free some space on its disk, then start again" if is_disk_full(error) else ""
                raise UnusableDatabaseError(f"the database {path} cannot be used: {error}{fix}") from error
            connection = cls(sqlite)
            try:
                yield connection
            finally:
                if connection._writer is not None:
                    await connection._writer

    async def write(self, sql: str, values: dict[str, Any]) -> int:
        """Run one writing statement; return the number of rows it changed, once the change is on disk.

        If the caller is cancelled, the statement still runs to its end.
        """
        return await self.write_atomically((sql, values))

    async def write_atomically(self, *statements: Statement) -> int:
        """Run statements atomically; return the number of rows that the first one changed.

        A statement may use `changes()` to read the number of rows changed by the one before it.
        """
        write = _PendingWrite(statements, asyncio.get_running_loop().create_future())
        self._pending.append(write)
        if self._writer is None:
            self._writer = asyncio.create_task(self._flush_writes())
        return await write.future

    async def fetch_all(self, sql: str, values: dict[str, Any] | None = None) -> list[aiosqlite.Row]:
        """Return all rows of a reading statement."""
        return list(await self._sqlite.execute_fetchall(sql, values or {}))

    async def _flush_writes(self) -> None:
        while self._pending:
            writes, self._pending = self._pending, []
            try:
                outcomes = await self._commit(writes)
            except Exception as error:
                outcomes = [error] * len(writes)
            for write, outcome in zip(writes, outcomes, strict=True):
                write.resolve(outcome)
        self._writer = None

    async def _commit(self, writes: list[_PendingWrite]) -> list[int | Exception]:
        if len(writes) == 1:
            return [await self._commit_alone(writes[0].statements)]
        try:
            async with self._transaction():
                return [await self._execute_one_of_many(write.statements) for write in writes]
        except Exception as error:
            if is_storage_outage(error):
                raise
        # One of them is the reason, such as a text that SQLite cannot store: it must not fail the others.
        return [await self._commit_or_fail(write.statements) for write in writes]

    async def _commit_or_fail(self, statements: Sequence[Statement]) -> int | Exception:
        try:
            return await self._commit_alone(statements)
        except Exception as error:
            return error

    async def _commit_alone(self, statements: Sequence[Statement]) -> int:
        if len(statements) == 1:
            return await self._execute(statements)
        async with self._transaction():
            return await self._execute(statements)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[None]:
        await self._sqlite.execute("BEGIN IMMEDIATE")
        try:
            yield
            await self._sqlite.execute("COMMIT")
        except BaseException:
            await self._sqlite.rollback()
            raise

    async def _execute_one_of_many(self, statements: Sequence[Statement]) -> int | Exception:
        """Run one write of a transaction, which goes on if it fails: then it has changed nothing."""
        if len(statements) == 1:
            return await self._attempt(statements)
        await self._sqlite.execute("SAVEPOINT together")
        outcome = await self._attempt(statements)
        if isinstance(outcome, Exception):
            await self._sqlite.execute("ROLLBACK TO together")
        await self._sqlite.execute("RELEASE together")
        return outcome

    async def _attempt(self, statements: Sequence[Statement]) -> int | Exception:
        try:
            return await self._execute(statements)
        except sqlite3.IntegrityError as error:  # SQLite rolls back the statement that failed, and no other
            return error

    async def _execute(self, statements: Sequence[Statement]) -> int:
        """Run statements in order; return how many rows the first one changed."""
        cursors = [await self._sqlite.execute(*statement) for statement in statements]  # a write leaves none open
        return cursors[0].rowcount


@dataclass(frozen=True, slots=True, eq=False)
class _PendingWrite:
    statements: tuple[Statement, ...]
    future: asyncio.Future[int]

    def resolve(self, outcome: int | Exception) -> None:
        if self.future.done():  # the caller was cancelled
            return
        if isinstance(outcome, Exception):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)


_SETTINGS = """
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;  -- an accepted job must survive a power cut
    PRAGMA foreign_keys = ON;
    PRAGMA secure_delete = ON;  -- overwrite deleted data with zeros
    PRAGMA busy_timeout = 10000;
"""


async def _configure(sqlite: aiosqlite.Connection, migrations: Path) -> None:
    sqlite.row_factory = aiosqlite.Row
    await sqlite.executescript(_SETTINGS)
    await _migrate(sqlite, migrations)


async def _migrate(sqlite: aiosqlite.Connection, folder: Path) -> None:
    migrations = read_migrations(folder)
    if await _schema_version(sqlite) == len(migrations):
        return
    await sqlite.execute("BEGIN IMMEDIATE")  # if a script fails, closing the connection rolls this back
    # Read again, because another process may have migrated before this one got the lock.
    version = await _schema_version(sqlite)
    if version > len(migrations):
        raise NewerDatabaseError(
            f"the database has version {version}, this program supports {len(migrations)}: update the program, "
            "or give it another DATA_DIR"
        )
    for script in migrations[version:]:
        for statement in _split_statements(script):
            await sqlite.execute(statement)
    await sqlite.execute(f"PRAGMA user_version = {len(migrations)}")
    await sqlite.execute("COMMIT")


def read_migrations(folder: Path = MIGRATIONS) -> list[str]:
    """Return the migration scripts in order; the n-th one leads to schema version n."""
    return [path.read_text(encoding="utf-8") for path in sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))]


def _split_statements(script: str) -> Iterator[str]:
    # Not executescript, because it commits the open transaction first.
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    yield statement


async def _schema_version(sqlite: aiosqlite.Connection) -> int:
    ((version,),) = await sqlite.execute_fetchall("PRAGMA user_version")
    return int(version)
