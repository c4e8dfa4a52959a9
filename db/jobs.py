"""Store every job; each state change is one conditional UPDATE, so only one of several concurrent callers succeeds."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

import aiosqlite

from db.connection import Connection, Statement
from db.lineage import Credit, replace_credits
from db.readings import StoredReading, store_reading
from generation.job import Action, Destination, Job, Requester, Speed
from generation.params import Params, Tile, from_dict, to_dict
from generation.prompt import format_prompt
from generation.prompt.escaping import forget_texts


class JobState(StrEnum):
    """The state of a job; the last three are final. The values are stored and never change."""

    WAITING = "waiting"
    RUNNING = "drawing"  # stored as "drawing"
    GENERATED = "drawn"  # stored as "drawn": the images are on disk, the result is not posted yet
    POSTED = "answered"  # stored as "answered"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """A job and its progress; a message id is None while there is no such message."""

    job: Job
    state: JobState
    attempts: int
    suffix: str | None  # of the grid image's file name
    status_message_id: int | None  # column notice_id
    result_message_id: int | None  # column answer_id
    end_message: str | None  # column ending: why there is no result, as shown to the requester
    seconds: float | None
    sensitive: bool
    deleted: bool = False


# Steps from one requester to the next through the index: scanning every job would take too long at startup.
LAST_SERVED = """
    WITH RECURSIVE askers (id) AS (
        SELECT min(asker_id) FROM jobs
        UNION ALL SELECT (SELECT min(asker_id) FROM jobs WHERE asker_id > askers.id) FROM askers WHERE id IS NOT NULL
    )
    SELECT id AS asker_id, (SELECT max(started_at) FROM jobs WHERE asker_id = askers.id) AS at
    FROM askers WHERE at IS NOT NULL
"""


class JobStore:
    """Store jobs in SQLite. Every method is safe to call from concurrent coroutines."""

    def __init__(self, connection: Connection, clock: Callable[[], float] = time.time) -> None:
        self._connection = connection
        self._clock = clock
        self._subscribers: list[Callable[[str, JobState], None]] = []

    def subscribe(self, callback: Callable[[str, JobState], None]) -> None:
        """Call `callback` with a job's id and its new state after every state change."""
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

    async def add_job(self, job: Job, credited: Sequence[Credit] | None = None) -> None:
        """Store a new job; once this returns, the job survives a crash.

        `credited` are those who had a part in it; None credits its requester.
        """
        given = replace_credits(job.id, credited) if credited is not None else []
        await self._connection.write_atomically((_INSERT_JOB, _job_values(job)), *given)
        self._notify(job.id, JobState.WAITING)

    async def add_jobs(self, jobs: Sequence[Job]) -> bool:
        """Store several new jobs atomically; returns False and stores none if one of their ids exists already."""
        try:
            await self._connection.write_atomically(*((_INSERT_JOB, _job_values(job)) for job in jobs))
        except sqlite3.IntegrityError:
            return False
        for job in jobs:
            self._notify(job.id, JobState.WAITING)
        return True

    async def get(self, job_id: str) -> JobRecord | None:
        """Return a job by its id."""
        rows = await self._connection.fetch_all("SELECT * FROM jobs WHERE id = :id", {"id": job_id})
        return _record_from_row(rows[0]) if rows else None

    async def get_many(self, job_ids: Iterable[str]) -> dict[str, JobRecord]:
        """Return jobs by their ids; ids of unknown jobs are left out."""
        rows = await self._connection.fetch_all(
            "SELECT * FROM jobs WHERE id IN (SELECT value FROM json_each(:ids))", {"ids": json.dumps(sorted(job_ids))}
        )
        return {row["id"]: _record_from_row(row) for row in rows}

    async def open_records(self) -> list[JobRecord]:
        """Return the jobs that are not finished or still have a status message, oldest first."""
        rows = await self._connection.fetch_all(
            """SELECT * FROM jobs WHERE state IN ('waiting', 'drawing', 'drawn')
               UNION SELECT * FROM jobs WHERE notice_id IS NOT NULL
               ORDER BY asked_at, id"""
        )
        return [_record_from_row(row) for row in rows]

    async def last_served(self) -> dict[int, float]:
        """Return when a job of each requester was last started (Unix seconds), by the requester's id."""
        rows = await self._connection.fetch_all(LAST_SERVED)
        return {row["asker_id"]: row["at"] for row in rows}

    async def mark_running(self, job_id: str, *, served: bool = True) -> bool:
        """Set a job running and count an attempt; returns False if it was cancelled.

        With `served`, its requester counts as served now.
        """
        changes = "attempts = attempts + 1" + (", started_at = :now" if served else "")
        return await self._transition(job_id, JobState.RUNNING, ("waiting", "drawing"), changes, {})

    async def undo_attempts(self) -> None:
        """Uncount the attempts of running jobs: they end because the bot is stopping, not because the jobs failed."""
        # Names every state of the partial index jobs_open: SQLite uses the index only if the condition implies its own.
        await self._connection.write(
            """UPDATE jobs SET attempts = attempts - 1
               WHERE state = 'drawing' AND state IN ('waiting', 'drawing', 'drawn')""",
            {},
        )

    async def undo_attempt(self, job_id: str) -> None:
        """Uncount an attempt of a running job: its worker was lost, which says nothing about the job."""
        await self._connection.write(
            "UPDATE jobs SET attempts = attempts - 1 WHERE id = :id AND state = 'drawing'", {"id": job_id}
        )

    async def mark_generated(
        self, job_id: str, suffix: str, seconds: float = 0.0, model: str | None = None, *, sensitive: bool = False
    ) -> bool:
        """Record that the images are on disk, generated by `model` in `seconds`; returns False if it was cancelled."""
        return await self._transition(
            job_id,
            JobState.GENERATED,
            ("drawing",),
            "suffix = :suffix, seconds = :seconds, model = :model, sensitive = :sensitive",
            {"suffix": suffix, "seconds": seconds, "model": model, "sensitive": sensitive},
        )

    async def mark_read(self, job_id: str, reading: StoredReading, seconds: float, model: str) -> bool:
        """Store the result of a job that reads, which its status message is to show; False if it was cancelled."""
        return await self._transition(
            job_id,
            JobState.POSTED,
            ("drawing",),
            "ended_at = :now, answer_id = notice_id, seconds = :seconds, model = :model",
            {"seconds": seconds, "model": model},
            store_reading(job_id, reading),
        )

    async def add_seconds(self, job_id: str, seconds: float) -> None:
        """Add to the time that a job took: its film is made when it is posted already."""
        await self._connection.write(
            "UPDATE jobs SET seconds = coalesce(seconds, 0) + :seconds WHERE id = :id",
            {"id": job_id, "seconds": seconds},
        )

    async def mark_posted(self, job_id: str, result_message_id: int, copy_for: int | None = None) -> bool:
        """Record that the result was posted, and that `copy_for` is to get a copy by direct message."""
        copy = (
            """INSERT OR IGNORE INTO direct_messages
               SELECT :id, :person, 'copy', :now WHERE changes() > 0""",
            {"id": job_id, "person": copy_for, "now": self._clock()},
        )
        return await self._transition(
            job_id,
            JobState.POSTED,
            ("drawn",),
            "ended_at = :now, answer_id = :answer",
            {"answer": result_message_id},
            *((copy,) if copy_for is not None else ()),
        )

    async def mark_failed(self, job_id: str, end_message: str) -> bool:
        """Record that the job failed and the message for its requester; returns False if it had already ended."""
        return await self._transition(
            job_id,
            JobState.FAILED,
            ("waiting", "drawing", "drawn"),
            "ended_at = :now, ending = :ending",
            {"ending": end_message},
        )

    async def cancel(self, job_id: str, end_message: str) -> bool:
        """Cancel a job whose images are not generated yet; returns False if it is too late."""
        return await self._transition(
            job_id,
            JobState.CANCELLED,
            ("waiting", "drawing"),
            "ended_at = :now, ending = :ending",
            {"ending": end_message},
        )

    async def set_status_message(self, job_id: str, message_id: int | None) -> None:
        """Store the id of the job's status message (column notice_id), or None once that message is gone."""
        await self._connection.write(
            "UPDATE jobs SET notice_id = :notice WHERE id = :id", {"id": job_id, "notice": message_id}
        )

    async def mark_deleted(self, job_id: str) -> bool:
        """Mark a job as deleted, with its message and files still to be purged, and remove it from all favourites.

        Sets the columns deleted_at and removing. Returns False if the job was already marked.
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
        """Record that the message and files of a deleted job are gone (column removing)."""
        await self._connection.write("UPDATE jobs SET removing = 0 WHERE id = :id", {"id": job_id})

    async def pending_purge(self) -> list[JobRecord]:
        """Return the deleted jobs whose message or files may still exist (column removing)."""
        return [
            _record_from_row(row) for row in await self._connection.fetch_all("SELECT * FROM jobs WHERE removing = 1")
        ]

    async def release(self, job_id: str, reply_to: int | None) -> bool:
        """Let everybody see a drawn job that a session kept to itself; returns False if it is not drawn any more."""
        changed = await self._connection.write(
            "UPDATE jobs SET private = 0, reply_to = :reply WHERE id = :id AND state = 'drawn'",
            {"id": job_id, "reply": reply_to},
        )
        return changed == 1

    async def set_result_channel(self, job_id: str, channel_id: int | None) -> None:
        """Store the channel for a job's result (column post_in), if it is not the one of the request."""
        await self._connection.write(
            "UPDATE jobs SET post_in = :channel WHERE id = :id", {"id": job_id, "channel": channel_id}
        )

    async def get_meta(self, name: str) -> str | None:
        """Return the value stored under `name` in the table memos."""
        rows = await self._connection.fetch_all("SELECT value FROM memos WHERE name = :name", {"name": name})
        return str(rows[0]["value"]) if rows else None

    async def set_meta(self, name: str, value: str) -> None:
        """Store `value` under `name` in the table memos."""
        await self._connection.write(
            "INSERT INTO memos VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = :value",
            {"name": name, "value": value},
        )

    async def is_writable(self) -> bool:
        """Return whether a write succeeds, without changing anything."""
        try:
            await self._connection.write("UPDATE memos SET value = value WHERE name IS NULL", {})
        except sqlite3.Error:
            return False
        return True

    async def _transition(
        self,
        job_id: str,
        to: JobState,
        allowed: tuple[str, ...],
        changes: str,
        values: dict[str, str | float | None],
        *then: Statement,
    ) -> bool:
        states = ", ".join(f"'{state}'" for state in allowed)
        statement = f"UPDATE jobs SET state = :to, {changes} WHERE id = :id AND state IN ({states})"
        values = {"id": job_id, "to": to, "now": self._clock(), **values}
        changed = await self._connection.write_atomically((statement, values), *then)
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
        deleted=row["deleted_at"] is not None,
    )


@lru_cache(maxsize=256)  # a job is read about ten times while it is drawn and posted
def _params_from_json(text: str) -> Params:
    return from_dict(json.loads(text))


def forget_prompts() -> None:
    """Forget all prompts in this process's memory, because some of them were erased."""
    _params_from_json.cache_clear()
    forget_texts()


def _job_from_row(row: aiosqlite.Row) -> Job:
    return Job(
        id=row["id"],
        action=Action(row["action"]),
        params=_params_from_json(row["params"]),
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
        locale=row["locale"],
    )


_INSERT_JOB = """
    INSERT INTO jobs (id, action, params, asker_id, asker_name, guild_id, channel_id, by_channel, token,
                      token_expires_at, upload_limit, reply_to, parent_job, parent_index, asked_at,
                      prompt, speed, private, locale)
    VALUES (:id, :action, :params, :asker_id, :asker_name, :guild_id, :channel_id, :by_channel, :token,
            :token_expires_at, :upload_limit, :reply_to, :parent_job, :parent_index, :asked_at,
            :prompt, :speed, :private, :locale)
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
        "locale": job.locale,
    }
