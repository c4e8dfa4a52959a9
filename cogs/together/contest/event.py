"""The scheduled event of a contest: Discord tells whoever is interested when the vote begins."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import discord

from bot.client import Client
from bot.discord_calls import retry_until_available
from bot.policy.visibility import is_open
from bot.ui.i18n import tr
from bot.ui.text import truncate
from cogs.together.contest.messages import Show
from cogs.together.contest.phases import DAY_S, ENTRY_PHASES, VOTE_PHASES, number_of
from db.together.sessions import Session

log = logging.getLogger(__name__)

SOON_S = 60.0
MAX_NAME = 100  # characters, by Discord's rules
OPEN = (discord.EventStatus.scheduled, discord.EventStatus.active)


async def follow(client: Client, show: Show) -> None:
    """Create, change or end a contest's event as its present phase needs; the contest does not depend on it.

    The event is known by its author and its place, so that repeating this after a crash creates no second one. All
    members see it, so there is none for a channel that some of them cannot read.
    """
    session = show.session
    guild = client.get_guild(session.guild_id)
    settings = await client.services.policy.settings(session.guild_id)
    if guild is None or not settings.contest_event or not _may_create(guild):
        return
    try:
        event = await _find(guild, session)
        is_shown = session.ended_at is None and is_open(guild, session.channel_id)
        if is_shown and session.phase in ENTRY_PHASES:
            await _schedule(guild, event, show)
        elif is_shown and session.phase in VOTE_PHASES:
            await _begin(event, session, client.services.clock())
        elif event is not None:
            await (event.end() if event.status is discord.EventStatus.active else event.cancel())
    except discord.HTTPException as error:
        log.info("session %s: its event could not be updated: %s", session.id, error)


def _may_create(guild: discord.Guild) -> bool:
    may = guild.me.guild_permissions
    return may.create_events or may.manage_events


def _place(session: Session) -> str:
    return f"https://discord.com/channels/{session.guild_id}/{session.channel_id}"


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


async def _find(guild: discord.Guild, session: Session) -> discord.ScheduledEvent | None:
    events = await retry_until_available(lambda: guild.fetch_scheduled_events(with_counts=False))
    return next(
        (
            each
            for each in events
            if each.creator_id == guild.me.id and each.location == _place(session) and each.status in OPEN
        ),
        None,
    )


async def _schedule(guild: discord.Guild, event: discord.ScheduledEvent | None, show: Show) -> None:
    """Let the event last as long as the vote that follows."""
    session = show.session
    name = truncate(tr("Contest {number}: {theme}", number=number_of(session), theme=show.theme), MAX_NAME)
    description = tr("The vote: which of two pictures is better? Until it begins, everybody may enter pictures.")
    start = _time(session.due_at or 0)
    end = _time((session.due_at or 0) + int(session.settings["vote_days"]) * DAY_S)
    if event is not None and event.status is discord.EventStatus.active:  # of a contest that ended without the bot
        await event.end()
        event = None
    if event is None:
        await guild.create_scheduled_event(
            name=name,
            description=description,
            start_time=start,
            end_time=end,
            location=_place(session),
            entity_type=discord.EntityType.external,
            privacy_level=discord.PrivacyLevel.guild_only,
        )
    elif (event.name, event.start_time, event.end_time) != (name, start, end):
        await event.edit(name=name, description=description, start_time=start, end_time=end)


async def _begin(event: discord.ScheduledEvent | None, session: Session, now: float) -> None:
    """Begin the event soon, if moderators began the vote before its time, and let it end with the vote.

    Discord begins it by itself at its time, which must not be in the past.
    """
    if event is None:
        return
    end = _time(session.due_at or 0)
    if event.status is discord.EventStatus.scheduled:
        soon = min(_time(now + SOON_S), event.start_time)
        await event.edit(start_time=soon, end_time=end)
    elif event.end_time != end:
        await event.edit(end_time=end)
