"""/queue: everybody sees who waits, and nobody sees what is none of their business."""

from __future__ import annotations

from preview.state import permissions
from preview.state.world import Overwrite


async def queue(stage, user=None, channel=None):
    """Use the command and give the text of its answer."""
    answer = await (await stage.person(user or stage.ben).command("queue", channel or stage.channel)).message()
    assert answer.ephemeral
    return answer.content


async def test_an_empty_queue_says_so(stage):
    async with stage.bot():
        assert "empty" in await queue(stage)
    assert not stage.public()


async def test_who_draws_and_who_waits_is_told_in_order_and_nobody_is_pinged(stage):
    async with stage.bot(jobs_at_once=1):
        await stage.imagine("a slow fox")
        await stage.notice("(25%)")
        await stage.imagine("an owl", stage.mod)
        await stage.notice("an owl")
        await stage.imagine("a cat_one", stage.ben)
        await stage.notice("a cat")
        text = await queue(stage)
    assert "**1 being drawn, 2 waiting**" in text
    lines = [line for line in text.splitlines() if line.startswith("- ")]
    assert lines[0].startswith(f"- being drawn: <@{stage.ada.id}>, **a slow fox")
    assert lines[1].startswith(f"- next in the queue: <@{stage.mod.id}>, **an owl")
    assert lines[2].startswith("- number 2 in the queue: yours, **a cat\\_one**")
    assert not stage.server.pings


async def test_private_jobs_keep_their_prompt(stage):
    async with stage.bot(jobs_at_once=1):
        await stage.imagine("a slow secret --stealth")
        await stage.server.wait_for(stage.channel, lambda message: "(25%)" in message.content, 20)
        assert "secret" not in await queue(stage)
        assert "(private)" in await queue(stage)
        assert "secret" in await queue(stage, stage.ada)


async def test_what_is_asked_for_in_a_channel_that_somebody_cannot_see_keeps_its_prompt(stage):
    hidden = stage.server.world.add_channel(stage.guild)
    hidden.overwrites.append(Overwrite(stage.ben.id, 1, deny=permissions.VIEW_CHANNEL))
    async with stage.bot(jobs_at_once=1):
        await stage.imagine("a slow secret", channel=hidden)
        await stage.notice("(25%)", hidden)
        assert "secret" not in await queue(stage, stage.ben)
        assert "secret" in await queue(stage, stage.mod)


async def test_other_servers_learn_that_somebody_is_before_them_and_no_more(stage):
    world = stage.server.world
    other = world.add_guild("Elsewhere", stage.ben)
    channel = world.add_channel(other)
    async with stage.bot(jobs_at_once=1):
        await stage.imagine("a slow secret")
        await stage.notice("(25%)")
        text = await queue(stage, stage.ben, channel)
        direct = await queue(stage, stage.ben, world.dm_channel(stage.ben))
    for said in (text, direct):
        assert "- being drawn: somebody's elsewhere\n" in f"{said}\n"
        assert "secret" not in said and str(stage.ada.id) not in said


async def test_a_long_queue_is_cut_and_says_how_much_is_left_out(stage):
    async with stage.bot(jobs_at_once=1, waiting_per_person=50):
        await stage.imagine("a slow fox")
        await stage.notice("(25%)")
        for number in range(15):
            await stage.imagine(f"owl {number}")
            await stage.notice(f"owl {number}")
        text = await queue(stage)
    assert "and 4 more" in text
    assert len(text) < 2000
