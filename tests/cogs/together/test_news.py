"""News: a direct message, at most once a day, to those who want to hear that others carried on."""

from __future__ import annotations

import asyncio

import pytest

from cogs.together.news import DAY_S
from tests.support.bot_harness import eventually
from tests.support.sessions import block


@pytest.fixture
def cy(harness):
    user = harness.server.world.add_user("cy")
    harness.server.world.add_member(user, harness.guild)
    return user


def direct_messages(harness, user):
    world = harness.server.world
    channels = [each for each in world.channels.values() if each.guild_id is None and user.id in each.recipient_ids]
    return [message.content for each in channels for message in world.channel_messages(each)]


async def carry_on(harness, services, user, grid, number):
    before = len(harness.results())
    await harness.person(user).press(grid, f"V{number}")
    await eventually(lambda: len(harness.results()) > before)
    while await services.db.jobs.open_records():  # noqa: ASYNC110 (nothing tells of it)
        await asyncio.sleep(0.02)


async def tell(harness):
    harness.server.world.clock.advance(DAY_S)
    await harness.client.get_cog("News").tell_all()


async def test_the_author_hears_how_many_carried_on_at_most_daily(harness, cy):
    async with harness.bot() as services:
        switched = await (await harness.person(harness.ada).command("prefer news", harness.channel)).message()
        assert "News is **on**" in switched.content
        await harness.imagine("a castle")
        castle = await harness.result(text="a castle")
        for user in (harness.ben, cy, harness.ada):
            await carry_on(harness, services, user, castle, 1)
        await harness.client.get_cog("News").tell_all()
        assert direct_messages(harness, harness.ada) == []  # she switched it on less than a day ago
        await tell(harness)
        (told,) = direct_messages(harness, harness.ada)
        assert "**a castle** · 2 people" in told
        assert "ben" not in told
        await tell(harness)
        assert len(direct_messages(harness, harness.ada)) == 1  # there is nothing new
        await carry_on(harness, services, cy, castle, 2)
        await tell(harness)
        assert "1 person" in direct_messages(harness, harness.ada)[1]
        await harness.person(harness.ada).command("prefer news", harness.channel)
        await carry_on(harness, services, cy, castle, 3)
        await tell(harness)
        assert len(direct_messages(harness, harness.ada)) == 2
        assert await services.db.connection.fetch_all("SELECT * FROM news") == []


async def test_private_and_blocked_people_are_no_news(harness, cy):
    async with harness.bot() as services:
        await (await harness.person(harness.ada).command("prefer news", harness.channel)).message()
        await harness.imagine("a castle")
        castle = await harness.result(text="a castle")
        await carry_on(harness, services, harness.ben, castle, 1)
        await block(services, harness, harness.ben)
        await (await harness.person(cy).command("stealth", harness.channel)).message()
        await harness.person(cy).press(castle, "V2")
        await eventually(lambda: any(each.ephemeral and "V1" in each.labels for each in _messages(harness)))
        await tell(harness)
        assert direct_messages(harness, harness.ada) == []
        assert await services.db.connection.fetch_all("SELECT * FROM news") == []


def _messages(harness):
    return harness.server.messages(harness.channel)
