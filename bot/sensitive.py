"""Where a picture that the classifier takes for sensitive may be seen."""

from __future__ import annotations

import discord

from bot.policy.settings import NsfwMode
from bot.studio import Services

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
    services: Services, client: discord.Client, guild_id: int | None, channel_id: int | None
) -> bool:
    """Say whether the owners of a server do not want sensitive pictures to be shown in a channel at all."""
    settings = await services.policy.settings(guild_id)
    return settings.sensitive is NsfwMode.WITHHOLD and not allows_nsfw(client, channel_id)
