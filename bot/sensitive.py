"""Where a picture that the classifier takes for sensitive may be seen."""

from __future__ import annotations

import discord

from bot.policy.settings import Sensitive
from bot.studio import Studio

TAKEN_FOR = (
    "The picture was taken for a sensitive one, which the owners of this server show in age-restricted channels only."
)
WITHHELD = f"{TAKEN_FOR} It is not kept, and counts for nothing."


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


async def is_withheld(studio: Studio, client: discord.Client, guild_id: int | None, channel_id: int | None) -> bool:
    """Say whether the owners of a server do not want sensitive pictures to be shown in a channel at all."""
    settings = await studio.policy.settings(guild_id)
    return settings.sensitive is Sensitive.WITHHOLD and not may_show(client, channel_id)
