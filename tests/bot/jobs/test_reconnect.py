"""A connection that is lost for good: the next client takes over everything that was open, once."""

from __future__ import annotations

import asyncio

import pytest

from tests.cogs.config.test_config_commands import run_config
from tests.cogs.image_buttons.test_region import highlighted, open_region_picker
from tests.cogs.image_buttons.test_remix import load_record, pick_image
from tests.support.bot_harness import eventually
from tests.support.timing import TIMEOUT_S


@pytest.fixture(autouse=True)
def _reconnect_at_once(monkeypatch):
    monkeypatch.setattr("bot.app.RECONNECT_PAUSES", (0.01,))


async def lose_connection(harness):
    """End the connection so that discord.py gives it up, and wait for the next client."""
    lost = harness.client
    await harness.server.gateway.drop(4012)
    await eventually(lambda: harness.client is not lost and harness.client.is_ready())


async def test_open_pickers_and_modals_work_once_after_two_lost_connections(harness):
    async with harness.bot() as services:
        ada = harness.person(harness.ada)
        picked = await pick_image(harness)
        picker = await open_region_picker(harness, picked)
        await ada.press(picker, custom_id=picker.buttons[0]["custom_id"])
        await harness.server.wait_until(lambda: highlighted(picker) == [0])
        vary, delete = await ada.press(picker, "Continue"), await ada.press(picked, "Delete")
        await vary.modal()
        await delete.modal()
        for _ in range(2):
            await lose_connection(harness)
        await ada.press(picker, custom_id=picker.buttons[4]["custom_id"])
        await harness.server.wait_until(lambda: highlighted(picker) == [0, 4])
        await ada.submit_modal(vary, prompt="an owl")
        result = await harness.result(text="an owl")
        assert (await load_record(services, result)).job.params.region == (0,)
        await ada.submit_modal(delete)
        await harness.server.wait_until(lambda: picked not in harness.server.messages(harness.channel))
        await eventually(lambda: not harness.tasks)
        views = harness.client._connection._view_store
        assert not views._views and not views._synced_message_views and not views._modals


async def test_the_audit_log_is_posted_once_after_two_lost_connections(harness):
    log_channel = harness.server.world.add_channel(harness.guild)
    async with harness.bot() as services:
        await run_config(harness, "log", channel=log_channel)
        subscribers = len(services.db.guilds._subscribers)
        for _ in range(2):
            await lose_connection(harness)
        await run_config(harness, "stealth", allowed=False)
        await run_config(harness, "stealth", allowed=True)
        await harness.server.wait_until(lambda: len(harness.server.messages(log_channel)) == 3)
        assert len(services.db.guilds._subscribers) == subscribers
    assert len(harness.server.messages(log_channel)) == 3


async def test_a_connection_lost_while_a_prompt_is_answered_gives_one_result(harness):
    async with harness.bot():
        held = harness.server.faults.hold("POST", "/interactions/*")
        await harness.imagine("a fox")
        await asyncio.wait_for(held.reached.wait(), TIMEOUT_S)
        await lose_connection(harness)
        held.release()
        await harness.result(text="fox")
        await eventually(lambda: not harness.tasks)
    assert len(harness.results()) == 1


async def test_a_client_that_gets_ready_while_it_stops_starts_nothing(harness):
    async with harness.bot():
        await eventually(harness.client.is_ready)
        lost = harness.client
        await lose_connection(harness)
        await lost.on_ready()
        names = ("sessions", "picture index", "older pictures")

        def counts():
            running = [task.get_name() for task in asyncio.all_tasks()]
            return [running.count(each) for each in names]

        await eventually(lambda: counts() == [1, 1, 1])  # the new client starts its own just after it is ready
