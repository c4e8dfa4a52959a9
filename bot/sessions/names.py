"""Take the names of people who are gone out of the messages that a session has posted."""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import suppress

import discord

from bot.discord_calls import NO_MENTIONS
from bot.services import Services
from bot.ui.i18n import tr
from db.together.sessions import Session

_MENTION = re.compile(r"<@!?(\d+)>")


async def take_names_out(
    client: discord.Client, services: Services, session: Session, *, drawn: int | None = None
) -> None:
    """Call whoever was erased or blocked somebody in all messages of a session but `drawn`, which is drawn again.

    Raises an error of Discord.
    """
    people = await services.db.sessions.people(session.id)
    kept = people - set(await services.db.guilds.blocked_among(session.guild_id, people))
    posted = {made.message_id: session.place_id for made in await services.db.sessions.rounds(session.id)}
    for message_id, channel_id in {session.message_id: session.channel_id, **posted}.items():
        if message_id not in (None, drawn):
            channel = client.get_partial_messageable(channel_id, guild_id=session.guild_id)
            with suppress(discord.NotFound):
                await _edit(await channel.fetch_message(message_id), kept)


async def _edit(message: discord.Message, kept: Collection[int]) -> None:
    text = without_names(message.content, kept)
    if text != message.content:
        await message.edit(content=text, allowed_mentions=NO_MENTIONS)


def without_names(text: str, kept: Collection[int]) -> str:
    """Return a text that mentions nobody but those who are kept."""
    return _MENTION.sub(lambda found: found[0] if int(found[1]) in kept else tr("somebody"), text)
