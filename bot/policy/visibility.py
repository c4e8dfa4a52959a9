"""Decide who can see a job, and where an image that the classifier flagged can be shown."""

from __future__ import annotations

from typing import Any

import discord

from bot.policy.policy import Policy
from bot.policy.settings import NsfwMode
from bot.ui.i18n import tr
from generation.job import Job


def nsfw_message() -> str:
    """Return the refusal to show an image that the classifier flagged."""
    return tr(
        "The classifier flagged this picture as sensitive. "
        "This server shows such pictures in age-restricted channels only."
    )


def nsfw_withheld_message() -> str:
    """Return why an image that was just generated is withheld."""
    return tr(
        "The classifier flagged this picture as sensitive. "
        "This server shows such pictures in age-restricted channels only. "
        "It is not kept and does not count towards your limits."
    )


def allows_nsfw(client: discord.Client, channel_id: int | None) -> bool:
    """Return whether a channel may show NSFW images: age-restricted, in a server that no directory lists.

    The answer is no if that is not known: in direct messages, and in channels that the bot cannot see.
    """
    channel = client.get_channel(channel_id) if channel_id is not None else None
    if not isinstance(channel, discord.Thread | discord.abc.GuildChannel) or isinstance(
        channel, discord.CategoryChannel
    ):
        return False
    return channel.is_nsfw() and "DISCOVERABLE" not in channel.guild.features


def may_embed(client: discord.Client, job: Job, channel_id: int | None) -> bool:
    """Return whether a message about a job may have embeds: Discord refuses it where the bot may not use them."""
    if channel_id is None or job.destination.guild_id is None or not job.destination.by_channel:
        return True
    channel = client.get_channel(channel_id)
    if not isinstance(channel, discord.Thread | discord.abc.GuildChannel):
        return False
    return channel.permissions_for(channel.guild.me).embed_links


def can_read(channel: discord.abc.GuildChannel | discord.Thread, who: discord.Member | discord.Role) -> bool:
    """Return whether somebody may view a channel and read the messages that it had before they came."""
    may = channel.permissions_for(who)
    return may.view_channel and may.read_message_history


async def is_nsfw_withheld(
    policy: Policy, client: discord.Client, guild_id: int | None, channel_id: int | None
) -> bool:
    """Return whether the server's settings withhold NSFW images in a channel."""
    settings = await policy.settings(guild_id)
    return settings.sensitive is NsfwMode.WITHHOLD and not allows_nsfw(client, channel_id)


def can_view_job(interaction: discord.Interaction[Any], job: Job) -> bool:
    """Return whether the user made the job, or it is public in a channel of this server that they can read."""
    if job.requester.id == interaction.user.id:
        return True
    if job.destination.private or interaction.guild is None:
        return False
    if job.destination.guild_id != interaction.guild_id:
        return False
    return can_read_here(interaction, job.destination.channel_id)


def can_read_here(interaction: discord.Interaction[Any], channel_id: int) -> bool:
    """Return whether the user can read a channel of this server."""
    if interaction.guild is None or not isinstance(interaction.user, discord.Member):
        return False
    channel = interaction.guild.get_channel_or_thread(channel_id)
    if isinstance(channel, discord.Thread) and channel.is_private():
        return channel.id == interaction.channel_id
    return channel is not None and can_read(channel, interaction.user)


def can_everybody_view(interaction: discord.Interaction[Any], job: Job) -> bool:
    """Return whether everybody who reads this channel may see the job: a public one of this or an open channel."""
    guild = interaction.guild
    if job.destination.private or guild is None or job.destination.guild_id != guild.id:
        return False
    if interaction.channel_id in (job.destination.channel_id, job.destination.post_in):
        return True
    return all(
        is_open(guild, channel_id) for channel_id in {job.destination.channel_id, job.destination.result_channel_id}
    )


def is_open(guild: discord.Guild, channel_id: int) -> bool:
    """Return whether everybody in a server can read a channel."""
    channel = guild.get_channel_or_thread(channel_id)
    if channel is None or (isinstance(channel, discord.Thread) and channel.is_private()):
        return False
    return can_read(channel, guild.default_role)
