"""What moderators may do with other people's jobs, and the audit entries of it."""

from __future__ import annotations

from typing import Any

import discord

from db.guilds import AuditEntry, GuildStore
from generation.job import Job


def can_moderate(interaction: discord.Interaction[Any], job: Job) -> bool:
    """Return whether the user may cancel others' jobs and delete their results, here or in the whole server.

    An image may be shown again elsewhere; the moderators of that place have no say in it.
    """
    to = job.destination
    if to.guild_id is None or to.guild_id != interaction.guild_id:
        return False
    if interaction.channel_id in (to.channel_id, to.post_in):
        return interaction.permissions.manage_messages
    member = interaction.user
    return isinstance(member, discord.Member) and member.guild_permissions.manage_messages


async def log_moderation(guilds: GuildStore, job: Job, person_id: int, action: str, at: float) -> None:
    """Write into the audit log what a moderator did with somebody else's job; `at` is in Unix seconds."""
    guild_id = job.destination.guild_id
    if person_id != job.requester.id and guild_id is not None:
        details = f"{action} job {job.id} of <@{job.requester.id}>"
        entry = AuditEntry(guild_id=guild_id, person_id=person_id, act="moderation", details=details, at=at)
        await guilds.add_audit_entry(entry)
