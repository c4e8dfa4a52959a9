"""Where a picture that the classifier takes for sensitive may be seen."""

from __future__ import annotations

import discord

from bot.policy.settings import Sensitive
from bot.studio import Studio
from generation.errors import Complaint
from generation.job import Job

WITHHELD = (
    "The picture was taken for a sensitive one, which the owners of this server show in age-restricted channels only. "
    "It is not kept, and counts for nothing."
)


def may_show(client: discord.Client, channel_id: int | None) -> bool:
    """Say whether a channel is one for sensitive pictures: age-restricted, in a server that no directory lists.

    What is not known to be so is not so: direct messages, and channels that the bot cannot see.
    """
    channel = client.get_channel(channel_id) if channel_id is not None else None
    if not isinstance(channel, discord.Thread | discord.abc.GuildChannel) or isinstance(
        channel, discord.CategoryChannel
    ):
        return False
    return channel.is_nsfw() and "DISCOVERABLE" not in channel.guild.features


async def refuse_withheld(studio: Studio, client: discord.Client, job: Job) -> None:
    """Raise Complaint for a sensitive result that the owners of the server do not want to be shown there at all."""
    settings = await studio.policy.settings(job.destination.guild_id)
    if settings.sensitive is Sensitive.WITHHOLD and not may_show(client, job.destination.result_channel_id):
        raise Complaint(WITHHELD)
