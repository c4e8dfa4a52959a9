"""Find the session that a press or a command is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from bot.client import Interaction
from bot.sessions.service import SessionHandler
from db.together.sessions import Session
from generation.errors import UserError

H = TypeVar("H", bound=SessionHandler)


@dataclass(frozen=True, slots=True)
class Found(Generic[H]):
    """A session as a press finds it, and what takes its steps."""

    handler: H
    session: Session


async def find_session(interaction: Interaction, handler: H, session_id: str, unknown: str) -> Found[H]:
    """Return a session of this server, which may have ended; raise UserError with `unknown` if there is none."""
    session = await interaction.client.services.db.sessions.get(session_id)
    if session is None or session.kind is not handler.kind or session.guild_id != interaction.guild_id:
        raise UserError(unknown)
    return Found(handler, session)
