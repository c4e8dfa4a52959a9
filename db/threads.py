"""The thread of each person in a channel."""

from __future__ import annotations

from db.connection import Connection


class ThreadStore:
    """Remember threads that were made for people's results."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, person_id: int, channel_id: int) -> int | None:
        """Give the id of a person's thread in a channel."""
        rows = await self._connection.fetch_all(
            "SELECT thread_id FROM threads WHERE channel_id = :channel AND person_id = :person",
            {"channel": channel_id, "person": person_id},
        )
        return int(rows[0]["thread_id"]) if rows else None

    async def save(self, person_id: int, channel_id: int, thread_id: int) -> None:
        """Note a person's thread in a channel, in place of an earlier one."""
        await self._connection.write(
            """INSERT INTO threads VALUES (:channel, :person, :thread)
               ON CONFLICT (channel_id, person_id) DO UPDATE SET thread_id = :thread""",
            {"channel": channel_id, "person": person_id, "thread": thread_id},
        )

    async def delete(self, thread_id: int) -> None:
        """Forget a thread that is not there any more."""
        await self._connection.write("DELETE FROM threads WHERE thread_id = :thread", {"thread": thread_id})
