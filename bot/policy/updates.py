"""Update a guild's settings: concurrent updates are merged, and each is written to the audit log."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from bot.policy.settings import GuildSettings, from_dict, to_dict
from db.guilds import AuditEntry, GuildStore


@dataclass(frozen=True, slots=True)
class Actor:
    """The person who changes settings, and the guild."""

    guild_id: int
    person_id: int


async def update_settings(
    guilds: GuildStore,
    actor: Actor,
    description: str,
    change: Callable[[GuildSettings], GuildSettings],
    clock: Callable[[], float] = time.time,
) -> GuildSettings:
    """Apply `change` to the latest settings and return the result; `description` goes into the audit log.

    `change` must be a pure function, because it is applied again if another update was stored first. If it raises,
    nothing is stored. A change that changes nothing is not logged.
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
