"""One SQLite connection: opened, migrated, and shared among coroutines."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiosqlite

DATABASE = "atelier.sqlite3"  # its name in the data folder
MIGRATIONS = Path(__file__).parent / "migrations"

Statement = tuple[str, dict[str, Any]]


class UnusableDatabaseError(Exception):
    """The file cannot be used as the database; the text says why."""


class NewerDatabaseError(UnusableDatabaseError):
    """The database was written by a newer version of the program."""


class Connection:
    """Share one aiosqlite connection among coroutines.

    Every write is one statement, or a few that belong together, and succeeds or fails by itself. Those that come while
    the disk is busy are committed together, since waiting for the disk is what a write costs.
    """

    def __init__(self, sqlite: aiosqlite.Connection) -> None:
        self._sqlite = sqlite
        self._waiting: list[_Write] = []
        self._writing: asyncio.Task[None] | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, migrations: Path = MIGRATIONS) -> AsyncIterator[Connection]:
        """Open the database at `path`, made and migrated as needed; raises UnusableDatabaseError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        async with aiosqlite.connect(path, isolation_level=None) as sqlite:
            try:
                await _prepare(sqlite, migrations)
            except sqlite3.DatabaseError as error:
                raise UnusableDatabaseError(f"the database {path} cannot be used: {error}") from error
            connection = cls(sqlite)
            try:
                yield connection
            finally:
                if connection._writing is not None:
                    await connection._writing

    async def write(self, sql: str, values: dict[str, Any]) -> int:
        """Run one writing statement and give the number of rows it changed, once that is on the disk.

        A caller that is cancelled meanwhile does not leave the statement half done: it runs to its end regardless.
        """
        return await self.write_together((sql, values))

    async def write_together(self, *statements: Statement) -> int:
        """Run statements that take effect all or not at all, and give the number of rows that the first changed.

        A later one may ask `changes()` what the one before it did.
        """
        write = _Write(statements, asyncio.get_running_loop().create_future())
        self._waiting.append(write)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())
        return await write.done

    async def rows(self, sql: str, values: dict[str, Any] | None = None) -> list[aiosqlite.Row]:
        """Give all rows of a reading statement."""
        return list(await self._sqlite.execute_fetchall(sql, values or {}))

    async def _write_all(self) -> None:
        while self._waiting:
            writes, self._waiting = self._waiting, []
            try:
                outcomes = await self._commit(writes)
            except Exception as error:
                outcomes = [error] * len(writes)
            for write, outcome in zip(writes, outcomes, strict=True):
                write.end(outcome)
        self._writing = None

    async def _commit(self, writes: list[_Write]) -> list[int | Exception]:
        if len(writes) == 1 and len(writes[0].statements) == 1:
            return [await self._run(writes[0])]
        await self._sqlite.execute("BEGIN IMMEDIATE")
        try:
            outcomes = [await self._run(write) for write in writes]
            await self._sqlite.execute("COMMIT")
        except BaseException:
            await self._sqlite.rollback()
            raise
        return outcomes

    async def _run(self, write: _Write) -> int | Exception:
        if len(write.statements) == 1:
            return await self._execute(write.statements[0])
        await self._sqlite.execute("SAVEPOINT together")
        outcomes = []
        for statement in write.statements:
            outcomes.append(outcome := await self._execute(statement))
            if isinstance(outcome, Exception):
                await self._sqlite.execute("ROLLBACK TO together")
                break
        await self._sqlite.execute("RELEASE together")
        return outcomes[-1] if isinstance(outcomes[-1], Exception) else outcomes[0]

    async def _execute(self, statement: Statement) -> int | Exception:
        try:
            async with self._sqlite.execute(*statement) as cursor:
                return cursor.rowcount
        except sqlite3.IntegrityError as error:  # undoes this statement only
            return error


@dataclass(frozen=True, slots=True, eq=False)
class _Write:
    statements: tuple[Statement, ...]
    done: asyncio.Future[int]

    def end(self, outcome: int | Exception) -> None:
        if self.done.done():  # the caller was cancelled
            return
        if isinstance(outcome, Exception):
            self.done.set_exception(outcome)
        else:
            self.done.set_result(outcome)


async def _prepare(sqlite: aiosqlite.Connection, migrations: Path) -> None:
    sqlite.row_factory = aiosqlite.Row
    await sqlite.execute("PRAGMA journal_mode = WAL")
    await sqlite.execute("PRAGMA synchronous = FULL")  # an accepted job must survive a power cut
    await sqlite.execute("PRAGMA foreign_keys = ON")
    await sqlite.execute("PRAGMA secure_delete = ON")  # what is deleted can be read no more
    await sqlite.execute("PRAGMA busy_timeout = 10000")
    await _migrate(sqlite, migrations)


async def _migrate(sqlite: aiosqlite.Connection, folder: Path) -> None:
    scripts = read_scripts(folder)
    if await _version(sqlite) == len(scripts):
        return
    await sqlite.execute("BEGIN IMMEDIATE")  # undone by closing the connection, should a script fail
    version = await _version(sqlite)  # again, since another process may have migrated before this one got the lock
    if version > len(scripts):
        raise NewerDatabaseError(
            f"the database has version {version}, this program knows {len(scripts)}: update the program, "
            "or give it another DATA_DIR"
        )
    for script in scripts[version:]:
        for statement in _statements(script):
            await sqlite.execute(statement)
    await sqlite.execute(f"PRAGMA user_version = {len(scripts)}")
    await sqlite.execute("COMMIT")


def read_scripts(folder: Path = MIGRATIONS) -> list[str]:
    """Give the migrations; the n-th leads to version n."""
    return [path.read_text(encoding="utf-8") for path in sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))]


def _statements(script: str) -> Iterator[str]:
    # executescript would do, if it did not commit the open transaction first.
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    yield statement


async def _version(sqlite: aiosqlite.Connection) -> int:
    async with sqlite.execute("PRAGMA user_version") as cursor:
        row = await cursor.fetchone()
    return int(row[0]) if row else 0
