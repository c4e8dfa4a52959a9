"""Store collaborative sessions; each step is one conditional UPDATE, so only one of several rivals takes it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import aiosqlite

from db.connection import Connection, Statement

ENDED = "ended"  # the last phase of every kind of session
ABANDONED = "abandoned"  # its host had everything about them erased: the session only says so and ends
RESTORED = "restored"  # after a backup was restored: the session only says so and ends


class SessionKind(StrEnum):
    """The kinds of collaborative sessions. The values are stored and never change."""

    JAM = "jam"
    CANVAS = "canvas"
    CONTEST = "contest"
    TELEPHONE = "telephone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A collaborative session: who hosts it and where, its phase, its round, and when its next step is due."""

    id: str
    kind: SessionKind
    guild_id: int
    channel_id: int
    host_id: int
    phase: str
    made_at: float
    round: int = 0
    due_at: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    thread_id: int | None = None
    message_id: int | None = None
    ended_at: float | None = None
    stale: int = 0  # how often something went that its messages show

    @property
    def place_id(self) -> int:
        """Return the channel in which the session takes place: its thread, if it has one."""
        return self.channel_id if self.thread_id is None else self.thread_id

    def step_to(self, phase: str, number: int, due_at: float | None = None) -> Move:
        """Return the step from the present phase and round to others, with the time of the step after it."""
        return Move(
            session_id=self.id,
            phase=self.phase,
            round=self.round,
            to_phase=phase,
            to_round=number,
            due_at=due_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One round of a session: its job, its message, and what was decided for it."""

    session_id: str
    number: int
    job_id: str
    message_id: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    worded_by: int | None = None  # whose words it draws


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A step of a session: from a phase and round, to a phase and round, with the time of the step after it."""

    session_id: str
    phase: str
    round: int
    to_phase: str
    to_round: int
    due_at: float | None = None


_INSERT_ROUND_IF_CHANGED = """
    INSERT INTO collab_rounds (session, round, job_id, facts, worded_by)
    SELECT :session, :round, :job, :facts, :worded_by WHERE changes() = 1
"""


_REPLACE_ROUND_IF_CHANGED = """
    UPDATE collab_rounds SET job_id = :job, facts = :facts,
           message_id = CASE WHEN job_id = :job THEN message_id END
    WHERE session = :session AND round = :round AND worded_by IS :worded_by AND changes() = 1
"""


class SessionStore:
    """Store sessions in SQLite. Every method is safe to call from concurrent coroutines."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, session: Session, most: int) -> bool:
        """Store a new session; returns False if `most` sessions go on in its channel already."""
        added = await self._connection.write(
            """INSERT INTO collab_sessions
                   (id, kind, guild_id, channel_id, host_id, phase, round, due_at, settings, made_at)
               SELECT :id, :kind, :guild, :channel, :host, :phase, :round, :due, :settings, :made
               WHERE (SELECT count(*) FROM collab_sessions
                      WHERE guild_id = :guild AND channel_id = :channel AND ended_at IS NULL
                        AND kind <> 'contest') < :most""",
            _session_values(session) | {"most": most},
        )
        return added == 1

    async def add_only(self, session: Session, first: Round) -> bool:
        """Store a new session with its first round; returns False if one of its kind goes on in its guild already."""
        added = await self._connection.write_atomically(
            (
                """INSERT INTO collab_sessions
                       (id, kind, guild_id, channel_id, host_id, phase, round, due_at, settings, made_at)
                   SELECT :id, :kind, :guild, :channel, :host, :phase, :round, :due, :settings, :made
                   WHERE NOT EXISTS (SELECT 1 FROM collab_sessions
                                     WHERE guild_id = :guild AND kind = :kind AND ended_at IS NULL)""",
                _session_values(session),
            ),
            (_INSERT_ROUND_IF_CHANGED, _round_values(first)),
        )
        return added == 1

    async def latest(self, guild_id: int, kind: SessionKind) -> Session | None:
        """Return the newest session of a kind in a guild, whether it has ended or not."""
        rows = await self._connection.fetch_all(
            """SELECT * FROM collab_sessions WHERE guild_id = :guild AND kind = :kind
               ORDER BY made_at DESC LIMIT 1""",
            {"guild": guild_id, "kind": kind},
        )
        return _session_from_row(rows[0]) if rows else None

    async def get(self, session_id: str) -> Session | None:
        """Return a session by its id."""
        rows = await self._connection.fetch_all("SELECT * FROM collab_sessions WHERE id = :id", {"id": session_id})
        return _session_from_row(rows[0]) if rows else None

    async def active(self) -> list[Session]:
        """Return all sessions that have not ended."""
        return self._sessions(
            await self._connection.fetch_all("SELECT * FROM collab_sessions WHERE ended_at IS NULL ORDER BY guild_id")
        )

    async def active_in_guild(self, guild_id: int) -> list[Session]:
        """Return the sessions of a guild that have not ended."""
        return self._sessions(
            await self._connection.fetch_all(
                "SELECT * FROM collab_sessions WHERE guild_id = :guild AND ended_at IS NULL ORDER BY channel_id, id",
                {"guild": guild_id},
            )
        )

    async def active_of_host(self, host_id: int) -> list[Session]:
        """Return the sessions of a host that have not ended."""
        return self._sessions(
            await self._connection.fetch_all(
                "SELECT * FROM collab_sessions WHERE host_id = :host AND ended_at IS NULL ORDER BY made_at",
                {"host": host_id},
            )
        )

    async def next_due(self) -> float | None:
        """Return when the next step of any session is due (Unix seconds)."""
        (row,) = await self._connection.fetch_all(
            "SELECT min(due_at) AS due_at FROM collab_sessions WHERE due_at IS NOT NULL"
        )
        return None if row["due_at"] is None else float(row["due_at"])

    async def due(self, now: float) -> list[Session]:
        """Return the sessions whose next step is due, the longest overdue first."""
        return self._sessions(
            await self._connection.fetch_all(
                "SELECT * FROM collab_sessions WHERE due_at <= :now ORDER BY due_at", {"now": now}
            )
        )

    async def move(self, move: Move, *more: Statement) -> bool:
        """Take a step, with other statements of the same transaction; returns False if a rival was faster.

        The other statements run in any case, so each must have its own condition, such as `changes() = 1` for the
        first.
        """
        changed = await self._connection.write_atomically(
            (
                """UPDATE collab_sessions SET phase = :to_phase, round = :to_round, due_at = :due
                   WHERE id = :id AND phase = :phase AND round = :round AND ended_at IS NULL""",
                _move_values(move),
            ),
            *more,
        )
        return changed == 1

    async def postpone(self, session: Session, due_at: float | None) -> bool:
        """Set another time for the next step, or none; returns False if the session has moved on."""
        changed = await self._connection.write(
            """UPDATE collab_sessions SET due_at = :due
               WHERE id = :id AND phase = :phase AND round = :round AND ended_at IS NULL""",
            {"id": session.id, "phase": session.phase, "round": session.round, "due": due_at},
        )
        return changed == 1

    async def end(self, session_id: str, now: float) -> bool:
        """End a session in any phase; returns False if it had ended already."""
        changed = await self._connection.write(
            """UPDATE collab_sessions SET phase = :ended, due_at = NULL, ended_at = :now
               WHERE id = :id AND ended_at IS NULL""",
            {"id": session_id, "ended": ENDED, "now": now},
        )
        return changed == 1

    async def stale(self) -> list[Session]:
        """Return the sessions whose messages show something that is gone."""
        return self._sessions(await self._connection.fetch_all("SELECT * FROM collab_sessions WHERE stale > 0"))

    async def set_fresh(self, session: Session) -> None:
        """Record that the messages of a stale session were drawn again, unless more went meanwhile."""
        await self._connection.write(
            "UPDATE collab_sessions SET stale = 0 WHERE id = :id AND stale = :stale",
            {"id": session.id, "stale": session.stale},
        )

    async def set_place(self, session_id: str, thread_id: int | None, message_id: int | None) -> None:
        """Store the thread and the first message of a session."""
        await self._connection.write(
            "UPDATE collab_sessions SET thread_id = :thread, message_id = :message WHERE id = :id",
            {"id": session_id, "thread": thread_id, "message": message_id},
        )

    async def add_round(self, made: Round) -> None:
        """Store which job draws a round; a later job of the same round replaces an earlier one."""
        await self._connection.write(
            """INSERT INTO collab_rounds (session, round, job_id, facts, worded_by)
               VALUES (:session, :round, :job, :facts, :worded_by)
               ON CONFLICT (session, round) DO UPDATE SET job_id = :job, facts = :facts, worded_by = :worded_by""",
            _round_values(made),
        )

    async def move_to_round(self, move: Move, made: Round) -> bool:
        """Take a step together with the round that it begins; returns False if a rival was faster."""
        return await self.move(move, (_INSERT_ROUND_IF_CHANGED, _round_values(made)))

    async def move_in_round(self, move: Move, made: Round) -> bool:
        """Take a step together with what is stored of its round; returns False if a rival was faster.

        A round that gets another job also needs another message. Nothing of somebody who was just erased is stored.
        """
        return await self.move(move, (_REPLACE_ROUND_IF_CHANGED, _round_values(made)))

    async def set_round_message(self, session_id: str, number: int, message_id: int) -> None:
        """Store the message of a round."""
        await self._connection.write(
            "UPDATE collab_rounds SET message_id = :message WHERE session = :session AND round = :round",
            {"session": session_id, "round": number, "message": message_id},
        )

    async def round(self, session_id: str, number: int) -> Round | None:
        """Return a round of a session."""
        rows = await self._connection.fetch_all(
            "SELECT * FROM collab_rounds WHERE session = :session AND round = :round",
            {"session": session_id, "round": number},
        )
        return _round_from_row(rows[0]) if rows else None

    async def rounds(self, session_id: str) -> list[Round]:
        """Return all rounds of a session in order."""
        rows = await self._connection.fetch_all(
            "SELECT * FROM collab_rounds WHERE session = :session ORDER BY round", {"session": session_id}
        )
        return [_round_from_row(row) for row in rows]

    async def find_round(self, job_id: str) -> Round | None:
        """Return the round that a job draws."""
        rows = await self._connection.fetch_all("SELECT * FROM collab_rounds WHERE job_id = :job", {"job": job_id})
        return _round_from_row(rows[0]) if rows else None

    async def people(self, session_id: str) -> set[int]:
        """Return everybody whom the messages of a session may name."""
        rows = await self._connection.fetch_all(
            """SELECT host_id AS person FROM collab_sessions WHERE id = :session
               UNION SELECT worded_by FROM collab_rounds WHERE session = :session
               UNION SELECT person FROM credits WHERE job IN (
                   SELECT job_id FROM collab_rounds WHERE session = :session)
               UNION SELECT person FROM telephone_players WHERE session = :session
               UNION SELECT person FROM session_bells WHERE session = :session""",
            {"session": session_id},
        )
        return {row["person"] for row in rows if row["person"]}

    def _sessions(self, rows: Sequence[aiosqlite.Row]) -> list[Session]:
        return [_session_from_row(row) for row in rows]


def _session_values(session: Session) -> dict[str, Any]:
    return {
        "id": session.id,
        "kind": session.kind,
        "guild": session.guild_id,
        "channel": session.channel_id,
        "host": session.host_id,
        "phase": session.phase,
        "round": session.round,
        "due": session.due_at,
        "settings": json.dumps(dict(session.settings), ensure_ascii=False),
        "made": session.made_at,
    }


def _move_values(move: Move) -> dict[str, Any]:
    return {
        "id": move.session_id,
        "phase": move.phase,
        "round": move.round,
        "to_phase": move.to_phase,
        "to_round": move.to_round,
        "due": move.due_at,
    }


def _round_values(made: Round) -> dict[str, Any]:
    return {
        "session": made.session_id,
        "round": made.number,
        "job": made.job_id,
        "facts": json.dumps(dict(made.facts), ensure_ascii=False),
        "worded_by": made.worded_by,
    }


def _session_from_row(row: aiosqlite.Row) -> Session:
    values = dict(row)
    return Session(**values | {"kind": SessionKind(row["kind"]), "settings": json.loads(row["settings"])})


def _round_from_row(row: aiosqlite.Row) -> Round:
    return Round(
        session_id=row["session"],
        number=row["round"],
        job_id=row["job_id"],
        message_id=row["message_id"],
        facts=json.loads(row["facts"]),
        worded_by=row["worded_by"],
    )
