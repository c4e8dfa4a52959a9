"""The menu of a message."""

from __future__ import annotations

import sys

import pytest

from preview import UploadedFile
from tests.bot.conftest import picture, red, tile_of
from tests.bot.test_retry import prompt_of

MENUS = ["Cancel job", "DM results", "Use as image prompt", "Remix this", "Report"]


async def choose(stage, name, message, user=None):
    return await stage.person(user or stage.ada).context_menu(name, message)


async def private(interaction):
    answer = await interaction.message()
    assert answer.ephemeral
    return answer.content


def letters(stage, user):
    return stage.server.world.channel_messages(stage.server.world.dm_channel(user))


def close_direct_messages(stage, user):
    """Have Discord refuse direct messages to somebody, as it does when they have switched them off."""
    body = {"code": 50007, "message": "Cannot send messages to this user"}
    path = f"/channels/{stage.server.world.dm_channel(user).id}/messages"
    return stage.server.faults.fail("POST", path, status=403, body=body, times=99)


async def test_there_are_five_menus(stage):
    async with stage.bot():
        offered = [each["name"] for each in stage.person(stage.ada).commands(stage.channel, 3)]
    assert sorted(offered) == sorted(MENUS)


@pytest.mark.parametrize("menu", MENUS)
async def test_each_menu_has_a_clear_answer_for_a_message_of_somebody_else(stage, menu):
    async with stage.bot():
        message = await stage.person(stage.ben).send(stage.channel, "hello")
        says = await private(await choose(stage, menu, message))
    assert says == (
        "There is no picture in this message."
        if menu == "Use as image prompt"
        else "This is not a message of mine: choose a picture that I have drawn."
    )


@pytest.mark.parametrize("menu", [menu for menu in MENUS if menu != "Use as image prompt"])
async def test_each_menu_has_a_clear_answer_for_a_message_of_the_bots_without_a_job(stage, menu):
    async with stage.bot():
        message = await (await stage.person(stage.ada).command("help", stage.channel)).message()
        assert "no job of mine" in await private(await choose(stage, menu, message))


async def test_the_owner_cancels_by_the_menu_of_the_notice_and_others_may_not(stage):
    async with stage.bot() as studio:
        await stage.imagine("slow fox")
        notice = await stage.notice("(25%)")
        assert "moderator" in await private(await choose(stage, "Cancel job", notice, stage.ben))
        assert studio.queue.running
        assert "cancelled" in await private(await choose(stage, "Cancel job", notice))
        await stage.server.wait_until(lambda: f"Cancelled by <@{stage.ada.id}>" in notice.content)
        assert notice.labels == []


async def test_what_has_ended_cannot_be_cancelled(stage):
    async with stage.bot():
        await stage.imagine("fox")
        assert "already ended" in await private(await choose(stage, "Cancel job", await stage.result()))


async def test_anybody_who_sees_a_result_gets_its_pictures_by_direct_message(stage):
    async with stage.bot():
        await stage.imagine("a fox --seed 5")
        grid = await stage.result()
        asked = await choose(stage, "DM results", grid, stage.ben)
        await asked.wait_for(lambda message: "direct messages" in message.content)
    sent = letters(stage, stage.ben)
    assert len(sent) == 4
    for number, letter in enumerate(sent):
        assert letter.content.startswith("**a fox**\n")
        assert f"`{tile_of(grid).job_id}`" in letter.content
        assert f"image #{number + 1} of 4" in letter.content
        assert f"seed {5 + number}" in letter.content
        assert f"/{stage.channel.id}/{grid.id}" in letter.content
        assert picture(stage.server, letter).size == (64, 64)


async def test_who_takes_no_direct_messages_gets_the_pictures_privately(stage):
    async with stage.bot():
        await stage.imagine("a fox")
        grid = await stage.result()
        close_direct_messages(stage, stage.ada)
        asked = await choose(stage, "DM results", grid)
        answer = await asked.wait_for(lambda message: message.attachments)
    assert answer.ephemeral
    assert len(answer.attachments) == 4
    assert letters(stage, stage.ada) == []


async def test_a_notice_has_no_results_yet(stage):
    async with stage.bot():
        await stage.imagine("slow fox")
        assert "not drawn yet" in await private(await choose(stage, "DM results", await stage.notice("(25%)")))


async def test_anybodys_picture_becomes_an_image_prompt(stage):
    async with stage.bot() as studio:
        message = await stage.person(stage.ben).send(stage.channel, "look", UploadedFile("red.png", red(300, 300)))
        asked = await choose(stage, "Use as image prompt", message)
        await stage.person(stage.ada).submit_modal(asked, prompt="a fox --iw 3")
        result = await stage.result(text="a fox")
        params = (await studio.store.get(tile_of(result).job_id)).job.params
    assert params.source is not None
    assert picture(stage.server, result).getpixel((10, 10))[0] > 150


async def test_the_bots_own_pictures_can_be_image_prompts_too(stage):
    async with stage.bot():
        await stage.imagine("a fox")
        asked = await choose(stage, "Use as image prompt", await stage.result())
        await stage.person(stage.ada).submit_modal(asked, prompt="an owl")
        await stage.result(text="an owl")


async def test_a_picture_that_cannot_be_had_in_time_is_said(stage, monkeypatch):
    async with stage.bot():
        monkeypatch.setattr(sys.modules["cogs.context_menus"], "FETCH_TIMEOUT_S", 0.0)
        message = await stage.person(stage.ben).send(stage.channel, "look", UploadedFile("red.png", red(300, 300)))
        assert "takes too long" in await private(await choose(stage, "Use as image prompt", message))


async def test_remix_this_asks_for_other_words_of_a_grid_and_of_a_picture(stage):
    async with stage.bot():
        await stage.imagine("a fox")
        grid = await stage.result()
        asked = await choose(stage, "Remix this", grid)
        assert prompt_of(await asked.modal()) == "a fox"
        await stage.person(stage.ada).submit_modal(asked, prompt="an owl")
        await stage.result(text="an owl** - Drawn again")
        await stage.person(stage.ada).press(grid, "U1")
        picked = await stage.result(text="Image #1")
        asked = await choose(stage, "Remix this", picked, stage.ben)
        await stage.person(stage.ben).submit_modal(asked, prompt="a wolf")
        await stage.result(text="a wolf** - Remix (Strong)")


async def test_a_report_is_kept_once_with_its_reason(stage):
    async with stage.bot() as studio:
        await stage.imagine("a fox")
        grid = await stage.result()
        for says in ("Thank you", "already"):
            asked = await choose(stage, "Report", grid, stage.ben)
            sent = await stage.person(stage.ben).submit_modal(asked, reason="not for here")
            assert says in await private(sent)
        (report,) = await studio.reports.list_open(stage.guild.id)
    assert (report.job_id, report.person_id, report.reason) == (tile_of(grid).job_id, stage.ben.id, "not for here")


async def test_in_direct_messages_there_is_nobody_to_report_to(stage):
    channel = stage.server.world.dm_channel(stage.ada)
    async with stage.bot():
        await stage.imagine("a fox", channel=channel)
        result = await stage.result(channel=channel)
        assert "none here" in await private(await choose(stage, "Report", result))


async def test_a_result_that_was_shown_again_has_its_menu_too(stage):
    async with stage.bot():
        await stage.imagine("a fox")
        await stage.result()
        shown = await (await stage.person(stage.ada).command("show", stage.channel, job="fox")).message()
        await (await choose(stage, "DM results", shown)).wait_for(lambda message: "direct" in message.content)
    assert len(letters(stage, stage.ada)) == 4
