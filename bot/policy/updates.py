"""Change what holds in a guild: several owners at once lose nothing, and every change is in the audit."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from bot.policy.settings import GuildSettings, from_dict, to_dict
from db.guilds import AuditEntry, GuildStore


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something, and where."""

    guild_id: int
    person_id: int


async def update_settings(
    guilds: GuildStore,
    actor: Actor,
    description: str,
    change: Callable[[GuildSettings], GuildSettings],
    clock: Callable[[], float] = time.time,
) -> GuildSettings:
    """Apply `change` to the newest settings and give the result; `what` describes it in the audit.

    `change` must be a pure function: it is applied again when somebody else's change came first. What it raises
    leaves everything as it was. A change that changes nothing leaves no trace.
    """
    while True:
        stored = await guilds.settings(actor.guild_id)
        before = from_dict(stored.values)
        after = change(before)
        if after == before:
            return before
        entry = AuditEntry(
            guild_id=actor.guild_id, person_id=actor.person_id, act="settings", details=description, at=clock()
        )
        if await guilds.set_settings(entry, to_dict(after), stored.version):
            return after
