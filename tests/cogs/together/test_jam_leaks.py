"""Over all payloads of a whole jam, nobody blocked, private or erased appears."""

from __future__ import annotations

import pytest

from tests.cogs.together.test_jam import ROUND_S, Jam, suggest
from tests.support.bot_harness import eventually
from tests.support.payloads import Payloads
from tests.support.sessions import block


@pytest.fixture
def people(harness):
    world = harness.server.world
    added = [world.add_user(name) for name in ("cy", "dorothea", "evangeline")]
    for user in added:
        world.add_member(user, harness.guild)
    return added


async def test_nobody_blocked_private_or_erased_appears_in_a_jam(harness, people):
    ada, benedict, (cy, dorothea, evangeline) = harness.ada, harness.ben, people
    benedict.name = "benedict"
    async with harness.bot() as services:
        everything = Payloads(harness)
        await harness.imagine("a hidden lighthouse --stealth", dorothea)
        await harness.server.wait_for(
            harness.channel, lambda message: "lighthouse" in message.content and "U1" in message.labels
        )
        jam = await Jam.start(harness, services)
        first = await jam.round(1)
        await (await suggest(harness, benedict, first, "with purple owls")).response()
        await jam.vote(benedict, first, 2)
        await jam.vote(dorothea, first, 1)
        await jam.vote(evangeline, first, 1)
        await jam.vote(cy, first, 1)
        await block(services, harness, benedict)
        after_block = Payloads(harness)
        for command in ("queue", "jam list"):
            await (await harness.person(cy).command(command, harness.channel)).message()
        jam.pass_time()
        second = await jam.round(2)
        assert "chosen by 3" in second.content
        for user in (ada, cy, evangeline):
            await jam.vote(user, second, 3)
        evangelines = harness.person(evangeline)
        summary = await (await evangelines.command("privacy", harness.channel)).message()
        await evangelines.submit_modal(await evangelines.press(summary, "Delete everything"), {})
        await eventually(lambda: any("All your data is deleted" in m.content for m in _messages(harness)))
        after_erasure = Payloads(harness)
        jam.pass_time(ROUND_S)
        third = await jam.round(3)
        await jam.vote(ada, third, 4)
        await jam.vote(cy, third, 4)
        await (await harness.person(cy).press(third, "Help")).message()
        jam.pass_time(ROUND_S)
        last = await harness.server.wait_for(harness.channel, lambda message: "the jam is finished" in message.content)
        await jam.phase("ended")
        assert "somebody" in last.content
        await (await harness.person(cy).press(last, "Details")).message()
    assert everything.found("lighthouse", except_to=dorothea) == []
    assert after_block.found("purple owls", benedict.id, "benedict") == []
    assert after_erasure.found(evangeline.id, "evangeline") == []


async def test_somebody_blocked_after_their_words_were_drawn_is_somebody(harness, people):
    cy = people[0]
    async with harness.bot() as services:
        jam = await Jam.start(harness, services, rounds=2)
        first = await jam.round(1)
        await (await suggest(harness, harness.ben, first, "at night")).response()
        for user in (harness.ben, cy):
            await jam.vote(user, first, 2)
        jam.pass_time()
        second = await jam.round(2)
        assert f"words by <@{harness.ben.id}>" in second.content
        await block(services, harness, harness.ben)
        after = Payloads(harness)
        for user in (harness.ada, cy):
            await jam.vote(user, second, 2)
        assert "words by somebody" in second.content
        jam.pass_time()
        await harness.server.wait_for(harness.channel, lambda message: "the jam is finished" in message.content)
        await jam.phase("ended")
    assert after.found(harness.ben.id, "ben") == []


def _messages(harness):
    return harness.server.messages(harness.channel)
