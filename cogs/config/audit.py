"""Audit log entries for /config."""

from __future__ import annotations

from bot.client import Interaction
from db.guilds import AuditEntry


def require_guild_id(interaction: Interaction) -> int:
    """Return the guild of an interaction; /config exists in guilds only."""
    assert interaction.guild_id is not None
    return interaction.guild_id


def audit_entry(interaction: Interaction, name: str, details: str) -> AuditEntry:
    """Build an audit entry for what the user does now, in this guild."""
    return AuditEntry(
        guild_id=require_guild_id(interaction),
        person_id=interaction.user.id,
        act=name,
        details=details,
        at=interaction.client.services.clock(),
    )
