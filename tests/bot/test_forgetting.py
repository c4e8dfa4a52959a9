"""What is forgotten is gone, and its buttons say so."""

from __future__ import annotations

import asyncio

from db import retention
from tests.bot.conftest import eventually

DAY = 24 * 3600


async def test_buttons_of_a_forgotten_job_say_that_it_is_not_kept_any_more(stage, monkeypatch):
    monkeypatch.setattr(retention, "STARTUP_DELAY_S", 0.0)
    async with stage.bot(retention_days=30) as studio:
        await stage.imagine("a fox")
        grid = await stage.result()
        await eventually(lambda: not studio.tasks)
    stage.server.world.clock.advance(31 * DAY)
    pictures = stage.folder / "data" / "tiles"
    assert list(pictures.rglob("*.png"))
    async with stage.bot(retention_days=30):
        await eventually(lambda: not list(pictures.rglob("*.png")))
        for label in ("U1", "V2", "🔄"):
            answer = await (await stage.person(stage.ada).press(grid, label)).message()
            assert answer.ephemeral
            assert "not kept any more" in answer.content
    assert len(stage.results()) == 1


async def test_a_failed_job_that_is_forgotten_says_so_and_leaves_its_prompt_to_be_copied(stage, monkeypatch):
    monkeypatch.setattr(retention, "STARTUP_DELAY_S", 0.0)
    async with stage.bot(retention_days=30) as studio:
        await stage.imagine("huge fox")
        failed = await stage.notice("too large")
        job_id = failed.buttons[0]["custom_id"].partition(":")[2]
        await eventually(lambda: not studio.tasks)
    stage.server.world.clock.advance(31 * DAY)
    async with stage.bot(retention_days=30) as studio:
        async with asyncio.timeout(10):
            while await studio.store.get(job_id):  # noqa: ASYNC110 (nothing tells of it)
                await asyncio.sleep(0.02)
        answer = await (await stage.person(stage.ada).press(failed, "Edit and retry")).message()
        assert answer.ephemeral
        assert "copy the prompt" in answer.content
    assert "huge fox" in failed.content


async def test_an_owner_may_choose_another_time_for_their_server(stage, monkeypatch):
    monkeypatch.setattr(retention, "STARTUP_DELAY_S", 0.0)
    async with stage.bot() as studio:
        await stage.imagine("a fox")
        await stage.result()
        await eventually(lambda: not studio.tasks)
        await stage.person(stage.mod).command("config retention", stage.channel, days=7)
        await eventually(lambda: any("7 days" in message.text for message in stage.server.messages(stage.channel)))
    stage.server.world.clock.advance(8 * DAY)
    async with stage.bot():
        await eventually(lambda: not list((stage.folder / "data" / "tiles").rglob("*.png")))


async def test_an_owner_who_says_nothing_is_told_what_whoever_runs_the_bot_has_set(stage):
    async with stage.bot(retention_days=30):
        for command in ({"days": 7}, {"days": 0}):
            told = await stage.person(stage.mod).command("config retention", stage.channel, **command)
            message = await told.message()
        assert "30 days, as whoever runs me has it" in message.content
        panel = await (await stage.person(stage.mod).command("config panel", stage.channel)).message()
        assert "30 days, as whoever runs me has it" in panel.content
