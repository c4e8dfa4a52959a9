"""A guild's settings, blocked words, blocks and audit entries in a real SQLite file."""

from __future__ import annotations

import asyncio

import pytest

from db.guilds import AuditEntry, Block, GuildStore

GUILD, OTHER, OWNER, BEN = 1, 2, 11, 12


@pytest.fixture
def guilds(connection, clock):
    return GuildStore(connection, clock)


def audit_entry(name="settings", details="", guild=GUILD, at=1000.0) -> AuditEntry:
    return AuditEntry(guild_id=guild, person_id=OWNER, act=name, details=details, at=at)


def make_block(until=None, reason="spam") -> Block:
    return Block(guild_id=GUILD, person_id=BEN, reason=reason, until=until, by_id=OWNER, at=1000.0)


async def test_a_guild_without_settings_has_version_0(guilds):
    stored = await guilds.settings(GUILD)
    assert (stored.values, stored.version) == ({}, 0)


async def test_settings_are_stored_with_an_audit_entry(guilds):
    assert await guilds.set_settings(audit_entry(details="stealth off"), {"stealth": False}, 0)
    stored = await guilds.settings(GUILD)
    assert (stored.values, stored.version) == ({"stealth": False}, 1)
    assert await guilds.audit_entries(GUILD) == [audit_entry(details="stealth off")]
    assert (await guilds.settings(OTHER)).version == 0


async def test_of_two_updates_to_one_version_exactly_one_succeeds(guilds):
    for version in (0, 1):
        succeeded = await asyncio.gather(
            *(guilds.set_settings(audit_entry(details=name), {"by": name}, version) for name in ("a", "b"))
        )
        assert sorted(succeeded) == [False, True]
    assert len(await guilds.audit_entries(GUILD)) == 2
    assert (await guilds.settings(GUILD)).version == 2


async def test_an_unknown_version_changes_nothing(guilds):
    assert not await guilds.set_settings(audit_entry(), {"a": 1}, 5)
    assert (await guilds.settings(GUILD)).version == 0
    assert await guilds.audit_entries(GUILD) == []


async def test_blocked_words_belong_to_a_guild_and_raise_its_version(guilds):
    await guilds.block_words(audit_entry("words"), {"gore": "refuse", "o'brien; DROP": "warn"})
    await guilds.block_words(audit_entry("words"), {"gore": "except_no"})
    assert await guilds.blocked_words(GUILD) == {"gore": "except_no", "o'brien; DROP": "warn"}
    assert await guilds.blocked_words(OTHER) == {}
    assert (await guilds.settings(GUILD)).version == 2
    assert await guilds.unblock_words(audit_entry("words"), ["gore", "never blocked"]) == 1
    assert await guilds.blocked_words(GUILD) == {"o'brien; DROP": "warn"}
    assert len(await guilds.audit_entries(GUILD)) == 3


async def test_ten_thousand_words_are_one_change(guilds):
    await guilds.block_words(audit_entry("words"), {f"word {number}": "refuse" for number in range(10_000)})
    assert len(await guilds.blocked_words(GUILD)) == 10_000
    assert len(await guilds.audit_entries(GUILD)) == 1


async def test_settings_survive_a_change_of_words(guilds):
    await guilds.set_settings(audit_entry(), {"retention_days": 30}, 0)
    await guilds.block_words(audit_entry("words"), {"gore": "refuse"})
    stored = await guilds.settings(GUILD)
    assert (stored.values, stored.version) == ({"retention_days": 30}, 2)


async def test_a_block_applies_until_it_expires(guilds, clock):
    await guilds.block(audit_entry("block"), make_block(until=2000.0))
    assert await guilds.active_block(GUILD, BEN) == make_block(until=2000.0)
    assert await guilds.active_blocks(GUILD) == [make_block(until=2000.0)]
    assert await guilds.active_block(GUILD, OWNER) is None
    assert await guilds.active_block(OTHER, BEN) is None
    clock.now = 2000.0
    assert await guilds.active_block(GUILD, BEN) is None
    assert await guilds.active_blocks(GUILD) == []


async def test_a_later_block_replaces_an_earlier_one(guilds):
    await guilds.block(audit_entry("block"), make_block(until=2000.0))
    await guilds.block(audit_entry("block"), make_block(reason="worse"))
    assert await guilds.active_block(GUILD, BEN) == make_block(reason="worse")


async def test_unblocking_returns_whether_there_was_a_block(guilds):
    assert not await guilds.unblock(audit_entry("unblock"), BEN)
    assert await guilds.audit_entries(GUILD) == []
    await guilds.block(audit_entry("block"), make_block())
    assert await guilds.unblock(audit_entry("unblock"), BEN)
    assert [entry.act for entry in await guilds.audit_entries(GUILD)] == ["unblock", "block"]


async def test_the_audit_is_read_page_by_page(guilds):
    for at in range(10):
        await guilds.add_audit_entry(audit_entry("delete", str(at), at=float(at)))
    newest = await guilds.audit_entries(GUILD, limit=4)
    assert [entry.details for entry in newest] == ["9", "8", "7", "6"]
    assert [entry.details for entry in await guilds.audit_entries(GUILD, offset=4, limit=4)] == ["5", "4", "3", "2"]
