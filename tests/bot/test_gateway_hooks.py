"""Events are checked before discord.py dispatches them, and one that it cannot read ends nothing."""

from __future__ import annotations

import asyncio
import logging

import pytest

from generation.errors import UserError
from tests.support.bot_harness import eventually
from tests.support.timing import TIMEOUT_S


@pytest.mark.parametrize(
    ("locale", "expected"), [("de", "auf diesem Server nicht freigeschaltet"), ("en-US", "not open to this server")]
)
async def test_a_denial_is_in_the_language_of_the_person(harness, locale, expected):
    other = harness.server.world.add_guild("Other", harness.ada)
    harness.ada.locale = locale
    channel = harness.server.world.add_channel(other)
    async with harness.bot(allowed_guilds=frozenset({harness.guild.id})):
        answer = await (await harness.imagine("a fox", channel=channel)).message()
        assert answer.ephemeral
        assert expected in answer.content


@pytest.mark.parametrize(
    ("event", "data"),
    [
        ("INTERACTION_CREATE", {"id": "1", "user": {"id": "2"}}),
        ("INTERACTION_CREATE", {}),
        ("GUILD_CREATE", {"id": "1", "threads": [{}]}),
        ("CHANNEL_CREATE", {"guild_id": "{guild}"}),
        ("MESSAGE_REACTION_ADD", {"emoji": None}),
    ],
)
async def test_an_event_that_cannot_be_read_is_logged_and_skipped(harness, caplog, event, data):
    data = {name: value.format(guild=harness.guild.id) if name == "guild_id" else value for name, value in data.items()}
    async with harness.bot():
        client = harness.client
        for _ in range(3):
            harness.server.gateway.dispatch(event, data)
        await harness.imagine("a fox")
        await harness.result()
        assert harness.client is client
        assert not harness.serving.done()
    lines = [record for record in caplog.records if f"an event {event} cannot be read" in record.message]
    assert [bool(record.exc_info) for record in lines] == [True, False, False]


async def test_one_5xx_at_the_first_response_is_a_line_in_the_log(harness, caplog):
    async with harness.bot():
        fault = harness.server.faults.fail("POST", "/interactions/*", times=100)
        with caplog.at_level(logging.INFO):
            await harness.imagine("a fox")
            await eventually(lambda: fault.hits >= 10)
            await eventually(lambda: not harness.client.gateway_hooks.admission.tasks)
        harness.server.faults.clear()
    assert len(caplog.text.splitlines()) < 12
    assert "Traceback" not in caplog.text


async def test_a_stop_while_a_link_is_fetched_is_quiet_and_answered_later(harness, caplog, monkeypatch):
    stuck = asyncio.Event()

    async def never(*_):
        stuck.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("bot.images.link_fetcher.LinkFetcher.fetch", never)
    async with harness.bot():
        request = await harness.imagine("https://example.org/a.png a fox")
        await asyncio.wait_for(stuck.wait(), TIMEOUT_S)
        await request.response()
        assert request.original.loading
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    async with harness.bot() as services:
        message = await request.message()
        assert "restarted" in message.content
        assert "https://example.org/a.png a fox" in message.content
        assert message.labels == ["Edit and retry"]
        await eventually(lambda: not harness.tasks)
        assert await services.db.deferrals.all() == []
    assert len(harness.server.messages(harness.channel)) == 1


@pytest.mark.parametrize("prompt", ["a fox", "a fox --stealth"])
async def test_a_link_that_fails_late_leaves_no_reply_to_nothing(harness, monkeypatch, prompt):
    async def fail_late(*_):
        await asyncio.sleep(0.3)
        raise UserError("The link is broken.")

    monkeypatch.setattr("bot.images.link_fetcher.LinkFetcher.fetch", fail_late)
    monkeypatch.setattr("bot.jobs.deferrals.MOMENT_S", 0.05)
    async with harness.bot():
        request = await harness.imagine(f"https://example.org/a.png {prompt}")
        refused = await request.wait_for(lambda message: "The link is broken." in message.content)
        assert refused.ephemeral
        assert not request.original.deleted
        assert not request.original.loading
        assert len(harness.server.messages(harness.channel)) == (1 if "stealth" in prompt else 2)
