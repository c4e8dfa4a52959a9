"""Each user's result thread in a channel."""

from __future__ import annotations

from db.connection import Connection


class ThreadStore:
    """Store the threads that were created for users' results."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, person_id: int, channel_id: int) -> int | None:
        """Return the id of a user's thread in a channel."""
        rows = await self._connection.fetch_all(
            "SELECT thread_id FROM threads WHERE channel_id = :channel AND person_id = :person",
            {"channel": channel_id, "person": person_id},
        )
        return int(rows[0]["thread_id"]) if rows else None

    async def of_person(self, person_id: int) -> list[int]:
        """Return the ids of a user's threads in all channels."""
        rows = await self._connection.fetch_all(
            "SELECT thread_id FROM threads WHERE person_id = :person", {"person": person_id}
        )
        return [int(row["thread_id"]) for row in rows]

    async def save(self, person_id: int, channel_id: int, thread_id: int) -> None:
        """Store a user's thread in a channel, replacing an earlier one."""
        await self._connection.write(
            """INSERT INTO threads VALUES (:channel, :person, :thread)
               ON CONFLICT (channel_id, person_id) DO UPDATE SET thread_id = :thread""",
            {"channel": channel_id, "person": person_id, "thread": thread_id},
        )

    async def delete(self, thread_id: int) -> None:
        """Delete a thread that no longer exists."""
        await self._connection.write("DELETE FROM threads WHERE thread_id = :thread", {"thread": thread_id})
