"""Find the telephone that a press or a command is about, and check who may take part."""

from __future__ import annotations

from bot.client import Interaction
from bot.policy.policy import PolicyDenied
from bot.policy.sessions import Participant, participant_from, require_participant
from bot.ui.i18n import tr
from cogs.together.finding import Found, find_session
from cogs.together.telephone.handler import TelephoneHandler
from db.together.sessions import Session
from generation.errors import UserError

FoundTelephone = Found[TelephoneHandler]


async def find_any_telephone(interaction: Interaction, session_id: str) -> FoundTelephone:
    """Return a telephone of this server, which may have ended; raise UserError if it is not known."""
    handler = interaction.client.sessions.handler(TelephoneHandler)
    return await find_session(interaction, handler, session_id, tr("I no longer know this telephone."))


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
