"""Summarise, export and erase one user's data."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from db.connection import Connection
from db.finding.prompt_index import purge_deleted_terms
from db.jobs import forget_prompts
from db.together.sessions import ABANDONED
from db.usage import COUNTED_JOBS, JOB_SECONDS, JOBS

ERASED_PERSON_ID = 0  # replaces the id of an erased user in reports

JOB_TOTALS = """
    SELECT count(*) AS jobs, coalesce(sum(suffix IS NOT NULL AND deleted_at IS NULL), 0) AS drawn,
           min(asked_at) AS first_at, max(asked_at) AS last_at
    FROM jobs WHERE asker_id = :person
"""
UPLOAD_COUNT = "SELECT count(DISTINCT digest) AS number FROM uploads WHERE brought_by = :person"
EXPORT_QUERIES = {
    "preferences": "SELECT settings FROM preferences WHERE person_id = :person",
    "options": "SELECT name, value FROM options WHERE person_id = :person ORDER BY name",
    "favourites": "SELECT job_id, tile_index, at FROM favourites WHERE person_id = :person ORDER BY at",
    "threads": "SELECT channel_id, thread_id FROM threads WHERE person_id = :person",
    "reports": "SELECT guild_id, job_id, reason, at, outcome FROM reports WHERE person_id = :person ORDER BY id",
    "sessions": """SELECT id, kind, guild_id, channel_id, settings, made_at, ended_at
                   FROM collab_sessions WHERE host_id = :person ORDER BY made_at""",
    "ballots": "SELECT session, round, kind, choice, at FROM ballots WHERE person = :person ORDER BY at",
    "suggestions": "SELECT session, words, at FROM suggestions WHERE person = :person ORDER BY at",
    "entries": """SELECT session, job_id, tile_index, at, place FROM contest_entries
                  WHERE person = :person ORDER BY at""",
    "pieces": """SELECT session, x, y, words, job_id, tile_index, placed_at FROM canvas_pieces
                 WHERE person = :person ORDER BY number""",
    "claims": "SELECT session, x, y, words, at FROM canvas_claims WHERE person = :person ORDER BY at",
    "telephones": """SELECT session, name, roles FROM telephone_players
                     WHERE person = :person ORDER BY session""",
    "bells": "SELECT session FROM session_bells WHERE person = :person ORDER BY session",
    "news": "SELECT told_at FROM news_readers WHERE person_id = :person",
    # Parts in other people's jobs: those in one's own are in the list of jobs.
    "credits": """SELECT job, part, weight FROM credits WHERE person = :person
                  AND NOT EXISTS (SELECT 1 FROM jobs WHERE id = credits.job AND asker_id = :person)""",
    "readings": """SELECT id AS job_id, prompts, words FROM jobs JOIN readings ON readings.job_id = jobs.id
                   WHERE asker_id = :person ORDER BY asked_at""",
    "styles": "SELECT code, image, guild_id, channel_id, at, purpose FROM styles WHERE person_id = :person ORDER BY at",
    "blocks": "SELECT guild_id, reason, until, at FROM blocks WHERE person_id = :person",
}
JOBS_PAGE = """
    SELECT *, EXISTS (SELECT 1 FROM uploads WHERE job_id = jobs.id AND brought_by = :person
                      AND digest = substr(json_extract(params, '$.style'), 8)) AS brought_style,
              EXISTS (SELECT 1 FROM uploads WHERE job_id = jobs.id AND brought_by = :person
                      AND digest = substr(json_extract(params, '$.control'), 8)) AS brought_control,
              EXISTS (SELECT 1 FROM uploads WHERE job_id = jobs.id AND brought_by = :person
                      AND digest = substr(json_extract(params, '$.character'), 8)) AS brought_character
    FROM jobs WHERE asker_id = :person AND (asked_at, id) > (:at, :id) ORDER BY asked_at, id LIMIT :most
"""
UNFINISHED_JOBS = (
    "SELECT id FROM jobs WHERE state IN ('waiting', 'drawing', 'drawn') AND asker_id = :person AND asked_at <= :at"
)
JOBS_TO_ERASE = "SELECT id FROM jobs WHERE asker_id = :person AND asked_at <= :at ORDER BY asked_at LIMIT :most"
DATE_BACK_JOBS = "UPDATE jobs SET asked_at = :at WHERE asker_id = :person AND asked_at > :at"
JOB_UPLOADS = "SELECT digest FROM uploads WHERE job_id = :id"
UPLOAD_IN_USE = "SELECT 1 FROM uploads WHERE digest = :digest LIMIT 1"
LEFT_ENTRY = "SELECT 1 FROM contest_entries WHERE job_id = :id AND person = 0 LIMIT 1"
PENDING_ERASURES = "SELECT person_id, up_to FROM erasures"

_COUNTED = (
    "options",
    "favourites",
    "reports",
    "blocks",
    "sessions",
    "ballots",
    "suggestions",
    "entries",
    "pieces",
    "telephones",
)
_LEAVE_ENTRIES = "UPDATE contest_entries SET person = :erased WHERE person = :person"
_LEAVE_PIECES = "UPDATE canvas_pieces SET person = :erased, name = '' WHERE person = :person"
# Their messages show pictures, words or the name of the person.
_MARK_STALE = """
    UPDATE collab_sessions SET stale = stale + 1 WHERE id IN (
        SELECT session FROM canvas_pieces WHERE person = :person
        UNION SELECT id FROM collab_sessions WHERE host_id = :person
        UNION SELECT session FROM session_bells WHERE person = :person
        UNION SELECT session FROM collab_rounds WHERE worded_by = :person
        UNION SELECT session FROM collab_rounds WHERE job_id IN (SELECT job FROM credits WHERE person = :person)
        UNION SELECT session FROM contest_entries WHERE person = :person
        UNION SELECT session FROM contest_entries WHERE job_id IN (
            WITH RECURSIVE made (id) AS (
                SELECT id FROM jobs WHERE asker_id = :person
                UNION SELECT child FROM lineage JOIN made ON lineage.parent_job = made.id)
            SELECT id FROM made)
        UNION SELECT session FROM suggestions WHERE person = :person
        UNION SELECT session FROM telephone_players WHERE person = :person)
"""
# Words are voted for by the id of the person who offers them, and who votes for them as well.
_FORGET_VOTES_FOR_WORDS = """
    DELETE FROM ballots WHERE session IN (
        SELECT session FROM ballots WHERE person = :person UNION SELECT session FROM suggestions WHERE person = :person
    ) AND choice = CAST(:person AS TEXT)
"""
# It may be their turn in a telephone: the timer gives it to the next one.
_END_TURNS = """
    UPDATE collab_sessions SET due_at = 0 WHERE kind = 'telephone' AND phase = 'turn' AND ended_at IS NULL
      AND id IN (SELECT session FROM telephone_players WHERE person = :person)
      AND EXISTS (SELECT 1 FROM collab_rounds WHERE session = collab_sessions.id
                  AND round = collab_sessions.round AND worded_by = :person)
"""
_FORGET_WORDS_OF_ROUNDS = """
    UPDATE collab_rounds SET facts = json_remove(facts, '$.words')
    WHERE worded_by = :person
      AND EXISTS (SELECT 1 FROM collab_sessions WHERE id = collab_rounds.session AND kind IN ('telephone', 'jam'))
"""
_RECORD_ERASURE = """
    INSERT INTO erasures VALUES (:person, :up_to)
    ON CONFLICT (person_id) DO UPDATE SET up_to = max(up_to, :up_to)
"""
# The parts in sessions are read before they are deleted.
_ERASE_BEFORE_ENTRIES = (
    _RECORD_ERASURE,
    "DELETE FROM preferences WHERE person_id = :person",
    "DELETE FROM options WHERE person_id = :person",
    "DELETE FROM favourites WHERE person_id = :person",
    "DELETE FROM styles WHERE person_id = :person",
    "DELETE FROM deferrals WHERE person_id = :person AND prompt <> ''",
    "DELETE FROM direct_messages WHERE person_id = :person",
    "UPDATE reports SET person_id = :erased WHERE person_id = :person",
    _MARK_STALE,
    _FORGET_VOTES_FOR_WORDS,
    "DELETE FROM ballots WHERE person = :person",
    "DELETE FROM suggestions WHERE person = :person",
)
_ERASE_AFTER_ENTRIES = (
    "DELETE FROM canvas_claims WHERE person = :person",
    "DELETE FROM session_bells WHERE person = :person",
    "DELETE FROM news_readers WHERE person_id = :person",
    _END_TURNS,
    "DELETE FROM telephone_players WHERE person = :person",
    _FORGET_WORDS_OF_ROUNDS,
    "UPDATE collab_rounds SET worded_by = NULL WHERE worded_by = :person",
    "UPDATE credits SET person = :erased WHERE person = :person",
    # The timer ends the sessions that go on, as it ends those that a backup restored.
    "UPDATE collab_sessions SET phase = :abandoned, due_at = 0 WHERE host_id = :person AND ended_at IS NULL",
    "UPDATE collab_sessions SET host_id = :erased, settings = '{}' WHERE host_id = :person",
)
# Somebody else may have entered a picture of theirs, and left it.
_DELETE_ENTRIES = """
    DELETE FROM contest_entries WHERE person = :person OR (person = :erased AND EXISTS (
        SELECT 1 FROM jobs WHERE id = contest_entries.job_id AND asker_id = :person))
"""
_DELETE_PIECES = "DELETE FROM canvas_pieces WHERE person = :person"
# A film counts as several jobs, so it leaves as many rows.
_TALLY = f"""
    WITH RECURSIVE counted (number, jobs) AS (
        SELECT 1, {JOBS} FROM jobs WHERE id = :id
        UNION ALL SELECT number + 1, jobs FROM counted WHERE number < jobs
    )
    INSERT INTO tallies
    SELECT asker_id, guild_id, asked_at, CASE number WHEN 1 THEN {JOB_SECONDS} END FROM jobs CROSS JOIN counted
    WHERE id = :id AND guild_id IS NOT NULL AND {COUNTED_JOBS}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSummary:
    """How much data is stored about a user; `drawn` counts the jobs with images, `uploads` the user's own uploads."""

    jobs: int
    drawn: int
    first_at: float | None
    last_at: float | None
    uploads: int
    preferences: bool
    options: int
    favourites: int
    reports: int
    blocks: int
    sessions: int
    ballots: int
    suggestions: int
    entries: int
    pieces: int
    telephones: int


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position after a job, in the order in which a user's jobs were requested."""

    asked_at: float
    job_id: str


START_CURSOR = Cursor(0.0, "")


class PersonalData:
    """Access to all data stored about a user."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._subscribers: list[Callable[[int], None]] = []

    def subscribe(self, callback: Callable[[int], None]) -> None:
        """Call `callback` with the id of each person whose data are erased, at the beginning."""
        self._subscribers.append(callback)

    def unsubscribe(self, callback: Callable[[int], None]) -> None:
        """Stop calling `callback`."""
        self._subscribers.remove(callback)

    async def summary(self, person_id: int) -> DataSummary:
        """Return how much data is stored about a user."""
        person = {"person": person_id}
        (jobs,) = await self._connection.fetch_all(JOB_TOTALS, person)
        (uploads,) = await self._connection.fetch_all(UPLOAD_COUNT, person)
        rows = await self.export_rows(person_id)
        return DataSummary(
            **dict(jobs),
            uploads=uploads["number"],
            preferences=bool(rows["preferences"]),
            **{name: len(rows[name]) for name in _COUNTED},
        )

    async def export_rows(self, person_id: int) -> dict[str, list[dict[str, Any]]]:
        """Return all data but the jobs as plain values, by the names of `EXPORT_QUERIES`."""
        return {
            name: [dict(row) for row in await self._connection.fetch_all(sql, {"person": person_id})]
            for name, sql in EXPORT_QUERIES.items()
        }

    async def export_jobs(self, person_id: int, after: Cursor, limit: int) -> list[dict[str, Any]]:
        """Return a user's next jobs as plain values, oldest first, with `params` decoded and without the token."""
        values = {"person": person_id, "at": after.asked_at, "id": after.job_id, "most": limit}
        jobs = [dict(row) for row in await self._connection.fetch_all(JOBS_PAGE, values)]
        for job in jobs:
            job["params"] = json.loads(job["params"])
            del job["token"], job["token_expires_at"]
        return jobs

    async def date_back_jobs(self, person_id: int, now: float) -> None:
        """Let none of a user's jobs be from later than now (Unix seconds): the clock may have been set back since."""
        await self._connection.write(DATE_BACK_JOBS, {"person": person_id, "at": now})

    async def begin_erasure(self, person_id: int, up_to: float, *, leaves_entries: bool = False) -> None:
        """Erase all but jobs and threads, and record that the jobs requested up to a time are to be erased as well.

        With `leaves_entries`, pictures in contests and on canvases become somebody's without a name: see `is_left` and
        `leave_job`.
        """
        entries = (_LEAVE_ENTRIES, _LEAVE_PIECES) if leaves_entries else (_DELETE_ENTRIES, _DELETE_PIECES)
        person = {"person": person_id, "up_to": up_to, "erased": ERASED_PERSON_ID, "abandoned": ABANDONED}
        statements = (*_ERASE_BEFORE_ENTRIES, *entries, *_ERASE_AFTER_ENTRIES)
        await self._connection.write_atomically(*((statement, person) for statement in statements))
        for callback in self._subscribers:
            callback(person_id)

    async def pending_erasures(self) -> dict[int, float]:
        """Return the users whose jobs are still to be erased, with the time up to which they are."""
        return {row["person_id"]: row["up_to"] for row in await self._connection.fetch_all(PENDING_ERASURES)}

    async def unfinished_jobs(self, person_id: int, up_to: float) -> list[str]:
        """Return the ids of a user's jobs that are waiting, running or not posted yet."""
        return await self._ids(UNFINISHED_JOBS, person=person_id, at=up_to)

    async def jobs_to_erase(self, person_id: int, up_to: float, limit: int) -> list[str]:
        """Return the ids of a user's remaining jobs, oldest first."""
        return await self._ids(JOBS_TO_ERASE, person=person_id, at=up_to, most=limit)

    async def erase_job(self, job_id: str) -> Sequence[str]:
        """Erase a job; return the digests of its uploads that no other job uses.

        Its usage stays in the table tallies until it no longer counts towards the limits of its guild.
        """
        digests = [row["digest"] for row in await self._connection.fetch_all(JOB_UPLOADS, {"id": job_id})]
        await self._connection.write_atomically(
            (_TALLY, {"id": job_id}),
            ("DELETE FROM favourites WHERE job_id = :id", {"id": job_id}),
            ("DELETE FROM jobs WHERE id = :id", {"id": job_id}),
        )
        return await self._unused(digests)

    async def _unused(self, digests: Sequence[str]) -> list[str]:
        return [digest for digest in digests if not await self._connection.fetch_all(UPLOAD_IN_USE, {"digest": digest})]

    async def is_left(self, job_id: str) -> bool:
        """Return whether a job's picture stays in a contest without its author's name."""
        return bool(await self._connection.fetch_all(LEFT_ENTRY, {"id": job_id}))

    async def leave_job(self, job_id: str) -> Sequence[str]:
        """Keep a job without its author; return the digests of its uploads that no other job uses."""
        digests = [row["digest"] for row in await self._connection.fetch_all(JOB_UPLOADS, {"id": job_id})]
        job = {"id": job_id}
        await self._connection.write_atomically(
            (_TALLY, job),
            ("DELETE FROM uploads WHERE job_id = :id", job),
            ("DELETE FROM job_words WHERE job_words MATCH 'job_id : \"' || :id || '\"'", job),
            ("DELETE FROM to_index WHERE job_id = :id", job),
            ("DELETE FROM shown WHERE job_id = :id", job),
            ("DELETE FROM fingerprints WHERE job_id = :id", job),
            (
                """UPDATE jobs SET asker_id = 0, asker_name = '', token = '', token_expires_at = 0, answer_id = NULL
                   WHERE id = :id""",
                job,
            ),
        )
        return await self._unused(digests)

    async def end_erasure(self, person_id: int, up_to: float) -> None:
        """Purge erased prompts from the file and from memory, and record that the erasure up to a time is complete."""
        await purge_deleted_terms(self._connection)
        forget_prompts()
        values = {"person": person_id, "at": up_to}
        await self._connection.write_atomically(
            ("DELETE FROM threads WHERE person_id = :person", values),  # which are renamed by now
            ("DELETE FROM erasures WHERE person_id = :person AND up_to <= :at", values),
        )

    async def _ids(self, sql: str, **values: float) -> list[str]:
        return [row["id"] for row in await self._connection.fetch_all(sql, values)]
