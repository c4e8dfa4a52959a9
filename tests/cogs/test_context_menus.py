"""The context menus of a message."""

from __future__ import annotations

import sys

from preview import UploadedFile
from tests.cogs.test_prompt_modal import modal_prompt
from tests.support.bot_harness import first_tile, open_image, red_png

MENUS = ["Cancel job", "DM results", "Use this picture…", "Remix this", "Report"]


async def use_menu(harness, name, message, user=None):
    return await harness.person(user or harness.ada).context_menu(name, message)


async def private_text(interaction):
    answer = await interaction.message()
    assert answer.ephemeral
    return answer.content


def direct_messages(harness, user):
    return harness.server.world.channel_messages(harness.server.world.dm_channel(user))


def close_direct_messages(harness, user):
    """Make Discord refuse direct messages to a user, as if they had turned them off."""
    body = {"code": 50007, "message": "Cannot send messages to this user"}
    path = f"/channels/{harness.server.world.dm_channel(user).id}/messages"
    return harness.server.faults.fail("POST", path, status=403, body=body, times=99)


async def test_there_are_five_menus(harness):
    async with harness.bot():
        offered = [each["name"] for each in harness.person(harness.ada).commands(harness.channel, 3)]
    assert sorted(offered) == sorted(MENUS)


async def test_each_menu_explains_a_message_of_another_user(harness):
    async with harness.bot():
        message = await harness.person(harness.ben).send(harness.channel, "hello")
        for menu in MENUS:
            assert await private_text(await use_menu(harness, menu, message)) == (
                "There is no picture in this message."
                if menu == "Use this picture…"
                else "This message is not mine: choose a picture that I drew."
            )


async def test_each_context_menu_explains_a_bot_message_without_a_job(harness):
    async with harness.bot():
        message = await (await harness.person(harness.ada).command("help", harness.channel)).message()
        for menu in MENUS:
            if menu != "Use this picture…":
                assert "found no job" in await private_text(await use_menu(harness, menu, message)), menu


async def test_only_the_owner_cancels_by_the_menu_of_the_status_message(harness):
    async with harness.bot() as services:
        await harness.imagine("slow fox")
        status = await harness.status_message("(25%)")
        assert "moderator" in await private_text(await use_menu(harness, "Cancel job", status, harness.ben))
        assert services.queue.running
        assert "cancelled" in await private_text(await use_menu(harness, "Cancel job", status))
        await harness.server.wait_until(lambda: f"Cancelled by <@{harness.ada.id}>" in status.content)
        assert status.labels == []


async def test_a_finished_job_cannot_be_cancelled(harness):
    async with harness.bot():
        await harness.imagine("fox")
        said = await private_text(await use_menu(harness, "Cancel job", await harness.result()))
    assert said.startswith("This picture is finished. *Delete*")


async def test_anyone_who_sees_a_result_gets_its_images_by_direct_message(harness):
    async with harness.bot():
        await harness.imagine("a fox --seed 5")
        grid = await harness.result()
        asked = await use_menu(harness, "DM results", grid, harness.ben)
        await asked.wait_for(lambda message: "direct messages" in message.content)
    sent = direct_messages(harness, harness.ben)
    assert len(sent) == 4
    for number, dm in enumerate(sent):
        assert dm.content.startswith("**a fox**\n")
        assert f"`{first_tile(grid).job_id}`" in dm.content
        assert f"image #{number + 1} of 4" in dm.content
        assert f"seed {5 + number}" in dm.content
        assert f"/{harness.channel.id}/{grid.id}" in dm.content
        assert open_image(harness.server, dm).size == (64, 64)


async def test_users_with_closed_direct_messages_get_the_images_privately(harness):
    async with harness.bot():
        await harness.imagine("a fox")
        grid = await harness.result()
        close_direct_messages(harness, harness.ada)
        asked = await use_menu(harness, "DM results", grid)
        answer = await asked.wait_for(lambda message: message.attachments)
    assert answer.ephemeral
    assert len(answer.attachments) == 4
    assert direct_messages(harness, harness.ada) == []


async def test_a_status_message_has_no_results_yet(harness):
    async with harness.bot():
        await harness.imagine("slow fox")
        assert "not drawn yet" in await private_text(
            await use_menu(harness, "DM results", await harness.status_message("(25%)"))
        )


async def test_anyones_image_becomes_an_image_prompt(harness):
    async with harness.bot() as services:
        message = await harness.person(harness.ben).send(
            harness.channel, "look", UploadedFile("red.png", red_png(300, 300))
        )
        asked = await use_menu(harness, "Use this picture…", message)
        modal = await asked.modal()
        assert modal["title"] == "Use this picture"
        assert f"/{message.id})" in modal["components"][0]["content"]
        assert "ben" in modal["components"][0]["content"]
        await harness.person(harness.ada).submit_modal(asked, prompt="a fox --iw 3")
        result = await harness.result(text="a fox")
        params = (await services.db.jobs.get(first_tile(result).job_id)).job.params
    assert params.source is not None
    assert open_image(harness.server, result).getpixel((10, 10))[0] > 150


async def test_the_bots_own_images_can_be_image_prompts_too(harness):
    async with harness.bot():
        await harness.imagine("a fox")
        asked = await use_menu(harness, "Use this picture…", await harness.result())
        await harness.person(harness.ada).submit_modal(asked, prompt="an owl")
        await harness.result(text="an owl")


async def test_an_image_that_downloads_too_slowly_is_reported(harness, monkeypatch):
    async with harness.bot():
        monkeypatch.setattr(sys.modules["cogs.use_picture"], "FETCH_TIMEOUT_S", 0.0)
        message = await harness.person(harness.ben).send(
            harness.channel, "look", UploadedFile("red.png", red_png(300, 300))
        )
        assert "takes too long" in await private_text(await use_menu(harness, "Use this picture…", message))


async def test_remix_this_opens_the_prompt_of_a_grid_or_a_single_image(harness):
    async with harness.bot():
        await harness.imagine("a fox")
        grid = await harness.result()
        asked = await use_menu(harness, "Remix this", grid)
        assert modal_prompt(await asked.modal()) == "a fox"
        await harness.person(harness.ada).submit_modal(asked, prompt="an owl")
        await harness.result(text="an owl** - Rerolled")
        await harness.person(harness.ada).press(grid, "U1")
        picked = await harness.result(text="Image #1")
        asked = await use_menu(harness, "Remix this", picked, harness.ben)
        await harness.person(harness.ben).submit_modal(asked, prompt="a wolf")
        await harness.result(text="a wolf** - Remix (Strong)")


async def test_a_report_is_stored_once_with_its_reason(harness):
    async with harness.bot() as services:
        await harness.imagine("a fox")
        grid = await harness.result()
        for says in ("Thank you", "already"):
            asked = await use_menu(harness, "Report", grid, harness.ben)
            sent = await harness.person(harness.ben).submit_modal(asked, reason="not for here")
            assert says in await private_text(sent)
        (report,) = await services.db.reports.list_open(harness.guild.id)
    assert (report.job_id, report.person_id, report.reason) == (first_tile(grid).job_id, harness.ben.id, "not for here")


async def test_reports_are_refused_in_direct_messages(harness):
    channel = harness.server.world.dm_channel(harness.ada)
    async with harness.bot():
        await harness.imagine("a fox", channel=channel)
        result = await harness.result(channel=channel)
        assert "none here" in await private_text(await use_menu(harness, "Report", result))


async def test_the_menus_work_on_a_reposted_result(harness):
    async with harness.bot():
        await harness.imagine("a fox")
        await harness.result()
        shown = await (await harness.person(harness.ada).command("show", harness.channel, job="fox")).message()
        await (await use_menu(harness, "DM results", shown)).wait_for(lambda message: "direct" in message.content)
    assert len(direct_messages(harness, harness.ada)) == 4
