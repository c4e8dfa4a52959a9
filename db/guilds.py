"""Guild settings, blocked words, blocked users, and the audit log of every change to them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import aiosqlite

from db.connection import Connection, Statement

_BLOCK = """
    INSERT INTO blocks VALUES (:guild_id, :person_id, :reason, :until, :by_id, :at)
    ON CONFLICT (guild_id, person_id) DO UPDATE SET reason = :reason, until = :until, by_id = :by_id, at = :at
"""
# Messages name them, or show what they drew. A contest that was decided stays as it is.
_MARK_STALE = """
    UPDATE collab_sessions SET stale = stale + 1 WHERE guild_id = :guild_id AND id IN (
        SELECT session FROM canvas_pieces WHERE person = :person_id
        UNION SELECT session FROM collab_rounds WHERE worded_by = :person_id
        UNION SELECT session FROM collab_rounds WHERE job_id IN (SELECT job FROM credits WHERE person = :person_id)
        UNION SELECT session FROM suggestions WHERE person = :person_id
        UNION SELECT session FROM telephone_players WHERE person = :person_id)
"""
# It may be their turn in a telephone: the timer gives it to the next one.
_END_TURNS = """
    UPDATE collab_sessions SET due_at = 0
    WHERE kind = 'telephone' AND phase = 'turn' AND guild_id = :guild_id AND ended_at IS NULL
      AND id IN (SELECT session FROM telephone_players WHERE person = :person_id)
      AND EXISTS (SELECT 1 FROM collab_rounds WHERE session = collab_sessions.id
                  AND round = collab_sessions.round AND worded_by = :person_id)
"""
_OPEN_SESSIONS = "SELECT id FROM collab_sessions WHERE guild_id = :guild_id AND ended_at IS NULL"
# The first ones read what the others delete.
_BLOCK_STATEMENTS = (
    _BLOCK,
    _MARK_STALE,
    _END_TURNS,
    f"DELETE FROM ballots WHERE person = :person_id AND session IN ({_OPEN_SESSIONS})",
    f"DELETE FROM contest_entries WHERE person = :person_id AND session IN ({_OPEN_SESSIONS})",
    f"DELETE FROM telephone_players WHERE person = :person_id AND session IN ({_OPEN_SESSIONS})",
    f"DELETE FROM canvas_claims WHERE person = :person_id AND session IN ({_OPEN_SESSIONS})",
    f"DELETE FROM session_bells WHERE person = :person_id AND session IN ({_OPEN_SESSIONS})",
    f"DELETE FROM suggestions WHERE person = :person_id AND session IN ({_OPEN_SESSIONS})",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionedSettings:
    """A guild's settings as plain values; `version` counts changes to the settings and the blocked words."""

    values: Mapping[str, Any]
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """An action of a server owner or moderator; the fields are columns of the table audit, `at` in Unix seconds."""

    guild_id: int
    person_id: int
    act: str
    details: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A user who may not use the bot in a guild until a time in Unix seconds, or permanently (None)."""

    guild_id: int
    person_id: int
    reason: str
    until: float | None
    by_id: int
    at: float


class GuildStore:
    """Store each guild's settings and blocks. Every change is written with its audit entry, in one transaction."""

    def __init__(self, connection: Connection, clock: Callable[[], float] = time.time) -> None:
        self._connection = connection
        self._clock = clock
        self._subscribers: list[Callable[[AuditEntry], object]] = []

    def subscribe(self, callback: Callable[[AuditEntry], object]) -> None:
        """Call `callback` with every audit entry once it is stored."""
        self._subscribers.append(callback)

    def unsubscribe(self, callback: Callable[[AuditEntry], object]) -> None:
        """Stop calling `callback`."""
        self._subscribers.remove(callback)

    async def settings(self, guild_id: int) -> VersionedSettings:
        """Return a guild's settings; version 0 and no values if nothing was ever changed."""
        rows = await self._connection.fetch_all("SELECT settings, version FROM guilds WHERE id = :id", {"id": guild_id})
        if not rows:
            return VersionedSettings(values={}, version=0)
        return VersionedSettings(values=json.loads(rows[0]["settings"]), version=rows[0]["version"])

    async def set_settings(self, entry: AuditEntry, values: Mapping[str, Any], version: int) -> bool:
        """Replace the settings if they still have `version`; returns False if they were changed in the meantime."""
        changed = await self._write_audited(
            entry,
            (
                """INSERT INTO guilds (id, settings, version) SELECT :id, :settings, 1
                   WHERE :version = 0 OR EXISTS (SELECT 1 FROM guilds WHERE id = :id)
                   ON CONFLICT (id) DO UPDATE SET settings = :settings, version = version + 1
                   WHERE version = :version""",
                {"id": entry.guild_id, "settings": json.dumps(values, ensure_ascii=False), "version": version},
            ),
            _insert_audit_if_changed(entry),
        )
        return changed == 1

    async def blocked_words(self, guild_id: int) -> dict[str, str]:
        """Return the blocked words and phrases with the mode of each."""
        rows = await self._connection.fetch_all(
            "SELECT phrase, mode FROM blocked_words WHERE guild_id = :id ORDER BY phrase", {"id": guild_id}
        )
        return {row["phrase"]: row["mode"] for row in rows}

    async def block_words(self, entry: AuditEntry, words: Mapping[str, str]) -> None:
        """Block words, or change the modes of blocked ones."""
        add = """INSERT INTO blocked_words SELECT :guild, value, :mode FROM json_each(:phrases) WHERE true
                 ON CONFLICT (guild_id, phrase) DO UPDATE SET mode = excluded.mode"""
        by_mode: dict[str, list[str]] = {}
        for phrase, mode in words.items():
            by_mode.setdefault(mode, []).append(phrase)
        await self._write_audited(
            entry,
            *(
                (add, {"guild": entry.guild_id, "mode": mode, "phrases": json.dumps(phrases)})
                for mode, phrases in by_mode.items()
            ),
            _increment_version(entry.guild_id),
            _insert_audit(entry),
        )

    async def unblock_words(self, entry: AuditEntry, phrases: list[str]) -> int:
        """Unblock words; return how many of them were blocked."""
        remove = (
            "DELETE FROM blocked_words WHERE guild_id = :guild AND phrase IN (SELECT value FROM json_each(:phrases))"
        )
        return await self._write_audited(
            entry,
            (remove, {"guild": entry.guild_id, "phrases": json.dumps(phrases)}),
            _increment_version(entry.guild_id),
            _insert_audit(entry),
        )

    async def block(self, entry: AuditEntry, block: Block) -> None:
        """Block a user; a later block replaces an earlier one.

        What they have voted, suggested, entered and claimed in sessions that go on is dropped: they have no say any
        more.
        """
        statements = [(statement, asdict(block)) for statement in _BLOCK_STATEMENTS]
        await self._write_audited(entry, *statements, _insert_audit(entry))

    async def unblock(self, entry: AuditEntry, person_id: int) -> bool:
        """Unblock a user; returns False if they were not blocked."""
        removed = await self._write_audited(
            entry,
            (
                "DELETE FROM blocks WHERE guild_id = :guild AND person_id = :person",
                {"guild": entry.guild_id, "person": person_id},
            ),
            _insert_audit_if_changed(entry),
        )
        return removed == 1

    async def active_block(self, guild_id: int, person_id: int) -> Block | None:
        """Return a user's block if it has not expired."""
        rows = await self._connection.fetch_all(
            """SELECT * FROM blocks
               WHERE guild_id = :guild AND person_id = :person AND (until IS NULL OR until > :now)""",
            {"guild": guild_id, "person": person_id, "now": self._clock()},
        )
        return Block(**dict(rows[0])) if rows else None

    async def active_blocks(self, guild_id: int, limit: int = 100) -> list[Block]:
        """Return the blocks that have not expired, newest first."""
        rows = await self._connection.fetch_all(
            """SELECT * FROM blocks WHERE guild_id = :guild AND (until IS NULL OR until > :now)
               ORDER BY at DESC LIMIT :limit""",
            {"guild": guild_id, "now": self._clock(), "limit": limit},
        )
        return [Block(**dict(row)) for row in rows]

    async def blocked_among(self, guild_id: int, person_ids: Iterable[int]) -> set[int]:
        """Return those of some people who are blocked."""
        rows = await self._connection.fetch_all(
            """SELECT person_id FROM blocks WHERE guild_id = :guild AND (until IS NULL OR until > :now)
               AND person_id IN (SELECT value FROM json_each(:people))""",
            {"guild": guild_id, "now": self._clock(), "people": json.dumps(sorted(set(person_ids)))},
        )
        return {row["person_id"] for row in rows}

    async def add_audit_entry(self, entry: AuditEntry) -> None:
        """Write an audit entry for an action that changes no table of this store, such as a moderator's deletion."""
        await self._write_audited(entry, _insert_audit(entry))

    async def audit_entries(self, guild_id: int, *, offset: int = 0, limit: int = 25) -> list[AuditEntry]:
        """Return audit entries, newest first, after skipping `offset` of them."""
        rows = await self._connection.fetch_all(
            """SELECT guild_id, person_id, act, details, at FROM audit
               WHERE guild_id = :guild ORDER BY at DESC, id DESC LIMIT :limit OFFSET :skip""",
            {"guild": guild_id, "skip": offset, "limit": limit},
        )
        return [_entry_from_row(row) for row in rows]

    async def _write_audited(self, entry: AuditEntry, *statements: Statement) -> int:
        changed = await self._connection.write_atomically(*statements)
        if changed:
            for callback in self._subscribers:
                callback(entry)
        return changed


def _entry_from_row(row: aiosqlite.Row) -> AuditEntry:
    return AuditEntry(**dict(row))


def _insert_audit(entry: AuditEntry) -> Statement:
    return (
        "INSERT INTO audit (guild_id, person_id, act, details, at) VALUES (:guild_id, :person_id, :act, :details, :at)",
        asdict(entry),
    )


def _insert_audit_if_changed(entry: AuditEntry) -> Statement:
    return (
        """INSERT INTO audit (guild_id, person_id, act, details, at)
           SELECT :guild_id, :person_id, :act, :details, :at WHERE changes() > 0""",
        asdict(entry),
    )


def _increment_version(guild_id: int) -> Statement:
    return (
        "INSERT INTO guilds VALUES (:id, '{}', 1) ON CONFLICT (id) DO UPDATE SET version = version + 1",
        {"id": guild_id},
    )
