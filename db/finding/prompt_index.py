"""The full-text indexes of prompts, which keep deleted words until their segments are merged."""

from __future__ import annotations

import asyncio

from db.connection import Connection

MERGE_PAGES = 100  # written at most in one step, so that other writes are not delayed
MERGE_INTERVAL_S = 0.02
MAX_MERGES = 100_000

_MERGES = (
    "INSERT INTO job_words (job_words, rank) VALUES ('merge', :pages)",
    "INSERT INTO shown_words (shown_words, rank) VALUES ('merge', :pages)",
)


async def purge_deleted_terms(connection: Connection) -> None:
    """Merge the indexes in small steps, until no word of a deleted prompt is left in the file.

    FTS5 only marks an entry as deleted, which `secure_delete` does not affect. A negative number of pages merges all
    segments into one (https://www.sqlite.org/fts5.html#the_merge_command).
    """
    for merge in _MERGES:
        await _merge(connection, merge)


async def _merge(connection: Connection, merge: str) -> None:
    await connection.write(merge, {"pages": -MERGE_PAGES})
    for _ in range(MAX_MERGES):
        before = await _total_changes(connection)
        await connection.write(merge, {"pages": MERGE_PAGES})
        if await _total_changes(connection) - before < 2:  # only the command itself, so nothing is left to merge
            return
        await asyncio.sleep(MERGE_INTERVAL_S)


async def _total_changes(connection: Connection) -> int:
    (row,) = await connection.fetch_all("SELECT total_changes() AS number")
    return int(row["number"])
