"""Who may see a job: its owner, and whoever can read where it was asked for in public."""

from __future__ import annotations

from typing import Any

import discord

from generation.job import Job


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
