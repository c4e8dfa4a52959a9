"""Find the telephone that a press or a command is about, and check who may take part."""

from __future__ import annotations

from dataclasses import dataclass

from bot.client import Interaction
from bot.policy.policy import PolicyDenied
from bot.policy.sessions import Participant, participant_from, require_participant
from bot.ui.i18n import tr
from cogs.together.telephone.handler import TelephoneHandler
from db.sessions import Session, SessionKind
from generation.errors import UserError


@dataclass(frozen=True, slots=True)
class FoundTelephone:
    """A telephone as a press finds it."""

    handler: TelephoneHandler
    session: Session


def handler_of(interaction: Interaction) -> TelephoneHandler:
    """Return the handler of telephones."""
    handler = interaction.client.sessions.handler(SessionKind.TELEPHONE)
    assert isinstance(handler, TelephoneHandler)
    return handler


async def find_any_telephone(interaction: Interaction, session_id: str) -> FoundTelephone:
    """Return a telephone of this server, which may have ended; raise UserError if it is not known."""
    handler = handler_of(interaction)
    session = await handler.sessions.get(session_id)
    if session is None or session.kind is not SessionKind.TELEPHONE or session.guild_id != interaction.guild_id:
        raise UserError(tr("I no longer know this telephone."))
    return FoundTelephone(handler, session)


async def find_telephone(interaction: Interaction, session_id: str) -> FoundTelephone:
    """Return a telephone of this server that goes on; raise UserError if it is not known or has ended."""
    found = await find_any_telephone(interaction, session_id)
    if found.session.ended_at is not None:
        raise UserError(tr("This telephone has ended."))
    return found


async def require_member(interaction: Interaction, session: Session) -> Participant:
    """Return who presses; raise PolicyDenied if they may not take part in this game."""
    services = interaction.client.services
    participant = participant_from(interaction, services.clock())
    await require_participant(services.policy, participant)
    role = session.settings.get("role")
    if role and role not in participant.context.role_ids and interaction.user.id != session.host_id:
        raise PolicyDenied(tr("Only {whom} may join in this telephone.", whom=f"<@&{role}>"))
    return participant
