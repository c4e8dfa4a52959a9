"""✉️ and ❌ from the owner, and results by direct message for who wants all of them so."""

from __future__ import annotations

import asyncio
import sys

import pytest

from tests.bot.conftest import eventually, is_result, tile_of
from tests.bot.test_menus import close_direct_messages, letters


async def drawn(stage, prompt="a fox", user=None):
    await stage.imagine(prompt, user)
    return await stage.result(text=prompt)


@pytest.mark.parametrize("emoji", ["✉️", "✉"])
async def test_an_envelope_sends_the_owner_each_picture(stage, emoji):
    async with stage.bot():
        grid = await drawn(stage, "a fox")
        await stage.person(stage.ada).react(grid, emoji)
        await stage.server.wait_until(lambda: len(letters(stage, stage.ada)) == 4)
    assert all(len(letter.attachments) == 1 for letter in letters(stage, stage.ada))


async def test_who_takes_no_direct_messages_is_told_in_the_channel_and_for_a_moment(stage, monkeypatch):
    async with stage.bot():
        monkeypatch.setattr(sys.modules["cogs.reactions"], "REPLY_TTL_S", 0.2)
        grid = await drawn(stage)
        close_direct_messages(stage, stage.ada)
        await stage.person(stage.ada).react(grid, "✉️")
        told = await stage.notice("DM results")
        assert told.reference["message_id"] == str(grid.id)
        assert stage.server.pinged_by(told) == [stage.ada]
        await stage.server.wait_until(lambda: told.deleted)


async def test_a_cross_deletes_a_result_with_its_files(stage):
    async with stage.bot() as studio:
        grid = await drawn(stage)
        sheet = studio.images.path(tile_of(grid))
        assert sheet.exists()
        await eventually(lambda: not studio.tasks)
        await stage.person(stage.ada).react(grid, "❌")
        await stage.server.wait_until(lambda: grid.deleted)
        await eventually(lambda: not sheet.exists())


async def test_a_cross_cancels_what_is_being_drawn(stage):
    async with stage.bot():
        await stage.imagine("slow fox")
        notice = await stage.notice("(25%)")
        await stage.person(stage.ada).react(notice, "❌")
        await stage.server.wait_until(lambda: f"Cancelled by <@{stage.ada.id}>" in notice.content)


@pytest.mark.parametrize("emoji", ["❌", "✉️"])
async def test_others_reactions_and_other_emoji_do_nothing(stage, emoji):
    async with stage.bot() as studio:
        grid = await drawn(stage)
        await eventually(lambda: not studio.tasks)
        await stage.person(stage.ben).react(grid, emoji)
        await stage.person(stage.ada).react(grid, "👍")
        hello = await stage.person(stage.ben).send(stage.channel, "hello")
        await stage.person(stage.ada).react(hello, emoji)
        await drawn(stage, "an owl")
        assert letters(stage, stage.ada) == letters(stage, stage.ben) == []
    assert not grid.deleted


async def test_a_result_that_was_shown_again_takes_reactions_too(stage):
    async with stage.bot():
        await drawn(stage)
        shown = await (await stage.person(stage.ada).command("show", stage.channel, job="fox")).message()
        await stage.person(stage.ada).react(shown, "✉️")
        await stage.server.wait_until(lambda: len(letters(stage, stage.ada)) == 4)


async def test_a_cross_below_what_was_shown_again_deletes_both_messages(stage):
    async with stage.bot() as studio:
        grid = await drawn(stage)
        await eventually(lambda: not studio.tasks)
        shown = await (await stage.person(stage.ada).command("show", stage.channel, job="fox")).message()
        await stage.person(stage.ada).react(shown, "❌")
        await stage.server.wait_until(lambda: grid.deleted and shown.deleted)


async def test_taking_a_reaction_back_and_giving_it_again_sends_the_pictures_once(stage):
    async with stage.bot():
        grid = await drawn(stage)
        path = f"/channels/{stage.server.world.dm_channel(stage.ada).id}/messages"
        held = stage.server.faults.hold("POST", path)
        await stage.person(stage.ada).react(grid, "✉️")
        await asyncio.wait_for(held.reached.wait(), 10)
        for _ in range(3):
            await stage.person(stage.ada).unreact(grid, "✉️")
            await stage.person(stage.ada).react(grid, "✉️")
        held.release()
        await stage.server.wait_until(lambda: len(letters(stage, stage.ada)) == 4)
        await drawn(stage, "an owl")
    assert len(letters(stage, stage.ada)) == 4


async def test_reactions_work_in_direct_messages(stage):
    channel = stage.server.world.dm_channel(stage.ada)
    async with stage.bot() as studio:
        await stage.imagine("a fox", channel=channel)
        result = await stage.result(channel=channel)
        await eventually(lambda: not studio.tasks)
        await stage.person(stage.ada).react(result, "❌")
        await stage.server.wait_until(lambda: result.deleted)


async def test_who_wants_it_so_gets_a_copy_of_every_result_with_buttons_that_work(stage):
    channel = stage.server.world.dm_channel(stage.ada)
    async with stage.bot() as studio:
        await studio.preferences.update(stage.ada.id, auto_dm=True)
        grid = await drawn(stage)
        copy = await stage.result(channel=channel)
        assert copy.content == grid.content
        assert copy.labels == grid.labels
        await drawn(stage, "bens own", stage.ben)
        await stage.person(stage.ada).press(copy, "U1")
        await stage.result(text="Image #1", channel=channel)
        await eventually(lambda: not studio.tasks)
    assert len([message for message in letters(stage, stage.ada) if is_result(message)]) == 2
    assert letters(stage, stage.ben) == []


async def test_a_copy_that_cannot_be_sent_harms_nothing(stage):
    async with stage.bot() as studio:
        await studio.preferences.update(stage.ada.id, auto_dm=True)
        fault = close_direct_messages(stage, stage.ada)
        await drawn(stage)
        await eventually(lambda: fault.hits)
        await drawn(stage, "an owl")
