"""Find the canvas, the claim or the piece that a press is about."""

from __future__ import annotations

from dataclasses import dataclass

from bot.client import Interaction
from bot.policy.policy import PolicyDenied
from bot.policy.sessions import participant_from, require_participant
from bot.ui.i18n import tr
from cogs.together.canvas.handler import CanvasHandler
from cogs.together.canvas.messages import Standing
from cogs.together.finding import find_session
from db.together.canvases import PAINTING, Claim
from db.together.sessions import Session
from generation.errors import UserError


@dataclass(frozen=True, slots=True)
class FoundCanvas:
    """A canvas as a press finds it."""

    handler: CanvasHandler
    session: Session
    standing: Standing


@dataclass(frozen=True, slots=True)
class FoundClaim:
    """Somebody's claim as they find it."""

    handler: CanvasHandler
    session: Session
    claim: Claim


async def begin_private_answer(interaction: Interaction) -> None:
    """Begin to answer a press privately, in place of a private message that it was below."""
    if interaction.message is not None and interaction.message.flags.ephemeral:
        await interaction.response.defer()
    else:
        await interaction.response.defer(ephemeral=True, thinking=True)


async def find_canvas(interaction: Interaction, session_id: str) -> FoundCanvas:
    """Return a canvas of this server, which may be finished; raise UserError if it is not known."""
    unknown = tr("I no longer know this canvas.")
    handler = interaction.client.sessions.handler(CanvasHandler)
    session = (await find_session(interaction, handler, session_id, unknown)).session
    standing = await handler.message.standing(session)
    if standing is None:
        raise UserError(unknown)
    return FoundCanvas(handler, session, standing)


async def require_open(interaction: Interaction, session_id: str) -> FoundCanvas:
    """Return a canvas that is being painted; raise UserError if it is finished, or the person may not take part."""
    services = interaction.client.services
    await require_participant(services.policy, participant_from(interaction, services.clock()))
    found = await find_canvas(interaction, session_id)
    if found.session.ended_at is not None or found.session.phase != PAINTING:
        raise UserError(tr("This canvas is finished."))
    return found


async def require_claim(interaction: Interaction, job_id: str) -> FoundClaim:
    """Return a person's own claim; raise UserError if it has ended. It may be pressed in a direct message, too."""
    handler = interaction.client.sessions.handler(CanvasHandler)
    claim = await handler.canvases.claim_of_job(job_id)
    session = await handler.sessions.get(claim.session_id) if claim is not None else None
    if claim is None or session is None:
        raise UserError(await _why_ended(handler, job_id))
    if claim.person_id != interaction.user.id:
        raise PolicyDenied(tr("Only {whom} can choose here.", whom=f"<@{claim.person_id}>"))
    if session.ended_at is not None or session.phase != PAINTING:
        raise UserError(tr("This canvas is finished."))
    return FoundClaim(handler, session, claim)


async def _why_ended(handler: CanvasHandler, job_id: str) -> str:
    if await handler.canvases.piece_of_job(job_id) is not None:
        return tr("This piece is placed already.")
    return tr("This place is no longer yours: your time is up, or you have drawn other pictures for it.")
