"""Privately, from the first word to the result, as long as Discord lets the bot answer so."""

from __future__ import annotations

import pytest

from preview import UploadedFile
from tests.bot.conftest import eventually, picture, red, tile_of
from tests.bot.test_menus import close_direct_messages


async def shown_to(stage, user, text):
    """Wait for a message that only `user` sees, with `text` in it."""
    found = await stage.server.wait_for(
        stage.channel, lambda message: text in message.content and "U1" in message.labels, 20, "a private result"
    )
    assert found.ephemeral
    assert found.visible_to == user.id
    return found


async def stealthily(stage, prompt="a fox", user=None):
    await stage.imagine(f"{prompt} --stealth", user)
    return await shown_to(stage, user or stage.ada, prompt)


def is_made(message):
    return "Cancel" not in message.labels and message.buttons


async def test_the_first_answer_and_the_result_are_seen_by_the_person_alone(stage):
    async with stage.bot():
        first = await (await stage.imagine("a fox --stealth")).message()
        assert first.ephemeral
        result = await shown_to(stage, stage.ada, "a fox")
    assert result.id == first.id
    assert result.labels == ["U1", "U2", "U3", "U4", "🔄", "V1", "V2", "V3", "V4"]
    assert picture(stage.server, result).size == (128, 128)
    assert not stage.public()
    assert stage.person(stage.ben).visible_messages(stage.channel) == []


async def test_stealth_mode_makes_every_prompt_private_but_those_that_say_otherwise(stage):
    async with stage.bot():
        await (await stage.person(stage.ada).command("stealth", stage.channel)).message()
        await stage.imagine("a fox")
        await shown_to(stage, stage.ada, "a fox")
        await stage.imagine("an owl --public")
        owl = await stage.result(text="owl")
        assert not owl.ephemeral
        await (await stage.person(stage.ada).command("public", stage.channel)).message()
        await stage.imagine("a wolf")
        assert not (await stage.result(text="wolf")).ephemeral


@pytest.mark.parametrize("prompt", ["huge fox", "small fox"])
async def test_a_private_job_that_failed_is_tried_again_privately(stage, prompt):
    async with stage.bot():
        await stage.imagine("huge fox --stealth")
        failed = await stage.notice("too large")
        assert failed.visible_to == stage.ada.id
        pressed = await stage.person(stage.ada).press(failed, "Edit and retry")
        sent = await stage.person(stage.ada).submit_modal(pressed, prompt=prompt)
        notice = await sent.message()
        await eventually(lambda: "too large" in notice.content if prompt == "huge fox" else "U1" in notice.labels)
        assert notice.visible_to == stage.ada.id
    assert not stage.public()


@pytest.mark.parametrize("label", ["U1", "V2", "🔄"])
async def test_what_is_made_from_a_private_picture_stays_private(stage, label):
    async with stage.bot() as studio:
        grid = await stealthily(stage)
        asked = await stage.person(stage.ada).press(grid, label)
        made = await asked.wait_for(lambda message: message.id != grid.id and message.attachments and is_made(message))
        assert made.ephemeral
        record = await studio.store.get(tile_of(made).job_id)
        assert record.job.destination.private
    assert not stage.public()


async def test_an_attached_picture_is_taken_in_privately(stage):
    async with stage.bot():
        await stage.imagine("a fox --iw 3 --stealth", image=UploadedFile("red.png", red(300, 300)))
        await shown_to(stage, stage.ada, "a fox")
    assert not stage.public()


async def test_progress_and_cancelling_are_private_too(stage):
    async with stage.bot():
        notice = await (await stage.imagine("slow fox --stealth")).message()
        await stage.server.wait_until(lambda: "(25%)" in notice.content)
        await stage.person(stage.ada).press(notice, "Cancel")
        await stage.server.wait_until(lambda: "Cancelled" in notice.content)
    assert not stage.public()


async def test_who_has_to_wait_longer_than_discord_allows_is_told_in_time_and_gets_it_by_direct_message(stage):
    direct = stage.server.world.dm_channel(stage.ada)
    async with stage.bot():
        notice = await (await stage.imagine("slow fox --stealth")).message()
        await stage.server.wait_until(lambda: "(25%)" in notice.content)
        stage.server.world.clock.advance(13.5 * 60)
        await stage.server.wait_until(lambda: "direct message" in notice.content)
        stage.server.world.clock.advance(2 * 60)
        stage.go()
        result = await stage.result(channel=direct)
        assert "slow fox" in result.content
        await stage.person(stage.ada).press(result, "U1")
        await stage.result(text="Image #1", channel=direct)
    assert not stage.public()


async def test_it_goes_on_privately_after_a_restart(stage):
    async with stage.bot():
        notice = await (await stage.imagine("slow fox --stealth")).message()
        await stage.server.wait_until(lambda: "(25%)" in notice.content)
    stage.go()
    async with stage.bot():
        assert (await shown_to(stage, stage.ada, "slow fox")).id == notice.id
    assert not stage.public()


async def test_only_the_owner_finds_it_again_and_privately(stage):
    async with stage.bot():
        grid = await stealthily(stage)
        job_id = tile_of(grid).job_id
        assert await stage.person(stage.ben).autocomplete("show", stage.channel, "job", "fox") == []
        refused = await (await stage.person(stage.ben).command("show", stage.channel, job=job_id)).message()
        assert "may see" in refused.content
        again = await (await stage.person(stage.ada).command("show", stage.channel, job=job_id)).message()
        assert again.ephemeral
        assert again.labels == grid.labels
    assert not stage.public()


async def test_a_private_parent_is_named_to_nobody_else(stage):
    async with stage.bot() as studio:
        grid = await stealthily(stage)
        tile = tile_of(grid)
        # The button is somebody else's to press only if they write the request themselves.
        public = await (await stage.person(stage.ben).command("help", stage.channel)).message()
        row = {"type": 1, "components": [{"type": 2, "style": 2, "label": "V1", "custom_id": f"vary_strong:{tile}"}]}
        row["components"][0]["id"] = 99
        public.components.append(row | {"id": 98})
        refused = await stage.person(stage.ben).press(public, custom_id=f"vary_strong:{tile}")
        told = await refused.wait_for(lambda message: "private" in message.content)
        assert told.ephemeral
        assert len(await studio.search.by_prompt(stage.ben.id, "")) == 0


async def test_in_direct_messages_results_stay_and_need_no_hiding(stage):
    direct = stage.server.world.dm_channel(stage.ada)
    async with stage.bot():
        await stage.imagine("a fox --stealth", channel=direct)
        result = await stage.result(channel=direct)
    assert not result.ephemeral


async def test_a_server_that_allows_no_stealth_says_so_instead_of_showing_everybody(stage):
    async with stage.bot():
        await (await stage.person(stage.mod).command("config stealth", stage.channel, allowed=False)).message()
        refused = await (await stage.imagine("a fox --stealth")).message()
    assert refused.ephemeral
    assert "switched off" in refused.content
    assert not stage.public()


async def test_what_could_be_given_to_nobody_can_still_be_shown(stage):
    async with stage.bot() as studio:
        notice = await (await stage.imagine("slow fox --stealth")).message()
        await stage.server.wait_until(lambda: "(25%)" in notice.content)
        close_direct_messages(stage, stage.ada)
        stage.server.world.clock.advance(15 * 60)
        stage.go()
        await eventually(lambda: not studio.tasks)
        again = await (await stage.person(stage.ada).command("show", stage.channel, job="slow")).message()
        assert again.ephemeral
        assert "U1" in again.labels
    assert not stage.public()


async def test_whoever_presses_a_public_picture_in_stealth_mode_gets_theirs_privately_and_gives_credit(stage):
    async with stage.bot():
        await stage.imagine("a fox")
        grid = await stage.result()
        await (await stage.person(stage.ben).command("stealth", stage.channel)).message()
        asked = await stage.person(stage.ben).press(grid, "V1")
        made = await asked.wait_for(lambda message: message.id != grid.id and is_made(message))
    assert made.ephemeral
    assert f"after a picture by <@{stage.ada.id}>" in made.content
    assert len(stage.public()) == 1
