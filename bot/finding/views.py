"""Which channels of a server a person may view, and where a result is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import discord

from bot.policy.visibility import can_read
from db.finding.gallery import View
from db.finding.picture_index import ShownPicture
from db.jobs import JobRecord, JobState


def viewable_channels(guild: discord.Guild, may_view: Callable[[discord.abc.GuildChannel], bool]) -> frozenset[int]:
    """Return the channels of a server that a person may view and the bot as well.

    What Discord says about channels that the bot may not view is incomplete, so those count as hidden.
    """
    return frozenset(
        channel.id for channel in guild.channels if channel.permissions_for(guild.me).view_channel and may_view(channel)
    )


def view_of(interaction: discord.Interaction[Any]) -> View | None:
    """Return what the user of an interaction may view in this server: its channels, and this private thread."""
    guild, member = interaction.guild, interaction.user
    if guild is None or guild.me is None or not isinstance(member, discord.Member):
        return None
    channels = viewable_channels(guild, lambda channel: can_read(channel, member))
    here = interaction.channel
    if isinstance(here, discord.Thread) and here.is_private():
        channels |= {here.id}
    return View(guild_id=guild.id, channels=channels, person_id=member.id)


async def shown_picture(client: discord.Client, record: JobRecord, fetched: dict[int, object]) -> ShownPicture | None:
    """Return where a result is shown to others, or None if it is private or not posted in a server of the bot.

    A picked tile is part of another result, which is shown already. `fetched` keeps what Discord was asked for.
    """
    job, to = record.job, record.job.destination
    guild = client.get_guild(to.guild_id) if to.guild_id is not None else None
    if guild is None or to.private or record.deleted or record.state is not JobState.POSTED:
        return None
    if job.is_taken_out or record.suffix is None:
        return None
    channel = await _find_channel(client, guild, to.result_channel_id, fetched)
    thread = channel if isinstance(channel, discord.Thread) and not channel.is_private() else None
    return ShownPicture(
        job_id=job.id,
        guild_id=guild.id,
        channel_id=thread.parent_id if thread else to.result_channel_id,
        person_id=job.requester.id,
        thread_id=thread.id if thread else None,
    )


async def _find_channel(
    client: discord.Client, guild: discord.Guild, channel_id: int, fetched: dict[int, object]
) -> object:
    """Return a channel or thread, of which Discord does not announce the archived ones; None if it is gone.

    Each is asked for once: Discord shuts out who asks ten thousand times for what they may not see.
    """
    if known := guild.get_channel_or_thread(channel_id):
        return known
    if channel_id not in fetched:
        try:
            fetched[channel_id] = await client.fetch_channel(channel_id)
        except (discord.NotFound, discord.Forbidden, discord.InvalidData):
            fetched[channel_id] = None
    return fetched[channel_id]
