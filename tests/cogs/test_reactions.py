"""The owner's ✉️ and ❌ reactions, and results by direct message for users who opt in."""

from __future__ import annotations

import asyncio
import sys

import pytest

from tests.cogs.test_context_menus import close_direct_messages, direct_messages
from tests.support.bot_harness import eventually, first_tile, is_result
from tests.support.timing import TIMEOUT_S


async def generate_result(harness, prompt="a fox", user=None):
    await harness.imagine(prompt, user)
    return await harness.result(text=prompt)


@pytest.mark.parametrize("emoji", ["✉️", "✉"])
async def test_an_envelope_sends_the_owner_each_image(harness, emoji):
    async with harness.bot():
        grid = await generate_result(harness, "a fox")
        await harness.person(harness.ada).react(grid, emoji)
        await harness.server.wait_until(lambda: len(direct_messages(harness, harness.ada)) == 4)
    assert all(len(dm.attachments) == 1 for dm in direct_messages(harness, harness.ada))


async def test_closed_direct_messages_are_reported_briefly_in_the_channel(harness, monkeypatch):
    async with harness.bot():
        monkeypatch.setattr(sys.modules["cogs.reactions"], "REPLY_TTL_S", 0.2)
        grid = await generate_result(harness)
        close_direct_messages(harness, harness.ada)
        await harness.person(harness.ada).react(grid, "✉️")
        reply = await harness.status_message("DM results")
        assert reply.reference["message_id"] == str(grid.id)
        assert harness.server.pinged_by(reply) == [harness.ada]
        await harness.server.wait_until(lambda: reply.deleted)


async def test_a_cross_deletes_a_result_with_its_files(harness):
    async with harness.bot() as services:
        grid = await generate_result(harness)
        grid_path = services.images.files.path(first_tile(grid))
        assert grid_path.exists()
        await eventually(lambda: not harness.tasks)
        await harness.person(harness.ada).react(grid, "❌")
        await harness.server.wait_until(lambda: grid.deleted)
        await eventually(lambda: not grid_path.exists())


async def test_a_cross_cancels_a_running_job(harness):
    async with harness.bot():
        await harness.imagine("slow fox")
        status = await harness.status_message("(25%)")
        await harness.person(harness.ada).react(status, "❌")
        await harness.server.wait_until(lambda: f"Cancelled by <@{harness.ada.id}>" in status.content)


@pytest.mark.parametrize("chosen", [True, False])
async def test_a_reaction_is_answered_in_the_language_of_the_server(harness, chosen):
    if not chosen:
        harness.guild.locale = "de"
    async with harness.bot():
        if chosen:
            moderator = harness.person(harness.mod)
            await (await moderator.command("config language", harness.channel, language="Deutsch")).message()
        await harness.imagine("slow fox")
        status = await harness.status_message("(25%)")
        await harness.person(harness.ada).react(status, "❌")
        await harness.server.wait_until(lambda: f"Abgebrochen von <@{harness.ada.id}>" in status.content)


@pytest.mark.parametrize("emoji", ["❌", "✉️"])
async def test_others_reactions_and_other_emoji_do_nothing(harness, emoji):
    async with harness.bot():
        grid = await generate_result(harness)
        await eventually(lambda: not harness.tasks)
        await harness.person(harness.ben).react(grid, emoji)
        await harness.person(harness.ada).react(grid, "👍")
        hello = await harness.person(harness.ben).send(harness.channel, "hello")
        await harness.person(harness.ada).react(hello, emoji)
        await generate_result(harness, "an owl")
        assert direct_messages(harness, harness.ada) == direct_messages(harness, harness.ben) == []
    assert not grid.deleted


async def test_reactions_work_on_a_reposted_result(harness):
    async with harness.bot():
        await generate_result(harness)
        shown = await (await harness.person(harness.ada).command("show", harness.channel, job="fox")).message()
        await harness.person(harness.ada).react(shown, "✉️")
        await harness.server.wait_until(lambda: len(direct_messages(harness, harness.ada)) == 4)


async def test_a_cross_on_a_reposted_result_deletes_both_messages(harness):
    async with harness.bot():
        grid = await generate_result(harness)
        await eventually(lambda: not harness.tasks)
        shown = await (await harness.person(harness.ada).command("show", harness.channel, job="fox")).message()
        await harness.person(harness.ada).react(shown, "❌")
        await harness.server.wait_until(lambda: grid.deleted and shown.deleted)


async def test_removing_and_readding_a_reaction_sends_the_images_once(harness):
    async with harness.bot():
        grid = await generate_result(harness)
        path = f"/channels/{harness.server.world.dm_channel(harness.ada).id}/messages"
        held = harness.server.faults.hold("POST", path)
        await harness.person(harness.ada).react(grid, "✉️")
        await asyncio.wait_for(held.reached.wait(), TIMEOUT_S)
        for _ in range(3):
            await harness.person(harness.ada).unreact(grid, "✉️")
            await harness.person(harness.ada).react(grid, "✉️")
        held.release()
        await harness.server.wait_until(lambda: len(direct_messages(harness, harness.ada)) == 4)
        await generate_result(harness, "an owl")
    assert len(direct_messages(harness, harness.ada)) == 4


async def test_reactions_work_in_direct_messages(harness):
    channel = harness.server.world.dm_channel(harness.ada)
    async with harness.bot():
        await harness.imagine("a fox", channel=channel)
        result = await harness.result(channel=channel)
        await eventually(lambda: not harness.tasks)
        await harness.person(harness.ada).react(result, "❌")
        await harness.server.wait_until(lambda: result.deleted)


async def test_users_who_opt_in_get_a_copy_of_every_result_with_working_buttons(harness):
    channel = harness.server.world.dm_channel(harness.ada)
    async with harness.bot() as services:
        await services.db.preferences.update(harness.ada.id, auto_dm=True)
        grid = await generate_result(harness)
        copy = await harness.result(channel=channel)
        assert copy.content == grid.content
        assert copy.labels == grid.labels
        await generate_result(harness, "bens own", harness.ben)
        await harness.person(harness.ada).press(copy, "U1")
        await harness.result(text="Image #1", channel=channel)
        await eventually(lambda: not harness.tasks)
    assert len([message for message in direct_messages(harness, harness.ada) if is_result(message)]) == 2
    assert direct_messages(harness, harness.ben) == []


async def test_lost_responses_send_no_direct_message_twice(harness, monkeypatch):
    monkeypatch.setattr("bot.discord_calls.RETRY_PAUSES", (0.01,))
    path = f"/channels/{harness.server.world.dm_channel(harness.ada).id}/messages"
    async with harness.bot() as services:
        await services.db.preferences.update(harness.ada.id, auto_dm=True)
        harness.server.faults.drop_response("POST", path, times=2)
        grid = await generate_result(harness)
        await eventually(lambda: not harness.tasks)
        assert len(direct_messages(harness, harness.ada)) == 1
        harness.server.faults.drop_response("POST", path, times=2)
        await harness.person(harness.ada).react(grid, "✉️")
        await harness.server.wait_until(lambda: len(direct_messages(harness, harness.ada)) == 5)
        await eventually(lambda: not harness.client.gateway_hooks.admission.tasks)
        assert await services.db.direct_messages.all() == []
    assert len(direct_messages(harness, harness.ada)) == 5


@pytest.mark.parametrize("lost", ["hold", "drop_response"])
async def test_a_restart_sends_the_rest_of_the_images(harness, lost, monkeypatch):
    path = f"/channels/{harness.server.world.dm_channel(harness.ada).id}/messages"
    async with harness.bot():
        grid = await generate_result(harness)
        await eventually(lambda: not harness.tasks)
        await harness.person(harness.ada).react(grid, "✉️")
        await harness.server.wait_until(lambda: len(direct_messages(harness, harness.ada)) == 1)
        fault = getattr(harness.server.faults, lost)("POST", path, times=9)
        await asyncio.wait_for(fault.reached.wait(), TIMEOUT_S)
    harness.server.faults.clear()
    harness.server.world.clock.advance(10 * 60)  # Discord has forgotten the nonces
    async with harness.bot() as services:
        await harness.server.wait_until(lambda: len(direct_messages(harness, harness.ada)) == 4)
        await eventually(lambda: not harness.tasks)
        assert await services.db.direct_messages.all() == []
    names = [message.attachments[0].filename for message in direct_messages(harness, harness.ada)]
    assert len(names) == len(set(names)) == 4


async def test_a_restart_sends_the_copy_that_a_kill_prevented(harness):
    path = f"/channels/{harness.server.world.dm_channel(harness.ada).id}/messages"
    async with harness.bot() as services:
        await services.db.preferences.update(harness.ada.id, auto_dm=True)
        held = harness.server.faults.hold("POST", path, times=9)
        await generate_result(harness)
        await asyncio.wait_for(held.reached.wait(), TIMEOUT_S)
    assert direct_messages(harness, harness.ada) == []
    harness.server.faults.clear()
    async with harness.bot():
        await harness.result(channel=harness.server.world.dm_channel(harness.ada))
        await eventually(lambda: not harness.tasks)
    assert len(direct_messages(harness, harness.ada)) == 1


async def test_a_copy_that_cannot_be_sent_harms_nothing(harness):
    async with harness.bot() as services:
        await services.db.preferences.update(harness.ada.id, auto_dm=True)
        fault = close_direct_messages(harness, harness.ada)
        await generate_result(harness)
        await eventually(lambda: fault.hits)
        await generate_result(harness, "an owl")
