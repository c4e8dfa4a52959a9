"""Store deferred responses, which a restart answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from db.connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferral:
    """A response "is thinking…"; `target` and `prompt` are empty unless the prompt can be edited and retried."""

    token: str
    token_expires_at: float
    person_id: int
    locale: str
    target: str = ""
    prompt: str = ""


class DeferralStore:
    """Store deferred responses in SQLite. A job that is stored with the same token takes a deferral's place."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, deferral: Deferral) -> None:
        """Store a deferral before Discord hears of it."""
        await self._connection.write(
            "INSERT INTO deferrals VALUES (:token, :token_expires_at, :person_id, :locale, :target, :prompt)",
            asdict(deferral),
        )

    async def remove(self, token: str) -> None:
        """Forget a deferral that is answered."""
        await self._connection.write("DELETE FROM deferrals WHERE token = :token", {"token": token})

    async def all(self) -> list[Deferral]:
        """Return the deferrals that are not answered."""
        return [Deferral(**dict(row)) for row in await self._connection.fetch_all("SELECT * FROM deferrals")]
