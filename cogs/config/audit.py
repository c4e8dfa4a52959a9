"""Audit log entries for /config, which are stored in English."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextvars import copy_context

from bot.client import Interaction
from bot.ui.i18n import ENGLISH, set_locale
from bot.ui.text import escape_markdown, truncate
from db.guilds import AuditEntry
from db.privacy import ERASED_PERSON_ID


def require_guild_id(interaction: Interaction) -> int:
    """Return the guild of an interaction; /config exists in guilds only."""
    assert interaction.guild_id is not None
    return interaction.guild_id


def in_english(text: Callable[[], str]) -> str:
    """Return what `text` returns in English, whatever the current language."""
    context = copy_context()
    context.run(set_locale, ENGLISH)
    return context.run(text)


_MENTION_OR_CODE = re.compile(r"(<(?:@[!&]?|#)\d+>|<t:\d+:[a-zA-Z]>|`[^`\n]+`)")


def audit_entry(interaction: Interaction, name: str, details: str) -> AuditEntry:
    """Build an audit entry for what the user does now, in this guild."""
    return AuditEntry(
        guild_id=require_guild_id(interaction),
        person_id=interaction.user.id,
        act=name,
        details=details,
        at=interaction.client.services.clock(),
    )


def format_details(entry: AuditEntry, limit: int) -> str:
    """Return an entry's details without markdown, except mentions and code: they may quote what anyone has typed."""
    details = entry.details.replace(f"<@{ERASED_PERSON_ID}>", "somebody")
    parts = _MENTION_OR_CODE.split(truncate(details, limit))
    return "".join(part if number % 2 else _escape(part) for number, part in enumerate(parts))


def _escape(text: str) -> str:
    start, end = (" " if text[:1].isspace() else ""), (" " if text[-1:].isspace() and text.strip() else "")
    return f"{start}{escape_markdown(text)}{end}"
