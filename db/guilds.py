"""What the owners of a server decided, and every act of theirs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import aiosqlite

from db.connection import Connection, Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A guild's settings as plain values; `version` counts the changes to them and to the blocked words."""

    values: Mapping[str, Any]
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What an owner or a moderator did; `at` is in Unix seconds."""

    guild_id: int
    person_id: int
    act: str
    details: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Somebody who may not use the bot in a guild, until a time in Unix seconds or for good (None)."""

    guild_id: int
    person_id: int
    reason: str
    until: float | None
    by_id: int
    at: float


class Guilds:
    """Keep what holds in each guild. Every change is in the audit, in the same transaction.

    `heard` is called with every act once it is kept.
    """

    def __init__(self, connection: Connection, clock: Callable[[], float] = time.time) -> None:
        self._connection = connection
        self._clock = clock
        self.heard: Callable[[Act], object] = lambda act: None

    async def settings(self, guild_id: int) -> Stored:
        """Give a guild's settings; version 0 and no values when nobody has changed anything."""
        rows = await self._connection.rows("SELECT settings, version FROM guilds WHERE id = :id", {"id": guild_id})
        if not rows:
            return Stored(values={}, version=0)
        return Stored(values=json.loads(rows[0]["settings"]), version=rows[0]["version"])

    async def set_settings(self, act: Act, values: Mapping[str, Any], version: int) -> bool:
        """Replace the settings that had `version`; False when somebody else has changed them meanwhile."""
        changed = await self._act(
            act,
            (
                """INSERT INTO guilds (id, settings, version) SELECT :id, :settings, 1
                   WHERE :version = 0 OR EXISTS (SELECT 1 FROM guilds WHERE id = :id)
                   ON CONFLICT (id) DO UPDATE SET settings = :settings, version = version + 1
                   WHERE version = :version""",
                {"id": act.guild_id, "settings": json.dumps(values, ensure_ascii=False), "version": version},
            ),
            _audit_if_changed(act),
        )
        return changed == 1

    async def words(self, guild_id: int) -> dict[str, str]:
        """Give the blocked words and phrases with the mode of each."""
        rows = await self._connection.rows(
            "SELECT phrase, mode FROM blocked_words WHERE guild_id = :id ORDER BY phrase", {"id": guild_id}
        )
        return {row["phrase"]: row["mode"] for row in rows}

    async def block_words(self, act: Act, words: Mapping[str, str]) -> None:
        """Block words, or change their modes."""
        add = """INSERT INTO blocked_words SELECT :guild, value, :mode FROM json_each(:phrases) WHERE true
                 ON CONFLICT (guild_id, phrase) DO UPDATE SET mode = excluded.mode"""
        by_mode: dict[str, list[str]] = {}
        for phrase, mode in words.items():
            by_mode.setdefault(mode, []).append(phrase)
        await self._act(
            act,
            *(
                (add, {"guild": act.guild_id, "mode": mode, "phrases": json.dumps(phrases)})
                for mode, phrases in by_mode.items()
            ),
            _count_change(act.guild_id),
            _audit(act),
        )

    async def allow_words(self, act: Act, phrases: list[str]) -> int:
        """Block words no longer, and say how many of them were blocked."""
        remove = (
            "DELETE FROM blocked_words WHERE guild_id = :guild AND phrase IN (SELECT value FROM json_each(:phrases))"
        )
        return await self._act(
            act,
            (remove, {"guild": act.guild_id, "phrases": json.dumps(phrases)}),
            _count_change(act.guild_id),
            _audit(act),
        )

    async def block(self, act: Act, block: Block) -> None:
        """Keep somebody from using the bot; a later block takes the place of an earlier one."""
        await self._act(
            act,
            (
                """INSERT INTO blocks VALUES (:guild_id, :person_id, :reason, :until, :by_id, :at)
                   ON CONFLICT (guild_id, person_id)
                   DO UPDATE SET reason = :reason, until = :until, by_id = :by_id, at = :at""",
                asdict(block),
            ),
            _audit(act),
        )

    async def unblock(self, act: Act, person_id: int) -> bool:
        """Let somebody use the bot again; False when they were not blocked."""
        removed = await self._act(
            act,
            (
                "DELETE FROM blocks WHERE guild_id = :guild AND person_id = :person",
                {"guild": act.guild_id, "person": person_id},
            ),
            _audit_if_changed(act),
        )
        return removed == 1

    async def block_of(self, guild_id: int, person_id: int) -> Block | None:
        """Give the block that holds for somebody now."""
        rows = await self._connection.rows(
            """SELECT * FROM blocks
               WHERE guild_id = :guild AND person_id = :person AND (until IS NULL OR until > :now)""",
            {"guild": guild_id, "person": person_id, "now": self._clock()},
        )
        return Block(**dict(rows[0])) if rows else None

    async def blocks(self, guild_id: int, limit: int = 100) -> list[Block]:
        """Give the blocks that hold now, newest first."""
        rows = await self._connection.rows(
            """SELECT * FROM blocks WHERE guild_id = :guild AND (until IS NULL OR until > :now)
               ORDER BY at DESC LIMIT :limit""",
            {"guild": guild_id, "now": self._clock(), "limit": limit},
        )
        return [Block(**dict(row)) for row in rows]

    async def note(self, act: Act) -> None:
        """Put an act that changed nothing here into the audit, such as a moderator's deletion."""
        await self._act(act, _audit(act))

    async def acts(self, guild_id: int, *, skip: int = 0, limit: int = 25) -> list[Act]:
        """Give the newest acts, but for those to `skip`."""
        rows = await self._connection.rows(
            """SELECT guild_id, person_id, act, details, at FROM audit
               WHERE guild_id = :guild ORDER BY at DESC, id DESC LIMIT :limit OFFSET :skip""",
            {"guild": guild_id, "skip": skip, "limit": limit},
        )
        return [_act(row) for row in rows]

    async def _act(self, act: Act, *statements: Statement) -> int:
        changed = await self._connection.write_together(*statements)
        if changed:
            self.heard(act)
        return changed


def _act(row: aiosqlite.Row) -> Act:
    return Act(**dict(row))


def _audit(act: Act) -> Statement:
    return (
        "INSERT INTO audit (guild_id, person_id, act, details, at) VALUES (:guild_id, :person_id, :act, :details, :at)",
        asdict(act),
    )


def _audit_if_changed(act: Act) -> Statement:
    return (
        """INSERT INTO audit (guild_id, person_id, act, details, at)
           SELECT :guild_id, :person_id, :act, :details, :at WHERE changes() > 0""",
        asdict(act),
    )


def _count_change(guild_id: int) -> Statement:
    return (
        "INSERT INTO guilds VALUES (:id, '{}', 1) ON CONFLICT (id) DO UPDATE SET version = version + 1",
        {"id": guild_id},
    )
