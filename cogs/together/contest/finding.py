"""Find the contest that a press or a command is about."""

from __future__ import annotations

import discord

from bot.client import Interaction
from bot.ui.i18n import tr
from cogs.together.contest.handler import ContestHandler
from cogs.together.finding import Found, find_session
from db.together.sessions import Session
from generation.errors import UserError

FoundContest = Found[ContestHandler]


async def find_contest(interaction: Interaction, session_id: str) -> FoundContest:
    """Return a contest of this server; raise UserError if it is not known or has ended."""
    found = await find_any_contest(interaction, session_id)
    if found.session.ended_at is not None:
        raise UserError(tr("This contest has ended."))
    return found


async def find_any_contest(interaction: Interaction, session_id: str) -> FoundContest:
    """Return a contest of this server, which may have ended; raise UserError if it is not known."""
    handler = interaction.client.sessions.handler(ContestHandler)
    return await find_session(interaction, handler, session_id, tr("I no longer know this contest."))


def _can_see(interaction: Interaction, session: Session) -> bool:
    """Return whether the person can see the channel of a contest: a command can be used in any other."""
    channel = interaction.guild.get_channel(session.channel_id) if interaction.guild else None
    member = interaction.user
    return channel is not None and isinstance(member, discord.Member) and channel.permissions_for(member).view_channel


async def require_current(interaction: Interaction) -> FoundContest:
    """Return the contest that goes on in this server; raise UserError if there is none."""
    handler = interaction.client.sessions.handler(ContestHandler)
    session = await handler.current(interaction.guild_id) if interaction.guild_id else None
    if session is None or not _can_see(interaction, session):
        raise UserError(tr("There is no contest here. Server owners begin one with `/config contest`."))
    return Found(handler, session)
