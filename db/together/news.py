"""Store who wants to hear that others went on from their pictures, and what they have not been told yet."""

from __future__ import annotations

from dataclasses import dataclass

from db.connection import Connection

# Only what everybody in the picture's server may see, and nobody who is blocked there.
UNTOLD = """
    SELECT mine.id, count(DISTINCT theirs.asker_id) AS people
    FROM news JOIN jobs AS mine ON mine.id = news.parent_job JOIN jobs AS theirs ON theirs.id = news.child
    WHERE news.person_id = :person AND mine.deleted_at IS NULL AND theirs.asker_id <> mine.asker_id
      AND theirs.state = 'answered' AND theirs.private = 0 AND theirs.deleted_at IS NULL
      AND theirs.guild_id = mine.guild_id AND NOT EXISTS (
          SELECT 1 FROM blocks WHERE blocks.guild_id = theirs.guild_id AND blocks.person_id = theirs.asker_id
          AND (blocks.until IS NULL OR blocks.until > :now))
    GROUP BY mine.id ORDER BY people DESC, mine.asked_at DESC LIMIT :most
"""
# What is still being drawn is news later.
FORGET = """
    DELETE FROM news WHERE person_id = :person AND NOT EXISTS (
        SELECT 1 FROM jobs WHERE id = news.child AND state IN ('waiting', 'drawing', 'drawn'))
"""


@dataclass(frozen=True, slots=True)
class Continued:
    """A picture that others went on from, and how many people did."""

    job_id: str
    people: int


class NewsStore:
    """Store news in SQLite. A trigger adds it when a job is made from another one."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def toggle(self, person_id: int, now: float) -> bool:
        """Switch a person's news on or off; returns whether it is on now."""
        removed = await self._connection.write(
            "DELETE FROM news_readers WHERE person_id = :person", {"person": person_id}
        )
        if removed:
            return False
        await self._connection.write(
            "INSERT OR IGNORE INTO news_readers VALUES (:person, :now)", {"person": person_id, "now": now}
        )
        return True

    async def due(self, before: float) -> list[int]:
        """Return the people who were last told before a time and for whom there is something new."""
        rows = await self._connection.fetch_all(
            """SELECT person_id FROM news_readers WHERE told_at <= :before
               AND EXISTS (SELECT 1 FROM news WHERE news.person_id = news_readers.person_id) ORDER BY told_at""",
            {"before": before},
        )
        return [row["person_id"] for row in rows]

    async def untold(self, person_id: int, now: float, limit: int) -> list[Continued]:
        """Return a person's pictures that others went on from, those of the most people first."""
        rows = await self._connection.fetch_all(UNTOLD, {"person": person_id, "now": now, "most": limit})
        return [Continued(row["id"], row["people"]) for row in rows]

    async def mark_told(self, person_id: int, now: float) -> bool:
        """Forget what a person is told now; returns False if they no longer want to be told."""
        told = await self._connection.write_atomically(
            ("UPDATE news_readers SET told_at = :now WHERE person_id = :person", {"person": person_id, "now": now}),
            (FORGET, {"person": person_id}),
        )
        return told == 1

    async def forget(self, person_id: int) -> None:
        """Forget news that nobody is to be told, such as of a picture that was private or failed."""
        await self._connection.write(FORGET, {"person": person_id})
