"""One SQLite connection: opened, migrated, and shared among coroutines."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite

MIGRATIONS = Path(__file__).parent / "migrations"


class UnusableDatabaseError(Exception):
    """The file cannot be used as the database; the text says why."""


class NewerDatabaseError(UnusableDatabaseError):
    """The database was written by a newer version of the program."""


class Connection:
    """Share one aiosqlite connection among coroutines.

    Every write is one statement and commits by itself, so that no coroutine's write can end up inside, or be rolled
    back with, another's transaction.
    """

    def __init__(self, sqlite: aiosqlite.Connection) -> None:
        self._sqlite = sqlite
        self._writes: set[asyncio.Task[int]] = set()

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
                await asyncio.gather(*connection._writes, return_exceptions=True)

    async def write(self, sql: str, values: dict[str, Any]) -> int:
        """Run one writing statement and give the number of rows it changed.

        A caller that is cancelled meanwhile does not leave the statement half done: it runs to its end regardless.
        """
        write = asyncio.create_task(self._write(sql, values))
        self._writes.add(write)
        write.add_done_callback(self._writes.discard)
        return await asyncio.shield(write)

    async def rows(self, sql: str, values: dict[str, Any] | None = None) -> list[aiosqlite.Row]:
        """Give all rows of a reading statement."""
        return list(await self._sqlite.execute_fetchall(sql, values or {}))

    async def _write(self, sql: str, values: dict[str, Any]) -> int:
        async with self._sqlite.execute(sql, values) as cursor:
            return cursor.rowcount


async def _prepare(sqlite: aiosqlite.Connection, migrations: Path) -> None:
    sqlite.row_factory = aiosqlite.Row
    await sqlite.execute("PRAGMA journal_mode = WAL")
    await sqlite.execute("PRAGMA synchronous = FULL")  # an accepted job must survive a power cut
    await sqlite.execute("PRAGMA foreign_keys = ON")
    await sqlite.execute("PRAGMA busy_timeout = 10000")
    await _migrate(sqlite, migrations)


async def _migrate(sqlite: aiosqlite.Connection, folder: Path) -> None:
    scripts = _scripts(folder)
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


def _scripts(folder: Path) -> list[str]:
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
