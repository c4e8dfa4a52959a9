"""Store which images are being sent by direct message, so that a restart sends the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from db.connection import Connection


class DirectMessageKind(StrEnum):
    """What is sent. The values are stored and never change."""

    COPY = "copy"  # of the result message, to users who want every result
    IMAGES = "images"  # one message per image, on request


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectMessage:
    """The images of a job for one user; `asked_at` is in Unix seconds."""

    job_id: str
    person_id: int
    kind: DirectMessageKind
    asked_at: float


class DirectMessageStore:
    """Store direct messages in SQLite. `JobStore.mark_posted` adds copies."""

    def __init__(self, connection: Connection, clock: Callable[[], float]) -> None:
        self._connection = connection
        self._clock = clock

    async def add(self, job_id: str, person_id: int, kind: DirectMessageKind) -> DirectMessage | None:
        """Store a direct message before it is sent; returns None if the same is being sent already."""
        message = DirectMessage(job_id=job_id, person_id=person_id, kind=kind, asked_at=self._clock())
        added = await self._connection.write(
            "INSERT OR IGNORE INTO direct_messages VALUES (:job_id, :person_id, :kind, :asked_at)", asdict(message)
        )
        return message if added else None

    async def remove(self, message: DirectMessage) -> None:
        """Forget a direct message that is sent, or cannot be sent."""
        await self._connection.write(
            "DELETE FROM direct_messages WHERE job_id = :job_id AND person_id = :person_id AND kind = :kind",
            asdict(message),
        )

    async def all(self) -> list[DirectMessage]:
        """Return the direct messages that are not sent completely."""
        return [_from_row(dict(row)) for row in await self._connection.fetch_all("SELECT * FROM direct_messages")]

    async def copies(self, job_id: str) -> list[DirectMessage]:
        """Return the copies of a job's result that are not sent."""
        rows = await self._connection.fetch_all(
            "SELECT * FROM direct_messages WHERE job_id = :job AND kind = 'copy'", {"job": job_id}
        )
        return [_from_row(dict(row)) for row in rows]


def _from_row(row: dict[str, Any]) -> DirectMessage:
    return DirectMessage(
        job_id=str(row["job_id"]),
        person_id=int(row["person_id"]),
        kind=DirectMessageKind(row["kind"]),
        asked_at=float(row["asked_at"]),
    )
