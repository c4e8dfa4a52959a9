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
from generation.job import Action, Destination, Job, Requester, Speed
from generation.params import Tile, from_dict, to_dict
from generation.prompt import format_prompt


class JobState(StrEnum):
    """How far a job has come; the last three are ends."""

    WAITING = "waiting"
    RUNNING = "drawing"
    GENERATED = "drawn"
    POSTED = "answered"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """A job and what has become of it; message ids are None while, or once, there is no such message."""

    job: Job
    state: JobState
    attempts: int
    suffix: str | None
    status_message_id: int | None
    result_message_id: int | None
    end_message: str | None
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


class JobStore:
    """Keep the jobs in SQLite. Every method is safe to call from concurrent coroutines."""

    def __init__(self, connection: Connection, clock: Callable[[], float] = time.time) -> None:
        self._connection = connection
        self._clock = clock
        self._subscribers: list[Callable[[str, JobState], None]] = []

    def subscribe(self, callback: Callable[[str, JobState], None]) -> None:
        """Call `callback` with a job's id and state whenever a job has reached a state."""
        self._subscribers.append(callback)

    def unsubscribe(self, callback: Callable[[str, JobState], None]) -> None:
        """Stop calling `callback`."""
        self._subscribers.remove(callback)

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, clock: Callable[[], float] = time.time) -> AsyncIterator[JobStore]:
        """Open the store at `path`; raises UnusableDatabaseError."""
        async with Connection.open(path) as connection:
            yield cls(connection, clock)

    async def add_job(self, job: Job) -> None:
        """Accept a job: from here on nothing is lost."""
        await self._connection.write(_INSERT_JOB, _job_values(job))
        self._notify(job.id, JobState.WAITING)

    async def add_jobs(self, jobs: Sequence[Job]) -> bool:
        """Accept several jobs together, or none of them; False when their ids are taken already."""
        try:
            await self._connection.write_atomically(*((_INSERT_JOB, _job_values(job)) for job in jobs))
        except sqlite3.IntegrityError:
            return False
        for job in jobs:
            self._notify(job.id, JobState.WAITING)
        return True

    async def get(self, job_id: str) -> JobRecord | None:
        """Find a job by its id."""
        rows = await self._connection.fetch_all("SELECT * FROM jobs WHERE id = :id", {"id": job_id})
        return _record_from_row(rows[0]) if rows else None

    async def open_records(self) -> list[JobRecord]:
        """Give the jobs that still need something done, oldest first: no answer yet, or a notice left behind."""
        rows = await self._connection.fetch_all(
            """SELECT * FROM jobs WHERE state IN ('waiting', 'drawing', 'drawn')
               UNION SELECT * FROM jobs WHERE notice_id IS NOT NULL
               ORDER BY asked_at, id"""
        )
        return [_record_from_row(row) for row in rows]

    async def last_served(self) -> dict[int, float]:
        """Tell when each person last got their turn (Unix seconds)."""
        rows = await self._connection.fetch_all(LAST_SERVED)
        return {row["asker_id"]: row["at"] for row in rows}

    async def mark_running(self, job_id: str, *, served: bool = True) -> bool:
        """Note that the job has its turn, which counts as having served the person; False when it was cancelled."""
        changes = "attempts = attempts + 1" + (", started_at = :now" if served else "")
        return await self._transition(job_id, JobState.RUNNING, ("waiting", "drawing"), changes, {})

    async def undo_attempts(self) -> None:
        """Do not count the attempts under way: they end because the bot is stopped, which is no fault of the jobs."""
        # All the states of the index are named, or else SQLite would not know that it holds the one that is wanted.
        await self._connection.write(
            """UPDATE jobs SET attempts = attempts - 1
               WHERE state = 'drawing' AND state IN ('waiting', 'drawing', 'drawn')""",
            {},
        )

    async def mark_generated(
        self, job_id: str, suffix: str, seconds: float = 0.0, model: str | None = None, *, sensitive: bool = False
    ) -> bool:
        """Note that the pictures are on disk, drawn by `model`, in `seconds`; False when cancelled before."""
        return await self._transition(
            job_id,
            JobState.GENERATED,
            ("drawing",),
            "suffix = :suffix, seconds = :seconds, model = :model, sensitive = :sensitive",
            {"suffix": suffix, "seconds": seconds, "model": model, "sensitive": sensitive},
        )

    async def mark_posted(self, job_id: str, result_message_id: int) -> bool:
        """Note that the result was posted."""
        return await self._transition(
            job_id, JobState.POSTED, ("drawn",), "ended_at = :now, answer_id = :answer", {"answer": result_message_id}
        )

    async def mark_failed(self, job_id: str, end_message: str) -> bool:
        """Note that there will be no result, and what the person is told; False when the job had ended before."""
        return await self._transition(
            job_id,
            JobState.FAILED,
            ("waiting", "drawing", "drawn"),
            "ended_at = :now, ending = :ending",
            {"ending": end_message},
        )

    async def cancel(self, job_id: str, end_message: str) -> bool:
        """Cancel a job that is not yet drawn; False when it is too late."""
        return await self._transition(
            job_id,
            JobState.CANCELLED,
            ("waiting", "drawing"),
            "ended_at = :now, ending = :ending",
            {"ending": end_message},
        )

    async def set_status_message(self, job_id: str, message_id: int | None) -> None:
        """Remember the message that says where the job stands, or that it is dealt with (None)."""
        await self._connection.write(
            "UPDATE jobs SET notice_id = :notice WHERE id = :id", {"id": job_id, "notice": message_id}
        )

    async def mark_deleted(self, job_id: str) -> bool:
        """Note that a job's message and files are to go on purpose, for nobody's favourite any more.

        False when that was noted before.
        """
        changed = await self._connection.write_atomically(
            (
                "UPDATE jobs SET deleted_at = :now, removing = 1 WHERE id = :id AND deleted_at IS NULL",
                {"id": job_id, "now": self._clock()},
            ),
            ("DELETE FROM favourites WHERE job_id = :id", {"id": job_id}),
        )
        return changed == 1

    async def mark_purged(self, job_id: str) -> None:
        """Note that nothing is left of a deleted job's message and files."""
        await self._connection.write("UPDATE jobs SET removing = 0 WHERE id = :id", {"id": job_id})

    async def pending_purge(self) -> list[JobRecord]:
        """Give the jobs that somebody deleted and that may not be gone altogether."""
        return [
            _record_from_row(row) for row in await self._connection.fetch_all("SELECT * FROM jobs WHERE removing = 1")
        ]

    async def set_result_channel(self, job_id: str, channel_id: int | None) -> None:
        """Settle where a job's result is posted, when that is not where it was asked for."""
        await self._connection.write(
            "UPDATE jobs SET post_in = :channel WHERE id = :id", {"id": job_id, "channel": channel_id}
        )

    async def get_meta(self, name: str) -> str | None:
        """Recall what was noted under `name`."""
        rows = await self._connection.fetch_all("SELECT value FROM memos WHERE name = :name", {"name": name})
        return str(rows[0]["value"]) if rows else None

    async def set_meta(self, name: str, value: str) -> None:
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

    async def _transition(
        self, job_id: str, to: JobState, allowed: tuple[str, ...], changes: str, values: dict[str, str | float | None]
    ) -> bool:
        states = ", ".join(f"'{state}'" for state in allowed)
        changed = await self._connection.write(
            f"UPDATE jobs SET state = :to, {changes} WHERE id = :id AND state IN ({states})",
            {"id": job_id, "to": to, "now": self._clock(), **values},
        )
        if changed:
            self._notify(job_id, to)
        return changed == 1

    def _notify(self, job_id: str, state: JobState) -> None:
        for callback in self._subscribers:
            callback(job_id, state)


def _record_from_row(row: aiosqlite.Row) -> JobRecord:
    return JobRecord(
        job=_job_from_row(row),
        state=JobState(row["state"]),
        attempts=row["attempts"],
        suffix=row["suffix"],
        status_message_id=row["notice_id"],
        result_message_id=row["answer_id"],
        end_message=row["ending"],
        seconds=row["seconds"],
        sensitive=bool(row["sensitive"]),
    )


def _job_from_row(row: aiosqlite.Row) -> Job:
    return Job(
        id=row["id"],
        action=Action(row["action"]),
        params=from_dict(json.loads(row["params"])),
        requester=Requester(row["asker_id"], row["asker_name"]),
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


_INSERT_JOB = """
    INSERT INTO jobs (id, action, params, asker_id, asker_name, guild_id, channel_id, by_channel, token,
                      token_expires_at, upload_limit, reply_to, parent_job, parent_index, asked_at,
                      prompt, speed, private)
    VALUES (:id, :action, :params, :asker_id, :asker_name, :guild_id, :channel_id, :by_channel, :token,
            :token_expires_at, :upload_limit, :reply_to, :parent_job, :parent_index, :asked_at,
            :prompt, :speed, :private)
"""


def _job_values(job: Job) -> dict[str, Any]:
    destination = job.destination
    return {
        "id": job.id,
        "action": job.action,
        "params": json.dumps(to_dict(job.params), ensure_ascii=False),
        "asker_id": job.requester.id,
        "asker_name": job.requester.name,
        "guild_id": destination.guild_id,
        "channel_id": destination.channel_id,
        "by_channel": destination.by_channel,
        "token": destination.token,
        "token_expires_at": destination.token_expires_at,
        "upload_limit": destination.upload_limit,
        "reply_to": destination.reply_to,
        "parent_job": job.parent and job.parent.job_id,
        "parent_index": job.parent and job.parent.index,
        "asked_at": job.asked_at,
        "prompt": format_prompt(job.params, None),
        "speed": job.speed,
        "private": destination.private,
    }
