"""Concurrent updates of a guild's settings."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bot.policy.settings import GuildSettings, from_dict
from bot.policy.updates import Actor, update_settings
from db.connection import Connection
from db.guilds import GuildStore
from generation.errors import UserError

GUILD, OWNER, OTHER = 1, 11, 12


@pytest.fixture
async def guilds(tmp_path, make_database):
    async with Connection.open(make_database(tmp_path / "atelier.sqlite3")) as connection:
        yield GuildStore(connection)


async def test_concurrent_changes_by_two_owners_lose_nothing(guilds):
    def add_channel(channel: int):
        return lambda settings: replace(settings, channels=(*settings.channels, channel))

    await asyncio.gather(
        *(
            update_settings(guilds, Actor(GUILD, owner), f"channel {number}", add_channel(number))
            for number in range(20)
            for owner in (OWNER,)
        ),
        *(
            update_settings(guilds, Actor(GUILD, OTHER), "roles", lambda settings: replace(settings, stealth=False))
            for _ in range(5)
        ),
    )
    settings = from_dict((await guilds.settings(GUILD)).values)
    assert sorted(settings.channels) == list(range(20))
    assert not settings.stealth
    entries = await guilds.audit_entries(GUILD, limit=100)
    assert len(entries) == 21, "a repeated change is not logged"


async def test_a_refused_change_stores_nothing(guilds):
    def refuse(settings: GuildSettings) -> GuildSettings:
        raise UserError("No.")

    with pytest.raises(UserError):
        await update_settings(guilds, Actor(GUILD, OWNER), "nothing", refuse)
    assert (await guilds.settings(GUILD)).version == 0
    assert await guilds.audit_entries(GUILD) == []
