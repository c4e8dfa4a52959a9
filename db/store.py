"""The record of every job: each change of state is one statement that only one of several rivals can win."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import aiosqlite

from db.connection import Connection
from generation.job import Action, Asker, Destination, Job, Speed
from generation.params import Tile, from_dict, to_dict
from generation.prompt import write


class State(StrEnum):
    """How far a job has come; the last three are ends."""

    WAITING = "waiting"
    DRAWING = "drawing"
    DRAWN = "drawn"
    ANSWERED = "answered"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A job and what has become of it; message ids are None while, or once, there is no such message."""

    job: Job
    state: State
    attempts: int
    suffix: str | None
    notice_id: int | None
    answer_id: int | None
    ending: str | None
    seconds: float | None
    sensitive: bool


# From one person to the next by the index, since all jobs of all people would take too long to go through at the start.
LAST_SERVED = """
    WITH RECURSIVE askers (id) AS (
        SELECT min(asker_id) FROM jobs
        UNION ALL SELECT (SELECT min(asker_id) FROM jobs WHERE asker_id > askers.id) FROM askers WHERE id IS NOT NULL
    )
    SELECT id AS asker_id, (SELECT max(started_at) FROM jobs WHERE asker_id = askers.id) AS at
    FROM askers WHERE at IS NOT NULL
"""


class Store:
    """Keep the jobs in SQLite. Every method is safe to call from concurrent coroutines."""

    def __init__(self, connection: Connection, clock: Callable[[], float] = time.time) -> None:
        self._connection = connection
        self._clock = clock
        # Each is called with a job's id and state whenever a job has come to a state.
        self.watchers: list[Callable[[str, State], None]] = []

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, clock: Callable[[], float] = time.time) -> AsyncIterator[Store]:
        """Open the store at `path`; raises UnusableDatabaseError."""
        async with Connection.open(path) as connection:
            yield cls(connection, clock)

    async def add_job(self, job: Job) -> None:
        """Accept a job: from here on nothing is lost."""
        await self._connection.write(_ADD, _values(job))
        self._tell(job.id, State.WAITING)

    async def add_jobs(self, jobs: Sequence[Job]) -> bool:
        """Accept several jobs together, or none of them; False when their ids are taken already."""
        try:
            await self._connection.write_together(*((_ADD, _values(job)) for job in jobs))
        except sqlite3.IntegrityError:
            return False
        for job in jobs:
            self._tell(job.id, State.WAITING)
        return True

    async def record(self, job_id: str) -> Record | None:
        """Find a job by its id."""
        rows = await self._connection.rows("SELECT * FROM jobs WHERE id = :id", {"id": job_id})
        return _record(rows[0]) if rows else None

    async def open_records(self) -> list[Record]:
        """Give the jobs that still need something done, oldest first: no answer yet, or a notice left behind."""
        rows = await self._connection.rows(
            """SELECT * FROM jobs WHERE state IN ('waiting', 'drawing', 'drawn')
               UNION SELECT * FROM jobs WHERE notice_id IS NOT NULL
               ORDER BY asked_at, id"""
        )
        return [_record(row) for row in rows]

    async def last_served(self) -> dict[int, float]:
        """Tell when each person last got their turn (Unix seconds)."""
        rows = await self._connection.rows(LAST_SERVED)
        return {row["asker_id"]: row["at"] for row in rows}

    async def begin(self, job_id: str, *, served: bool = True) -> bool:
        """Note that the job has its turn, which counts as having served the person; False when it was cancelled."""
        changes = "attempts = attempts + 1" + (", started_at = :now" if served else "")
        return await self._move(job_id, State.DRAWING, ("waiting", "drawing"), changes, {})

    async def excuse(self) -> None:
        """Do not count the attempts under way: they end because the bot is stopped, which is no fault of the jobs."""
        # All the states of the index are named, or else SQLite would not know that it holds the one that is wanted.
        await self._connection.write(
            """UPDATE jobs SET attempts = attempts - 1
               WHERE state = 'drawing' AND state IN ('waiting', 'drawing', 'drawn')""",
            {},
        )

    async def drawn(
        self, job_id: str, suffix: str, seconds: float = 0.0, model: str | None = None, *, sensitive: bool = False
    ) -> bool:
        """Note that the pictures are on disk, drawn by `model`, in `seconds`; False when cancelled before."""
        return await self._move(
            job_id,
            State.DRAWN,
            ("drawing",),
            "suffix = :suffix, seconds = :seconds, model = :model, sensitive = :sensitive",
            {"suffix": suffix, "seconds": seconds, "model": model, "sensitive": sensitive},
        )

    async def answered(self, job_id: str, answer_id: int) -> bool:
        """Note that the result was posted."""
        return await self._move(
            job_id, State.ANSWERED, ("drawn",), "ended_at = :now, answer_id = :answer", {"answer": answer_id}
        )

    async def failed(self, job_id: str, ending: str) -> bool:
        """Note that there will be no result, and what the person is told; False when the job had ended before."""
        return await self._move(
            job_id,
            State.FAILED,
            ("waiting", "drawing", "drawn"),
            "ended_at = :now, ending = :ending",
            {"ending": ending},
        )

    async def cancel(self, job_id: str, ending: str) -> bool:
        """Cancel a job that is not yet drawn; False when it is too late."""
        return await self._move(
            job_id, State.CANCELLED, ("waiting", "drawing"), "ended_at = :now, ending = :ending", {"ending": ending}
        )

    async def set_notice(self, job_id: str, notice_id: int | None) -> None:
        """Remember the message that says where the job stands, or that it is dealt with (None)."""
        await self._connection.write(
            "UPDATE jobs SET notice_id = :notice WHERE id = :id", {"id": job_id, "notice": notice_id}
        )

    async def deleted(self, job_id: str) -> bool:
        """Note that a job's message and files are to go on purpose, for nobody's favourite any more.

        False when that was noted before.
        """
        changed = await self._connection.write_together(
            (
                "UPDATE jobs SET deleted_at = :now, removing = 1 WHERE id = :id AND deleted_at IS NULL",
                {"id": job_id, "now": self._clock()},
            ),
            ("DELETE FROM favourites WHERE job_id = :id", {"id": job_id}),
        )
        return changed == 1

    async def removed(self, job_id: str) -> None:
        """Note that nothing is left of a deleted job's message and files."""
        await self._connection.write("UPDATE jobs SET removing = 0 WHERE id = :id", {"id": job_id})

    async def half_deleted(self) -> list[Record]:
        """Give the jobs that somebody deleted and that may not be gone altogether."""
        return [_record(row) for row in await self._connection.rows("SELECT * FROM jobs WHERE removing = 1")]

    async def set_post_in(self, job_id: str, channel_id: int | None) -> None:
        """Settle where a job's result is posted, when that is not where it was asked for."""
        await self._connection.write(
            "UPDATE jobs SET post_in = :channel WHERE id = :id", {"id": job_id, "channel": channel_id}
        )

    async def memo(self, name: str) -> str | None:
        """Recall what was noted under `name`."""
        rows = await self._connection.rows("SELECT value FROM memos WHERE name = :name", {"name": name})
        return str(rows[0]["value"]) if rows else None

    async def set_memo(self, name: str, value: str) -> None:
        """Note `value` under `name`."""
        await self._connection.write(
            "INSERT INTO memos VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = :value",
            {"name": name, "value": value},
        )

    async def is_writable(self) -> bool:
        """Try to write, without changing anything."""
        try:
            await self._connection.write("UPDATE memos SET value = value WHERE name IS NULL", {})
        except sqlite3.Error:
            return False
        return True

    async def _move(
        self, job_id: str, to: State, allowed: tuple[str, ...], changes: str, values: dict[str, str | float | None]
    ) -> bool:
        states = ", ".join(f"'{state}'" for state in allowed)
        changed = await self._connection.write(
            f"UPDATE jobs SET state = :to, {changes} WHERE id = :id AND state IN ({states})",
            {"id": job_id, "to": to, "now": self._clock(), **values},
        )
        if changed:
            self._tell(job_id, to)
        return changed == 1

    def _tell(self, job_id: str, state: State) -> None:
        for watcher in self.watchers:
            watcher(job_id, state)


def _record(row: aiosqlite.Row) -> Record:
    return Record(
        job=_job(row),
        state=State(row["state"]),
        attempts=row["attempts"],
        suffix=row["suffix"],
        notice_id=row["notice_id"],
        answer_id=row["answer_id"],
        ending=row["ending"],
        seconds=row["seconds"],
        sensitive=bool(row["sensitive"]),
    )


def _job(row: aiosqlite.Row) -> Job:
    return Job(
        id=row["id"],
        action=Action(row["action"]),
        params=from_dict(json.loads(row["params"])),
        asker=Asker(row["asker_id"], row["asker_name"]),
        destination=Destination(
            guild_id=row["guild_id"],
            channel_id=row["channel_id"],
            by_channel=bool(row["by_channel"]),
            token=row["token"],
            token_expires_at=row["token_expires_at"],
            upload_limit=row["upload_limit"],
            reply_to=row["reply_to"],
            post_in=row["post_in"],
            private=bool(row["private"]),
        ),
        parent=Tile(row["parent_job"], row["parent_index"]) if row["parent_job"] else None,
        asked_at=row["asked_at"],
        speed=Speed(row["speed"]),
    )


_ADD = """
    INSERT INTO jobs (id, action, params, asker_id, asker_name, guild_id, channel_id, by_channel, token,
                      token_expires_at, upload_limit, reply_to, parent_job, parent_index, asked_at,
                      prompt, speed, private)
    VALUES (:id, :action, :params, :asker_id, :asker_name, :guild_id, :channel_id, :by_channel, :token,
            :token_expires_at, :upload_limit, :reply_to, :parent_job, :parent_index, :asked_at,
            :prompt, :speed, :private)
"""


def _values(job: Job) -> dict[str, Any]:
    to = job.destination
    return {
        "id": job.id,
        "action": job.action,
        "params": json.dumps(to_dict(job.params), ensure_ascii=False),
        "asker_id": job.asker.id,
        "asker_name": job.asker.name,
        "guild_id": to.guild_id,
        "channel_id": to.channel_id,
        "by_channel": to.by_channel,
        "token": to.token,
        "token_expires_at": to.token_expires_at,
        "upload_limit": to.upload_limit,
        "reply_to": to.reply_to,
        "parent_job": job.parent and job.parent.job_id,
        "parent_index": job.parent and job.parent.index,
        "asked_at": job.asked_at,
        "prompt": write(job.params, None),
        "speed": job.speed,
        "private": to.private,
    }
