"""The index of the prompts' words, which keeps what is deleted until its parts are merged."""

from __future__ import annotations

import asyncio

from db.connection import Connection

MERGE_PAGES = 100  # that are written at most before others have their turn
MERGE_INTERVAL_S = 0.02  # seconds
MAX_MERGES = 100_000

_MERGE = "INSERT INTO job_words (job_words, rank) VALUES ('merge', :pages)"


async def purge_deleted_terms(connection: Connection) -> None:
    """Merge the index in small steps, after which no word of a deleted prompt is in the file any more.

    FTS5 notes a deletion beside what is deleted, which `secure_delete` does not reach. A negative number of pages has
    all parts merged into one (https://www.sqlite.org/fts5.html#the_merge_command).
    """
    await connection.write(_MERGE, {"pages": -MERGE_PAGES})
    for _ in range(MAX_MERGES):
        before = await _total_changes(connection)
        await connection.write(_MERGE, {"pages": MERGE_PAGES})
        if await _total_changes(connection) - before < 2:  # nothing but the command itself
            return
        await asyncio.sleep(MERGE_INTERVAL_S)


async def _total_changes(connection: Connection) -> int:
    (row,) = await connection.fetch_all("SELECT total_changes() AS number")
    return int(row["number"])
