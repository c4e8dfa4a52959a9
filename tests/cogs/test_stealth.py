"""Stealth jobs stay private from the first response to the result."""

from __future__ import annotations

import pytest

from preview import UploadedFile
from tests.cogs.config.test_config_commands import run_config
from tests.cogs.test_context_menus import close_direct_messages
from tests.support.bot_harness import eventually, first_tile, open_image, red_png


async def wait_for_private_result(harness, user, text):
    """Wait for a message that only `user` sees, with `text` in it."""
    found = await harness.server.wait_for(
        harness.channel,
        lambda message: text in message.content and "U1" in message.labels,
        description="a private result",
    )
    assert found.ephemeral
    assert found.visible_to == user.id
    return found


async def generate_stealth(harness, prompt="a fox", user=None):
    await harness.imagine(f"{prompt} --stealth", user)
    return await wait_for_private_result(harness, user or harness.ada, prompt)


def is_finished(message):
    return "Cancel" not in message.labels and message.buttons


async def test_the_first_response_and_the_result_are_private(harness):
    async with harness.bot():
        first = await (await harness.imagine("a fox --stealth")).message()
        assert first.ephemeral
        result = await wait_for_private_result(harness, harness.ada, "a fox")
    assert result.id == first.id
    assert result.labels == ["U1", "U2", "U3", "U4", "🔄", "V1", "V2", "V3", "V4", "Walk"]
    assert open_image(harness.server, result).size == (128, 128)
    assert not harness.public_messages()
    assert harness.person(harness.ben).visible_messages(harness.channel) == []


async def test_stealth_mode_makes_prompts_private_unless_overridden(harness):
    async with harness.bot():
        await (await harness.person(harness.ada).command("stealth", harness.channel)).message()
        await harness.imagine("a fox")
        await wait_for_private_result(harness, harness.ada, "a fox")
        await harness.imagine("an owl --public")
        owl = await harness.result(text="owl")
        assert not owl.ephemeral
        await (await harness.person(harness.ada).command("public", harness.channel)).message()
        await harness.imagine("a wolf")
        assert not (await harness.result(text="wolf")).ephemeral


@pytest.mark.parametrize("prompt", ["huge fox", "small fox"])
async def test_a_failed_private_job_is_retried_privately(harness, prompt):
    async with harness.bot():
        await harness.imagine("huge fox --stealth")
        failed = await harness.status_message("too large")
        assert failed.visible_to == harness.ada.id
        pressed = await harness.person(harness.ada).press(failed, "Edit and retry")
        sent = await harness.person(harness.ada).submit_modal(pressed, prompt=prompt)
        status = await sent.message()
        await eventually(lambda: "too large" in status.content if prompt == "huge fox" else "U1" in status.labels)
        assert status.visible_to == harness.ada.id
    assert not harness.public_messages()


@pytest.mark.parametrize("label", ["U1", "V2", "🔄"])
async def test_jobs_from_a_private_image_stay_private(harness, label):
    async with harness.bot() as services:
        grid = await generate_stealth(harness)
        asked = await harness.person(harness.ada).press(grid, label)
        made = await asked.wait_for(
            lambda message: message.id != grid.id and message.attachments and is_finished(message)
        )
        assert made.ephemeral
        record = await services.db.jobs.get(first_tile(made).job_id)
        assert record.job.destination.private
    assert not harness.public_messages()


async def test_an_attached_image_is_imported_privately(harness):
    async with harness.bot():
        await harness.imagine("a fox --iw 3 --stealth", image=UploadedFile("red.png", red_png(300, 300)))
        await wait_for_private_result(harness, harness.ada, "a fox")
    assert not harness.public_messages()


async def test_progress_and_cancelling_are_private_too(harness):
    async with harness.bot():
        status = await (await harness.imagine("slow fox --stealth")).message()
        await harness.server.wait_until(lambda: "(25%)" in status.content)
        await harness.person(harness.ada).press(status, "Cancel")
        await harness.server.wait_until(lambda: "Cancelled" in status.content)
    assert not harness.public_messages()


async def test_a_wait_beyond_the_token_is_announced_and_delivered_by_dm(harness):
    direct = harness.server.world.dm_channel(harness.ada)
    async with harness.bot():
        status = await (await harness.imagine("slow fox --stealth")).message()
        await harness.server.wait_until(lambda: "(25%)" in status.content)
        harness.server.world.clock.advance(13.5 * 60)
        await harness.server.wait_until(lambda: "direct message" in status.content)
        harness.server.world.clock.advance(2 * 60)
        harness.release_slow_jobs()
        result = await harness.result(channel=direct)
        assert "slow fox" in result.content
        await harness.person(harness.ada).press(result, "U1")
        await harness.result(text="Image #1", channel=direct)
    assert not harness.public_messages()


async def test_a_private_job_resumes_privately_after_a_restart(harness):
    async with harness.bot():
        status = await (await harness.imagine("slow fox --stealth")).message()
        await harness.server.wait_until(lambda: "(25%)" in status.content)
    harness.release_slow_jobs()
    async with harness.bot():
        assert (await wait_for_private_result(harness, harness.ada, "slow fox")).id == status.id
    assert not harness.public_messages()


async def test_only_the_owner_finds_a_private_result_again(harness):
    async with harness.bot():
        grid = await generate_stealth(harness)
        job_id = first_tile(grid).job_id
        assert await harness.person(harness.ben).autocomplete("show", harness.channel, "job", "fox") == []
        refused = await (await harness.person(harness.ben).command("show", harness.channel, job=job_id)).message()
        assert "may see" in refused.content
        again = await (await harness.person(harness.ada).command("show", harness.channel, job=job_id)).message()
        assert again.ephemeral
        assert again.labels == grid.labels
    assert not harness.public_messages()


async def test_a_private_parent_is_not_shown_to_others(harness):
    async with harness.bot() as services:
        grid = await generate_stealth(harness)
        tile = first_tile(grid)
        # Another user can press this button only with a handmade request.
        public = await (await harness.person(harness.ben).command("help", harness.channel)).message()
        row = {"type": 1, "components": [{"type": 2, "style": 2, "label": "V1", "custom_id": f"vary_strong:{tile}"}]}
        row["components"][0]["id"] = 99
        public.components.append(row | {"id": 98})
        refused = await harness.person(harness.ben).press(public, custom_id=f"vary_strong:{tile}")
        reply = await refused.wait_for(lambda message: "private" in message.content)
        assert reply.ephemeral
        assert len(await services.db.search.by_prompt(harness.ben.id, "")) == 0


async def test_results_in_direct_messages_are_not_ephemeral(harness):
    direct = harness.server.world.dm_channel(harness.ada)
    async with harness.bot():
        await harness.imagine("a fox --stealth", channel=direct)
        result = await harness.result(channel=direct)
    assert not result.ephemeral


async def test_a_server_without_stealth_refuses_instead_of_posting_publicly(harness):
    async with harness.bot():
        await (await harness.person(harness.mod).command("config stealth", harness.channel, allowed=False)).message()
        refused = await (await harness.imagine("a fox --stealth")).message()
    assert refused.ephemeral
    assert "switched off" in refused.content
    assert not harness.public_messages()


async def test_an_undelivered_private_result_can_still_be_shown(harness):
    async with harness.bot():
        status = await (await harness.imagine("slow fox --stealth")).message()
        await harness.server.wait_until(lambda: "(25%)" in status.content)
        close_direct_messages(harness, harness.ada)
        harness.server.world.clock.advance(15 * 60)
        harness.release_slow_jobs()
        await eventually(lambda: not harness.tasks)
        again = await (await harness.person(harness.ada).command("show", harness.channel, job="slow")).message()
        assert again.ephemeral
        assert "U1" in again.labels
    assert not harness.public_messages()


async def test_stealth_presses_on_a_public_image_stay_private_and_give_credit(harness):
    async with harness.bot():
        await harness.imagine("a fox")
        grid = await harness.result()
        await (await harness.person(harness.ben).command("stealth", harness.channel)).message()
        asked = await harness.person(harness.ben).press(grid, "V1")
        made = await asked.wait_for(lambda message: message.id != grid.id and is_finished(message))
    assert made.ephemeral
    assert f"after a picture by <@{harness.ada.id}>" in made.content
    assert len(harness.public_messages()) == 1


async def test_private_pictures_have_a_way_on_once_they_are_switched_off(harness):
    ada = harness.person(harness.ada)
    async with harness.bot():
        grid = await generate_stealth(harness)
        await run_config(harness, "stealth", allowed=False)
        await ada.press(grid, "U1")
        single = await harness.server.wait_for(harness.channel, lambda message: "Remix" in message.labels)
        assert single.ephemeral
        refused = await (await ada.press(single, "Vary (Strong)")).message()
        assert "*Remix* with `--public`" in refused.content
        await ada.submit_modal(await ada.press(single, "Remix"), {"prompt": "a cat --public"})
        assert not (await harness.result(text="a cat")).ephemeral


async def test_a_public_grid_has_no_private_pictures_where_they_are_switched_off(harness):
    async with harness.bot() as services:
        await harness.imagine("a fox")
        await services.db.preferences.update(harness.ben.id, private=True)
        await run_config(harness, "stealth", allowed=False)
        refused = await (await harness.person(harness.ben).press(await harness.result(), "U1")).message()
        assert refused.ephemeral
        assert "switched off" in refused.content
