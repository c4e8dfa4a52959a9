"""Moderation of other people's jobs: permission checks and audit entries."""

from __future__ import annotations

from typing import Any

import discord

from db.guilds import AuditEntry, GuildStore
from generation.job import Job


def can_moderate(interaction: discord.Interaction[Any], job: Job) -> bool:
    """Return whether the user may cancel others' jobs and delete their results, here or in the whole server.

    An image may be reposted in another channel, whose moderators have no rights over it.
    """
    to = job.destination
    if to.guild_id is None or to.guild_id != interaction.guild_id:
        return False
    if interaction.channel_id in (to.channel_id, to.post_in):
        return interaction.permissions.manage_messages
    member = interaction.user
    return isinstance(member, discord.Member) and member.guild_permissions.manage_messages


async def log_moderation(guilds: GuildStore, job: Job, person_id: int, action: str, at: float) -> None:
    """Log a moderator's action on somebody else's job in the audit; `at` is in Unix seconds."""
    guild_id = job.destination.guild_id
    if person_id != job.requester.id and guild_id is not None:
        details = f"{action} job {job.id} of <@{job.requester.id}>"
        entry = AuditEntry(guild_id=guild_id, person_id=person_id, act="moderation", details=details, at=at)
        await guilds.add_audit_entry(entry)
