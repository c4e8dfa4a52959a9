"""Store who plays a picture telephone, and find the pictures of games that ended before they were shown."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import aiosqlite

from db.connection import Connection
from db.together.sessions import SessionKind

JOIN = """
    INSERT INTO telephone_players (session, person, lot, name, roles)
    SELECT :session, :person, :lot, :name, :roles FROM collab_sessions
    WHERE id = :session AND phase = :phase AND ended_at IS NULL
      AND (SELECT count(*) FROM telephone_players WHERE session = :session) < :most
    ON CONFLICT (session, person) DO NOTHING
"""
LEAVE = """
    DELETE FROM telephone_players WHERE session = :session AND person = :person
      AND EXISTS (SELECT 1 FROM collab_sessions WHERE id = :session AND phase = :phase AND ended_at IS NULL)
"""
# Held pictures are drawn and private, and no interaction asked for them.
LEFT_OVER = """
    SELECT id FROM jobs
    WHERE state IN ('waiting', 'drawing', 'drawn') AND state = 'drawn' AND private = 1 AND token = ''
      AND NOT EXISTS (
          SELECT 1 FROM collab_rounds JOIN collab_sessions ON collab_sessions.id = collab_rounds.session
          WHERE collab_rounds.job_id = jobs.id AND collab_sessions.ended_at IS NULL)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """A player of a telephone. Turns are taken in the order of the lots."""

    session_id: str
    person_id: int
    name: str
    roles: tuple[int, ...] = ()

    @property
    def lot(self) -> str:
        """Return the player's place among the others: by a hash, so that a restart decides alike."""
        return hashlib.blake2b(f"{self.session_id}\0{self.person_id}".encode(), digest_size=8).hexdigest()


class TelephoneStore:
    """Store players in SQLite."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def join(self, player: Player, phase: str, most: int) -> bool:
        """Store a player; returns False if they play already, there are `most`, or the game is in another phase."""
        added = await self._connection.write(
            JOIN,
            {
                "session": player.session_id,
                "person": player.person_id,
                "lot": player.lot,
                "name": player.name,
                "roles": json.dumps(sorted(player.roles)),
                "phase": phase,
                "most": most,
            },
        )
        return added == 1

    async def leave(self, session_id: str, person_id: int, phase: str) -> bool:
        """Delete a player; returns False if they do not play, or the game is in another phase."""
        removed = await self._connection.write(LEAVE, {"session": session_id, "person": person_id, "phase": phase})
        return removed == 1

    async def players(self, session_id: str) -> list[Player]:
        """Return the players in the order of their turns."""
        rows = await self._connection.fetch_all(
            "SELECT * FROM telephone_players WHERE session = :session ORDER BY lot, person", {"session": session_id}
        )
        return [_player_from_row(row) for row in rows]

    async def left_over(self) -> list[str]:
        """Return the drawn jobs that a telephone has kept to itself, although it has ended."""
        return [row["id"] for row in await self._connection.fetch_all(LEFT_OVER)]

    async def playing(self, guild_id: int, person_id: int) -> list[str]:
        """Return the telephones of a guild that go on and in which a person plays."""
        rows = await self._connection.fetch_all(
            """SELECT session FROM telephone_players JOIN collab_sessions ON collab_sessions.id = session
               WHERE person = :person AND guild_id = :guild AND kind = :kind AND ended_at IS NULL""",
            {"person": person_id, "guild": guild_id, "kind": SessionKind.TELEPHONE},
        )
        return [row["session"] for row in rows]


def _player_from_row(row: aiosqlite.Row) -> Player:
    return Player(
        session_id=row["session"], person_id=row["person"], name=row["name"], roles=tuple(json.loads(row["roles"]))
    )
