"""Derive the destination of a job's messages from its interaction."""

from __future__ import annotations

from typing import Any

import discord
from discord.utils import DEFAULT_FILE_SIZE_LIMIT_BYTES

from generation.job import Destination, Job
from generation.prompt.preferences import Preferences

Interaction = discord.Interaction[Any]


def destination_from(interaction: Interaction, *, private: bool = False) -> Destination:
    """Return the ids, limits and permissions that posting needs, also after a restart."""
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
    """Return whether the result is ephemeral: as typed, else if the user prefers it or the parent is private."""
    if interaction.context.dm_channel:  # nobody else reads it, and ephemeral messages would be lost
        return False
    if typed is not None:
        return typed
    return preferred.private or (parent is not None and parent.destination.private)


def _can_post(interaction: Interaction) -> bool:
    """Return whether the bot can post in the channel without the interaction's token, which expires."""
    if interaction.guild_id is None:
        return interaction.context.dm_channel
    if not interaction.is_guild_integration():
        return False
    may = interaction.app_permissions
    thread = isinstance(interaction.channel, discord.Thread)
    return may.view_channel and may.attach_files and (may.send_messages_in_threads if thread else may.send_messages)


def _reply_target(interaction: Interaction) -> int | None:
    """Return the message whose button was pressed; for an ephemeral message, the message that it replies to."""
    message = interaction.message
    if message is None:
        return None
    if not message.flags.ephemeral:
        return message.id
    return message.reference.message_id if message.reference else None


def _can_reply(interaction: Interaction) -> bool:
    """Return whether a reply is allowed (Discord's error 160002); in direct messages it always is."""
    return interaction.guild_id is None or interaction.app_permissions.read_message_history


def _upload_limit(interaction: Interaction, by_channel: bool) -> int:
    """Return the largest file in bytes; the user's own Nitro counts only for responses by token."""
    if not by_channel:
        return interaction.filesize_limit
    of_channel = interaction.guild.filesize_limit if interaction.guild else DEFAULT_FILE_SIZE_LIMIT_BYTES
    return min(interaction.filesize_limit, of_channel)
