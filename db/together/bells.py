"""Store who is told when the next round or vote of a session begins."""

from __future__ import annotations

from db.connection import Connection


class BellStore:
    """Store bells in SQLite: one row for each person who wants to be told."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def toggle(self, session_id: str, person_id: int, most: int) -> bool:
        """Switch a person's bell off, or on unless `most` people are told already; returns whether it is on now."""
        values = {"session": session_id, "person": person_id}
        removed = await self._connection.write(
            "DELETE FROM session_bells WHERE session = :session AND person = :person", values
        )
        if removed:
            return False
        added = await self._connection.write(
            """INSERT OR IGNORE INTO session_bells SELECT :session, :person
               WHERE (SELECT count(*) FROM session_bells WHERE session = :session) < :most""",
            values | {"most": most},
        )
        return added == 1

    async def is_on(self, session_id: str, person_id: int) -> bool:
        """Return whether a person wants to be told."""
        rows = await self._connection.fetch_all(
            "SELECT 1 FROM session_bells WHERE session = :session AND person = :person",
            {"session": session_id, "person": person_id},
        )
        return bool(rows)

    async def people(self, session_id: str) -> list[int]:
        """Return everybody who wants to be told."""
        rows = await self._connection.fetch_all(
            "SELECT person FROM session_bells WHERE session = :session ORDER BY person", {"session": session_id}
        )
        return [row["person"] for row in rows]
