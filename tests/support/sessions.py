"""Collaborative sessions for tests to store."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from typing import Any

from bot.services import Services
from db.guilds import AuditEntry, Block
from db.together.sessions import Session, SessionKind
from preview import User
from tests.support.bot_harness import BotHarness
from tests.support.timing import TIMEOUT_S


def make_session(**changes: Any) -> Session:
    """Return a jam in its first round, which is not stored yet."""
    session = Session(
        id=secrets.token_hex(4),
        kind=SessionKind.JAM,
        guild_id=1,
        channel_id=2,
        host_id=11,
        phase="voting",
        round=1,
        made_at=1000.0,
    )
    return replace(session, **changes)


async def block(services: Services, harness: BotHarness, user: User) -> None:
    """Block a person in the harness's guild, as a moderator would."""
    now = services.clock()
    entry = AuditEntry(guild_id=harness.guild.id, person_id=harness.mod.id, act="block", details="x", at=now)
    await services.db.guilds.block(
        entry,
        Block(guild_id=harness.guild.id, person_id=user.id, reason="x", until=None, by_id=harness.mod.id, at=now),
    )


async def is_fresh(services: Services) -> bool:
    """Wait until no message of a session shows anything that is gone."""
    async with asyncio.timeout(TIMEOUT_S):
        while await services.db.sessions.stale():  # noqa: ASYNC110 (nothing tells of it)
            await asyncio.sleep(0.02)
    return True
