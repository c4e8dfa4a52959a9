"""Expired jobs are deleted, and their buttons say so."""

from __future__ import annotations

import asyncio

from db.upkeep import retention
from tests.support.bot_harness import eventually
from tests.support.timing import TIMEOUT_S

DAY = 24 * 3600


async def test_buttons_of_an_expired_job_say_that_it_is_not_kept(harness, monkeypatch):
    monkeypatch.setattr(retention, "STARTUP_DELAY_S", 0.0)
    async with harness.bot(retention_days=30):
        await harness.imagine("a fox")
        grid = await harness.result()
        await eventually(lambda: not harness.tasks)
    harness.server.world.clock.advance(31 * DAY)
    pictures = harness.folder / "data" / "tiles"
    assert list(pictures.rglob("*.png"))
    async with harness.bot(retention_days=30):
        await eventually(lambda: not list(pictures.rglob("*.png")))
        for label in ("U1", "V2", "🔄"):
            answer = await (await harness.person(harness.ada).press(grid, label)).message()
            assert answer.ephemeral
            assert "not kept any more" in answer.content
    assert len(harness.results()) == 1


async def test_an_expired_failed_job_says_so_and_keeps_its_prompt_to_copy(harness, monkeypatch):
    monkeypatch.setattr(retention, "STARTUP_DELAY_S", 0.0)
    async with harness.bot(retention_days=30) as services:
        await harness.imagine("huge fox")
        failed = await harness.status_message("too large")
        job_id = failed.buttons[0]["custom_id"].partition(":")[2]
        await eventually(lambda: not harness.tasks)
    harness.server.world.clock.advance(31 * DAY)
    async with harness.bot(retention_days=30) as services:
        async with asyncio.timeout(TIMEOUT_S):
            while await services.db.jobs.get(job_id):  # noqa: ASYNC110 (nothing tells of it)
                await asyncio.sleep(0.02)
        answer = await (await harness.person(harness.ada).press(failed, "Edit and retry")).message()
        assert answer.ephemeral
        assert "copy the prompt" in answer.content
    assert "huge fox" in failed.content


async def test_server_owners_can_choose_another_retention(harness, monkeypatch):
    monkeypatch.setattr(retention, "STARTUP_DELAY_S", 0.0)
    async with harness.bot():
        await harness.imagine("a fox")
        await harness.result()
        await eventually(lambda: not harness.tasks)
        await harness.person(harness.mod).command("config retention", harness.channel, days=7)
        await eventually(lambda: any("7 days" in message.text for message in harness.server.messages(harness.channel)))
    harness.server.world.clock.advance(8 * DAY)
    async with harness.bot():
        await eventually(lambda: not list((harness.folder / "data" / "tiles").rglob("*.png")))


async def test_without_a_guild_setting_the_operators_retention_is_shown(harness):
    async with harness.bot(retention_days=30):
        for command in ({"days": 7}, {"days": 0}):
            told = await harness.person(harness.mod).command("config retention", harness.channel, **command)
            message = await told.message()
        assert "30 days (the bot operator's limit)" in message.content
        panel = await (await harness.person(harness.mod).command("config panel", harness.channel)).message()
        assert "30 days (the bot operator's limit)" in panel.content
