"""The index of posted pictures: who may be shown each, its words, and the fingerprints of its tiles."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from db.connection import Connection, Statement
from generation.params import Tile

WORDS_BELOW, FINGERPRINTS_BELOW = "words_below", "fingerprints_below"  # names in memos
CHUNK = 5_000  # rows read at a time, so that other statements come between
OUTLINE_BYTES, VECTOR_BYTES = 24, 192  # of a tile

TO_INDEX = "SELECT job_id FROM to_index ORDER BY job_id LIMIT :most"
OLDER_JOBS = """
    SELECT rowid AS row, id FROM jobs WHERE rowid < :below ORDER BY rowid DESC LIMIT :most
"""
IS_SHOWN = "SELECT job_id, guild_id, channel_id, thread_id, person_id FROM shown WHERE job_id = :job"
OUTLINES = """
    SELECT id, job_id, channel_id, person_id, outlines FROM fingerprints WHERE id > :after ORDER BY id LIMIT :most
"""
OUTLINES_OF_JOBS = """
    SELECT id, job_id, channel_id, person_id, outlines FROM fingerprints
    WHERE job_id IN (SELECT value FROM json_each(:jobs))
"""
CHANGES = "SELECT number, job_id, gone FROM outline_changes WHERE number > 0 ORDER BY number LIMIT :most"
SET_STAMP = """
    INSERT INTO memos (name, value) VALUES ('outlines', :stamp) ON CONFLICT (name) DO UPDATE SET value = :stamp
"""
# A job of nobody is that of somebody who had everything erased, but left the picture in a contest.
_IS_KEPT = "EXISTS (SELECT 1 FROM jobs WHERE id = :job AND asker_id <> 0 AND deleted_at IS NULL)"
_INSERT_SHOWN = f":job, :guild, :channel, :thread, :person, :at WHERE {_IS_KEPT}"
INSERT_NEWER = f"""
    INSERT OR IGNORE INTO shown (id, job_id, guild_id, channel_id, thread_id, person_id, at)
    SELECT (SELECT max(0, coalesce(max(id), 0)) + 1 FROM shown), {_INSERT_SHOWN}
"""
INSERT_OLDER = f"""
    INSERT OR IGNORE INTO shown (id, job_id, guild_id, channel_id, thread_id, person_id, at)
    SELECT (SELECT min(0, coalesce(min(id), 0)) - 1 FROM shown), {_INSERT_SHOWN}
"""
VECTORS_OF_JOBS = """
    SELECT job_id, guild_id, channel_id, person_id, vectors FROM fingerprints
    WHERE job_id IN (SELECT value FROM json_each(:jobs))
"""
VECTORS_OF_JOB = "SELECT vectors FROM fingerprints WHERE job_id = :job"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPicture:
    """A result that its channel shows; `thread_id` is the public thread inside it, if the result is in one."""

    job_id: str
    guild_id: int
    channel_id: int
    person_id: int
    thread_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The words by which a result is found."""

    author: str
    model: str
    prompt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprints:
    """The fingerprints of a job's tiles; `guild_id` is None if only the requester may see them."""

    job_id: str
    guild_id: int | None
    channel_id: int
    person_id: int
    outlines: bytes
    vectors: bytes


class Outlines(NamedTuple):
    """The outlines of a job's tiles; a million of them may be read at once."""

    id: int
    job_id: str
    channel_id: int
    person_id: int
    outlines: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlineChanges:
    """Jobs whose fingerprints were added or deleted since the file of outlines was told, up to a number."""

    number: int
    come: Sequence[Outlines]
    gone: Sequence[str]


class PictureIndex:
    """Write and read the index of pictures. A deleted job's rows are deleted by triggers."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def pending(self, limit: int) -> list[str]:
        """Return the ids of posted jobs that are not in the index."""
        return [row["job_id"] for row in await self._connection.fetch_all(TO_INDEX, {"most": limit})]

    async def older_jobs(self, below: int, limit: int) -> list[tuple[int, str]]:
        """Return the jobs stored before row `below`, the newest first, as rows and ids."""
        rows = await self._connection.fetch_all(OLDER_JOBS, {"below": below, "most": limit})
        return [(row["row"], row["id"]) for row in rows]

    async def add(self, job_id: str, shown: Sequence[Statement], fingerprints: Fingerprints | None) -> None:
        """Add a posted job, and count it as done; `shown` comes from `shown_statements`."""
        statements = [*shown, *([_insert_fingerprints(fingerprints)] if fingerprints else [])]
        done: Statement = ("DELETE FROM to_index WHERE job_id = :job", {"job": job_id})
        await self._connection.write_atomically(*statements, done)

    async def add_older(self, statements: Sequence[Statement], name: str, below: int) -> None:
        """Add older jobs with the statements of `shown_statements`, and record how far that went."""
        await self._connection.write_atomically(*statements, _set_progress(name, below))

    async def add_older_fingerprints(self, found: Fingerprints | None, below: int) -> None:
        """Add the fingerprints of an older job, and record how far that went."""
        statements = [_insert_fingerprints(found)] if found else []
        await self._connection.write_atomically(*statements, _set_progress(FINGERPRINTS_BELOW, below))

    async def below(self, name: str) -> int:
        """Return the row of jobs below which older ones are still to be added; 0 if all are."""
        rows = await self._connection.fetch_all("SELECT value FROM memos WHERE name = :name", {"name": name})
        return int(rows[0]["value"]) if rows else 0

    async def find_shown(self, job_id: str) -> ShownPicture | None:
        """Return where a result is shown; None for private, deleted and unknown ones."""
        rows = await self._connection.fetch_all(IS_SHOWN, {"job": job_id})
        return ShownPicture(**dict(rows[0])) if rows else None

    async def index_again(self, job_id: str) -> None:
        """Make the fingerprints of a job anew: its picture has changed."""
        await self._connection.write_atomically(
            ("DELETE FROM fingerprints WHERE job_id = :job", {"job": job_id}),
            ("INSERT OR IGNORE INTO to_index SELECT id FROM jobs WHERE id = :job", {"job": job_id}),
        )

    async def forget_thread(self, thread_id: int) -> None:
        """Remove the pictures of a deleted thread."""
        await self._connection.write_atomically(
            (
                """DELETE FROM fingerprints
                   WHERE job_id IN (SELECT job_id FROM shown WHERE thread_id IS NOT NULL AND thread_id = :thread)""",
                {"thread": thread_id},
            ),
            ("DELETE FROM shown WHERE thread_id IS NOT NULL AND thread_id = :thread", {"thread": thread_id}),
        )

    async def outline_changes(self) -> OutlineChanges | None:
        """Return some of the changes that the file of outlines does not have yet, the earliest first."""
        rows = await self._connection.fetch_all(CHANGES, {"most": CHUNK})
        if not rows:
            return None
        come = json.dumps([row["job_id"] for row in rows if not row["gone"]])
        found = await self._connection.fetch_all(OUTLINES_OF_JOBS, {"jobs": come})
        return OutlineChanges(
            number=rows[-1]["number"],
            come=[Outlines._make(each) for each in found],
            gone=[row["job_id"] for row in rows if row["gone"]],
        )

    async def changes_done(self, number: int, stamp: int) -> None:
        """Forget the changes up to a number: the file has them, and this stamp."""
        await self._connection.write_atomically(
            ("DELETE FROM outline_changes WHERE number <= :number", {"number": number}),
            (SET_STAMP, {"stamp": str(stamp)}),
        )

    async def outline_stamp(self) -> int:
        """Return the stamp that the file of outlines has if it is that of this database; 0 before there is one."""
        rows = await self._connection.fetch_all("SELECT value FROM memos WHERE name = 'outlines'", {})
        return int(rows[0]["value"]) if rows else 0

    async def all_outlines(self) -> AsyncIterator[list[Outlines]]:
        """Yield all outlines in chunks; later changes are those of `outline_changes` from now on."""
        await self._connection.write("DELETE FROM outline_changes", {})
        after = -1
        while rows := await self._connection.fetch_all(OUTLINES, {"after": after, "most": CHUNK}):
            yield [Outlines._make(each) for each in rows]
            after = rows[-1]["id"]

    async def vectors_of_jobs(self, job_ids: Iterable[str]) -> list[Fingerprints]:
        """Return fingerprints by the ids of jobs; those of deleted and unknown ones are left out."""
        rows = await self._connection.fetch_all(VECTORS_OF_JOBS, {"jobs": json.dumps(sorted(set(job_ids)))})
        return [Fingerprints(**dict(row), outlines=b"") for row in rows]

    async def vector(self, tile: Tile) -> bytes | None:
        """Return the fingerprint of a tile."""
        rows = await self._connection.fetch_all(VECTORS_OF_JOB, {"job": tile.job_id})
        if not rows:
            return None
        return bytes(rows[0]["vectors"][tile.index * VECTOR_BYTES :][:VECTOR_BYTES]) or None


def shown_statements(picture: ShownPicture, words: Words, at: float, *, older: bool = False) -> list[Statement]:
    """Return the statements that add a result to what is shown; repeating them changes nothing.

    An `older` one comes after all others, so those must be added the newest first.
    """
    values = {
        "job": picture.job_id,
        "guild": picture.guild_id,
        "channel": picture.channel_id,
        "thread": picture.thread_id,
        "person": picture.person_id,
        "at": at,
        "place": f"g{picture.guild_id} c{picture.channel_id}",
        "author": words.author,
        "model": words.model,
        "prompt": words.prompt,
    }
    return [
        (
            INSERT_OLDER if older else INSERT_NEWER,
            values,
        ),
        (
            """INSERT INTO shown_words (rowid, place, author, model, prompt)
               SELECT id, :place, :author, :model, :prompt FROM shown WHERE changes() > 0 AND job_id = :job""",
            values,
        ),
    ]


def _insert_fingerprints(found: Fingerprints) -> Statement:
    return (
        f"""INSERT OR IGNORE INTO fingerprints (job_id, guild_id, channel_id, person_id, outlines, vectors)
            SELECT :job, :guild, :channel, :person, :outlines, :vectors WHERE {_IS_KEPT}""",
        {
            "job": found.job_id,
            "guild": found.guild_id,
            "channel": found.channel_id,
            "person": found.person_id,
            "outlines": found.outlines,
            "vectors": found.vectors,
        },
    )


def _set_progress(name: str, below: int) -> Statement:
    return ("UPDATE memos SET value = :below WHERE name = :name", {"name": name, "below": below})
