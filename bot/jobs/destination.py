"""Where a job is answered, read off the interaction that asked for it."""

from __future__ import annotations

from typing import Any

import discord
from discord.utils import DEFAULT_FILE_SIZE_LIMIT_BYTES

from generation.job import Destination, Job
from generation.prompt.preferences import Preferences

Interaction = discord.Interaction[Any]


def destination_from(interaction: Interaction, *, private: bool = False) -> Destination:
    """Note the ids, limits and rights that posting will need, also after a restart."""
    by_channel = _can_post(interaction) and not private
    return Destination(
        guild_id=interaction.guild_id,
        channel_id=interaction.channel_id or 0,
        by_channel=by_channel,
        token=interaction.token,
        token_expires_at=interaction.expires_at.timestamp(),
        upload_limit=_upload_limit(interaction, by_channel),
        reply_to=_reply_target(interaction) if _can_reply(interaction) else None,
        private=private,
    )


def is_private(interaction: Interaction, typed: bool | None, preferred: Preferences, parent: Job | None = None) -> bool:
    """Tell whether only the person may see the answer: as typed, else as what it is made from is, else as preferred."""
    if interaction.context.dm_channel:  # nobody else is there, and what is posted there stays
        return False
    if typed is not None:
        return typed
    return preferred.private or (parent is not None and parent.destination.private)


def _can_post(interaction: Interaction) -> bool:
    """Tell whether the bot may post in the channel by itself, which outlives the interaction's token."""
    if interaction.guild_id is None:
        return interaction.context.dm_channel
    if not interaction.is_guild_integration():
        return False
    may = interaction.app_permissions
    thread = isinstance(interaction.channel, discord.Thread)
    return may.view_channel and may.attach_files and (may.send_messages_in_threads if thread else may.send_messages)


def _reply_target(interaction: Interaction) -> int | None:
    """Give the message whose button was pressed; of a private question, the message that led to it."""
    message = interaction.message
    if message is None:
        return None
    if not message.flags.ephemeral:
        return message.id
    return message.reference.message_id if message.reference else None


def _can_reply(interaction: Interaction) -> bool:
    """Tell whether a message may refer to another (Discord's error 160002); in direct messages it always may."""
    return interaction.guild_id is None or interaction.app_permissions.read_message_history


def _upload_limit(interaction: Interaction, by_channel: bool) -> int:
    """Give the bytes that a file may have; the person's own Nitro counts for answers by token only."""
    if not by_channel:
        return interaction.filesize_limit
    of_channel = interaction.guild.filesize_limit if interaction.guild else DEFAULT_FILE_SIZE_LIMIT_BYTES
    return min(interaction.filesize_limit, of_channel)
