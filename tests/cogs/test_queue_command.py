"""/queue: everyone sees the queue, without the prompts that they may not see."""

from __future__ import annotations

from preview.state import permissions
from preview.state.world import Overwrite
from tests.support.sessions import make_session


async def run_queue(harness, user=None, channel=None):
    """Use the command and return the text of its response."""
    answer = await (await harness.person(user or harness.ben).command("queue", channel or harness.channel)).message()
    assert answer.ephemeral
    return answer.content


async def test_an_empty_queue_says_so(harness):
    async with harness.bot():
        assert "empty" in await run_queue(harness)
    assert not harness.public_messages()


async def test_running_and_waiting_jobs_are_listed_without_pings(harness):
    async with harness.bot(jobs_at_once=1):
        await harness.imagine("a slow fox")
        await harness.status_message("(25%)")
        await harness.imagine("an owl", harness.mod)
        await harness.status_message("an owl")
        await harness.imagine("a cat_one", harness.ben)
        await harness.status_message("a cat")
        text = await run_queue(harness)
    assert text.splitlines() == [
        "**Now** (1 being drawn)",
        f"- ▰▰▱▱▱▱▱▱▱▱ 25% · <@{harness.ada.id}>: a slow fox",
        "**Next** (2 waiting)",
        f"1. <@{harness.mod.id}>: an owl · 10–60 seconds",
        "2. **yours: a cat\\_one** · 20–120 seconds",
    ]
    assert not harness.server.pings


async def test_prompts_of_private_jobs_are_hidden(harness):
    async with harness.bot(jobs_at_once=1):
        await harness.imagine("a slow secret --stealth")
        await harness.server.wait_for(harness.channel, lambda message: "(25%)" in message.content)
        assert "secret" not in await run_queue(harness)
        assert "(private)" in await run_queue(harness)
        assert "secret" in await run_queue(harness, harness.ada)


async def test_the_queue_hides_prompts_from_channels_that_the_user_cannot_see(harness):
    hidden = harness.server.world.add_channel(harness.guild)
    hidden.overwrites.append(Overwrite(harness.ben.id, 1, deny=permissions.VIEW_CHANNEL))
    async with harness.bot(jobs_at_once=1):
        await harness.imagine("a slow secret", channel=hidden)
        await harness.status_message("(25%)", hidden)
        assert "secret" not in await run_queue(harness, harness.ben)
        assert "secret" in await run_queue(harness, harness.mod)


async def test_jobs_of_other_servers_are_listed_without_details(harness):
    world = harness.server.world
    other = world.add_guild("Elsewhere", harness.ben)
    channel = world.add_channel(other)
    async with harness.bot(jobs_at_once=1):
        await harness.imagine("a slow secret")
        await harness.status_message("(25%)")
        text = await run_queue(harness, harness.ben, channel)
        direct = await run_queue(harness, harness.ben, world.dm_channel(harness.ben))
    for said in (text, direct):
        assert "25% · someone's, in another place\n" in f"{said}\n"
        assert "secret" not in said and str(harness.ada.id) not in said


async def test_many_jams_of_a_host_fit_into_the_lists(harness):
    async with harness.bot() as services:
        place = {"guild_id": harness.guild.id, "channel_id": harness.channel.id, "host_id": harness.ben.id}
        for number in range(50):
            jam = make_session(id=f"{number:012x}", settings={"rounds": 5}, **place)
            assert await services.db.sessions.add(jam, 50)
        listed = await (await harness.person(harness.ben).command("jam list", harness.channel)).message()
        for text in (listed.content, await run_queue(harness)):
            assert text.count("🎷") > 20
            assert text.endswith("\n…")


async def test_a_long_queue_is_cut_with_the_number_left_out(harness):
    async with harness.bot(jobs_at_once=1, waiting_per_person=50):
        await harness.imagine("a slow fox")
        await harness.status_message("(25%)")
        for number in range(15):
            await harness.imagine(f"owl {number}")
            await harness.status_message(f"owl {number}")
        text = await run_queue(harness)
    assert "and 4 more" in text
    assert len(text) < 2000
