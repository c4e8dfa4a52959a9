"""Over all payloads of a whole canvas, nobody blocked, private or erased appears."""

from __future__ import annotations

import asyncio

import pytest
from PIL import ImageChops

from bot.sessions import redrawing
from generation.params import Tile
from tests.cogs.together.canvas.test_canvas import Painting
from tests.support.bot_harness import eventually
from tests.support.payloads import Payloads
from tests.support.sessions import block, is_fresh


@pytest.fixture
def people(harness):
    world = harness.server.world
    added = [world.add_user(name) for name in ("cy", "dorothea", "evangeline")]
    for user in added:
        world.add_member(user, harness.guild)
    return added


async def erase(harness, user, **choice):
    person = harness.person(user)
    summary = await (await person.command("privacy", harness.channel)).message()
    await person.submit_modal(await person.press(summary, "Delete everything"), choice)
    await eventually(
        lambda: any(
            "All your data is deleted" in message.content for message in harness.server.messages(harness.channel)
        )
    )


async def test_nobody_blocked_private_or_erased_appears_on_a_canvas(harness, people):
    ada, benedict, (cy, dorothea, evangeline) = harness.ada, harness.ben, people
    benedict.name = "benedict"
    async with harness.bot() as services:
        everything = Payloads(harness)
        await harness.imagine("a hidden lighthouse --stealth", dorothea)
        painting = await Painting.start(harness, services, "a mosaic sea", width=3, height=3)
        unplaced = await painting.candidates(dorothea, "a secret cave")
        await (await harness.person(dorothea).press(unplaced, "Let it go")).response()
        await painting.paint(benedict, "purple owls")
        await painting.paint(evangeline, "green geese")
        await eventually(lambda: "2 people" in painting.standing.content)
        await block(services, harness, benedict)
        harness.client.sessions.redrawer.wake()
        await eventually(lambda: f"<@{benedict.id}>" not in painting.standing.content)
        after_block = Payloads(harness)
        who = await (await harness.person(cy).press(painting.standing, "📜 Who did what")).message()
        assert '"purple owls" · somebody' in who.content
        await harness.person(cy).press(painting.standing, "🔭 Look around")
        await painting.paint(ada, "a boat")
        await erase(harness, evangeline)
        await eventually(lambda: "green geese" not in painting.standing.content)
        after_erasure = Payloads(harness)
        assert "green geese" not in {piece.words for piece in await services.db.canvases.pieces(painting.id)}
        await harness.person(ada).command("canvas finish", harness.channel)
        last = await harness.server.wait_for(
            harness.channel, lambda message: "the canvas is finished" in message.content
        )
        await painting.until(lambda session: session.ended_at is not None)
        assert "somebody (1)" in last.content
        await harness.person(cy).press(painting.standing, "📜 Who did what")
        await (await harness.person(cy).press(last, "Details")).message()
    assert everything.found("lighthouse", "secret cave", except_to=dorothea) == []
    assert after_block.found(benedict.id, "benedict") == []
    assert after_erasure.found(evangeline.id, "evangeline", "green geese") == []


async def finished(harness, painting):
    await harness.person(harness.ada).command("canvas finish", harness.channel)
    last = await harness.server.wait_for(harness.channel, lambda message: "the canvas is finished" in message.content)
    await painting.until(lambda session: session.ended_at is not None)
    return last


async def test_an_erased_piece_leaves_the_finished_picture_and_its_film(harness):
    async with harness.bot() as services:
        painting = await Painting.start(harness, services, "a mosaic sea", width=3, height=3)
        await painting.paint(harness.ada, "a boat")
        await painting.paint(harness.ben, "something of ben")
        ours = await painting.pixels()
        last = await finished(harness, painting)
        before = [attachment.id for attachment in last.attachments]
        job_id = (await services.db.sessions.round(painting.id, 1)).job_id
        await erase(harness, harness.ben)
        await eventually(lambda: [each.id for each in last.attachments] != before)
        left = await painting.pixels()
        assert 0 < len(left) < len(ours)
        assert f"<@{harness.ben.id}>" not in last.content
        whole = await painting.open_tile(Tile(job_id, 0))
        for (x, y), picture in ours.items():
            same = (
                ImageChops.difference(whole.crop((24 * x, 24 * y, 24 * x + 24, 24 * y + 24)), picture).getbbox() is None
            )
            assert same is ((x, y) in left)
        await eventually(lambda: "1 person" in painting.standing.content)
        assert await is_fresh(services)


async def test_an_erasure_that_cannot_be_shown_is_shown_later(harness, monkeypatch):
    monkeypatch.setattr(redrawing, "RETRY_S", 0.1)
    async with harness.bot() as services:
        painting = await Painting.start(harness, services, "a mosaic sea", width=3, height=3)
        await painting.paint(harness.ada, "a boat")
        await painting.paint(harness.ben, "something of ben")
        last = await finished(harness, painting)
        await eventually(lambda: "This canvas is finished" in painting.standing.content)
        path = f"/channels/{harness.channel.id}/messages/{last.id}"
        failing = harness.server.faults.fail("PATCH", path, status=403, times=1)
        await erase(harness, harness.ben)
        await eventually(lambda: failing.hits == 1)
        assert f"<@{harness.ben.id}>" in last.content
        await asyncio.sleep(0.2)
        harness.client.sessions.redrawer.wake()
        await eventually(lambda: f"<@{harness.ben.id}>" not in last.content)
        assert await is_fresh(services)


@pytest.mark.parametrize("leaves", [False, True])
async def test_the_last_picture_of_an_unfinished_canvas_loses_what_is_erased(harness, leaves):
    async with harness.bot() as services:
        painting = await Painting.start(harness, services, width=3, height=3)
        await painting.paint(harness.ada, "a boat")
        await painting.paint(harness.ben, "a pier")
        session = await services.db.sessions.get(painting.id)
        await harness.client.sessions.end(session, "It ends here.")
        last = await harness.server.wait_for(harness.channel, lambda message: "It ends here." in message.content)
        assert f"<@{harness.ben.id}> (1)" in last.content
        (before,) = last.attachments
        await erase(harness, harness.ben, **({"entries": "leave"} if leaves else {}))
        await eventually(lambda: f"<@{harness.ben.id}>" not in last.content)
        assert "It ends here." in last.content
        assert ("somebody (1)" in last.content) is leaves
        assert [each.id for each in last.attachments] != [before.id]
        assert await is_fresh(services)


async def test_who_leaves_their_pieces_leaves_no_name(harness):
    async with harness.bot() as services:
        painting = await Painting.start(harness, services, width=3, height=3)
        await painting.paint(harness.ada, "a boat")
        await painting.paint(harness.ben, "a pier")
        before = await painting.pixels()
        last = await finished(harness, painting)
        assert f"<@{harness.ben.id}>" in last.content
        await erase(harness, harness.ben, entries="leave")
        await eventually(lambda: f"<@{harness.ben.id}>" not in last.content)
        assert "somebody (1)" in last.content
        assert (await painting.pixels()).keys() == before.keys()
        who = await (await harness.person(harness.ada).press(painting.standing, "📜 Who did what")).message()
        assert '"a pier" · somebody' in who.content


async def test_a_canvas_whose_host_is_erased_ends_with_its_picture(harness):
    async with harness.bot() as services:
        painting = await Painting.start(harness, services, width=3, height=3)
        await painting.paint(harness.ben, "a pier")
        await erase(harness, harness.ada)
        last = await harness.server.wait_for(
            harness.channel, lambda message: "had their data deleted" in message.content
        )
        assert f"<@{harness.ben.id}> (1)" in last.content
        assert last.attachments[0].filename == "canvas.webp"
        await painting.until(lambda session: session.ended_at is not None)
