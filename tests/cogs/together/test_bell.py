"""🔔: who wants to be told is pinged when the next round begins."""

from __future__ import annotations

from cogs.together.bell import MAX_PINGED
from tests.cogs.together.test_jam import Jam, cy  # noqa: F401 (a fixture)
from tests.support.sessions import block


async def test_who_switched_the_bell_on_is_pinged_by_the_next_round(harness, cy):  # noqa: F811
    async with harness.bot() as services:
        jam = await Jam.start(harness, services, rounds=4)
        first = await jam.round(1)
        for user in (cy, harness.ben):
            await jam.vote(user, first, 1)
            rules = await (await harness.person(user).press(first, "Help")).message()
            pressed = await harness.person(user).press(rules, "Tell me when it goes on")
            assert "🔔 You will be told when it goes on" in (await pressed.message()).labels
        await block(services, harness, harness.ben)
        assert await services.db.bells.people((await jam.session()).id) == [cy.id]
        await jam.vote(harness.ada, first, 1)
        before = len(harness.server.pings)
        jam.pass_time()
        second = await jam.round(2)
        assert f"-# 🔔 <@{cy.id}>" in second.content
        assert {ping.user_id for ping in harness.server.pings[before:]} == {cy.id}
        rules = await (await harness.person(cy).press(second, "Help")).message()
        pressed = await harness.person(cy).press(rules, "You will be told when it goes on")
        assert "🔔 Tell me when it goes on" in (await pressed.message()).labels
        for user in (cy, harness.ada):
            await jam.vote(user, second, 1)
        assert "🔔" not in second.content  # a vote pings nobody
        jam.pass_time()
        third = await jam.round(3)
        assert "🔔" not in third.content


async def test_nobody_is_promised_to_be_told_who_will_not_be(harness, cy):  # noqa: F811
    async with harness.bot() as services:
        jam = await Jam.start(harness, services)
        first, session = await jam.round(1), await jam.session()
        for person in range(MAX_PINGED):
            assert await services.db.bells.toggle(session.id, 100 + person, MAX_PINGED)
        rules = await (await harness.person(cy).press(first, "Help")).message()
        refused = await (await harness.person(cy).press(rules, "Tell me when it goes on")).message()
        assert "20 people are told already" in refused.content
        assert not await services.db.bells.is_on(session.id, cy.id)
        await services.db.bells.toggle(session.id, 100, MAX_PINGED)
        pressed = await harness.person(cy).press(rules, "Tell me when it goes on")
        assert "🔔 You will be told when it goes on" in (await pressed.message()).labels


async def test_a_jam_may_cost_no_more_than_the_server_says(harness):
    async with harness.bot() as services:
        settings = await harness.person(harness.mod).command("config together", harness.channel, cost=4)
        assert "4 grids each" in (await settings.message()).content
        await Jam.start(harness, services, "a castle", rounds=5)
        refused = await harness.server.wait_for(
            harness.channel, lambda message: "A session may draw at most 4 grids here" in message.content
        )
        assert refused.ephemeral
        assert "a castle" in refused.content
        jam = await Jam.start(harness, services, "a castle", rounds=4)
        await jam.round(1)
