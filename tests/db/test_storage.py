"""A full disk and a locked database are waited out; other errors are raised at once."""

from __future__ import annotations

import errno
import sqlite3
from contextlib import closing

import pytest

from db.connection import Connection, UnusableDatabaseError
from db.storage import is_storage_outage, retry_until_stored

INSERT = "INSERT INTO memos VALUES (:name, :value)"


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch):
    monkeypatch.setattr("db.storage.STORAGE_PAUSES", (0.01,))


async def test_a_write_is_repeated_until_there_is_room(tmp_path):
    async with Connection.open(tmp_path / "store.sqlite3") as connection:
        (pages,) = await connection.fetch_all("PRAGMA page_count")
        await connection.fetch_all(f"PRAGMA max_page_count = {pages[0]}")
        large = {"name": "large", "value": "x" * 10**6}
        tries = 0

        async def write():
            nonlocal tries
            tries += 1
            if tries == 3:
                await connection.fetch_all("PRAGMA max_page_count = 100000")
            return await connection.write(INSERT, large)

        assert await retry_until_stored(write) == 1
    assert tries == 3


async def test_a_locked_database_is_waited_out(tmp_path):
    path = tmp_path / "store.sqlite3"
    async with Connection.open(path) as connection:
        await connection.fetch_all("PRAGMA busy_timeout = 1")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            tries = 0

            async def write():
                nonlocal tries
                tries += 1
                if tries == 3:
                    other.execute("COMMIT")
                return await connection.write(INSERT, {"name": "a", "value": "b"})

            assert await retry_until_stored(write) == 1
    assert tries == 3


async def test_another_error_is_raised_at_once(tmp_path):
    async with Connection.open(tmp_path / "store.sqlite3") as connection:
        with pytest.raises(sqlite3.OperationalError):
            await retry_until_stored(lambda: connection.write("INSERT INTO nowhere VALUES (1)", {}))
    assert not is_storage_outage(PermissionError(errno.EACCES, "no"))
    assert is_storage_outage(OSError(errno.ENOSPC, "No space left on device"))
    assert is_storage_outage(sqlite3.OperationalError("database or disk is full"))


async def test_a_start_on_a_full_disk_says_what_to_do(tmp_path, monkeypatch):
    async def configure(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("db.connection._configure", configure)
    with pytest.raises(UnusableDatabaseError, match=r"store\.sqlite3 cannot be used: .* full\. Free some space"):
        async with Connection.open(tmp_path / "store.sqlite3"):
            pass
