"""Who may see a job, and where a picture may be seen that the classifier takes for sensitive."""

from __future__ import annotations

from typing import Any

import discord

from bot.policy.policy import Policy
from bot.policy.settings import NsfwMode
from generation.job import Job

NSFW_MESSAGE = (
    "The picture was taken for a sensitive one, which the owners of this server show in age-restricted channels only."
)
NSFW_WITHHELD_MESSAGE = f"{NSFW_MESSAGE} It is not kept, and counts for nothing."


def allows_nsfw(client: discord.Client, channel_id: int | None) -> bool:
    """Say whether a channel is one for sensitive pictures: age-restricted, in a server that no directory lists.

    What is not known to be so is not so: direct messages, and channels that the bot cannot see.
    """
    channel = client.get_channel(channel_id) if channel_id is not None else None
    if not isinstance(channel, discord.Thread | discord.abc.GuildChannel) or isinstance(
        channel, discord.CategoryChannel
    ):
        return False
    return channel.is_nsfw() and "DISCOVERABLE" not in channel.guild.features


async def is_nsfw_withheld(
    policy: Policy, client: discord.Client, guild_id: int | None, channel_id: int | None
) -> bool:
    """Say whether the owners of a server do not want sensitive pictures to be shown in a channel at all."""
    settings = await policy.settings(guild_id)
    return settings.sensitive is NsfwMode.WITHHOLD and not allows_nsfw(client, channel_id)


def can_view_job(interaction: discord.Interaction[Any], job: Job) -> bool:
    """Tell whether a job is somebody's own, or public in a channel of this server that they can read."""
    if job.requester.id == interaction.user.id:
        return True
    if job.destination.private or interaction.guild is None or not isinstance(interaction.user, discord.Member):
        return False
    if job.destination.guild_id != interaction.guild_id:
        return False
    channel = interaction.guild.get_channel_or_thread(job.destination.channel_id)
    if isinstance(channel, discord.Thread) and channel.is_private():
        return channel.id == interaction.channel_id
    return channel is not None and channel.permissions_for(interaction.user).view_channel
