"""What an owner does, as it goes into the audit."""

from __future__ import annotations

from bot.client import Interaction
from db.guilds import AuditEntry


def require_guild_id(interaction: Interaction) -> int:
    """Give the guild that an owner's command was used in; it is offered nowhere else."""
    assert interaction.guild_id is not None
    return interaction.guild_id


def audit_entry(interaction: Interaction, name: str, details: str) -> AuditEntry:
    """Write down what somebody does now, and where."""
    return AuditEntry(
        guild_id=require_guild_id(interaction),
        person_id=interaction.user.id,
        act=name,
        details=details,
        at=interaction.client.services.clock(),
    )
