"""Results where the owners want them: in threads, or in a gallery."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bot.policy.settings import ResultPlacement
from bot.policy.updates import Actor, update_settings
from tests.bot.conftest import eventually


async def deliver(studio, stage, delivery: ResultPlacement, gallery=None) -> None:
    await update_settings(
        studio.guilds,
        Actor(stage.guild.id, stage.mod.id),
        "results",
        lambda now: replace(now, delivery=delivery, gallery=gallery and gallery.id),
    )


def threads(stage):
    return [channel for channel in stage.server.world.channels.values() if channel.is_thread]


async def test_a_gallery_shows_the_result_and_the_notice_leads_there(stage):
    gallery = stage.server.world.add_channel(stage.guild)
    async with stage.bot() as studio:
        await deliver(studio, stage, ResultPlacement.GALLERY, gallery)
        await stage.imagine("a fox")
        result = await stage.result(channel=gallery)
        assert f"<@{stage.ada.id}>" in result.content
        await stage.notice(f"https://discord.com/channels/{stage.guild.id}/{gallery.id}/{result.id}")
        assert not stage.results()
        await stage.person(stage.ben).press(result, "V1")  # the buttons work there, and the next result is there too
        await stage.result(channel=gallery, text="Variations")


async def test_each_person_has_one_thread_for_all_jobs(stage):
    async with stage.bot() as studio:
        await deliver(studio, stage, ResultPlacement.THREAD_OF_PERSON)
        for prompt in ("a fox", "an owl"):
            await stage.imagine(prompt)
        await stage.imagine("a cat", stage.ben)
        await eventually(lambda: sum(len(stage.results(thread)) for thread in threads(stage)) == 3)
    assert sorted(thread.name for thread in threads(stage)) == ["Pictures of ada", "Pictures of ben"]


async def test_each_job_has_a_thread_named_by_its_prompt(stage):
    async with stage.bot() as studio:
        await deliver(studio, stage, ResultPlacement.THREAD_OF_JOB)
        await stage.imagine("a fox\nin the snow --ar 3:2")
        await eventually(lambda: any(stage.results(thread) for thread in threads(stage)))
    assert [thread.name for thread in threads(stage)] == ["a fox in the snow"]


async def test_a_job_from_within_a_thread_stays_there(stage):
    thread = stage.server.world.add_thread(stage.channel, "talk", owner=stage.ada)
    async with stage.bot() as studio:
        await deliver(studio, stage, ResultPlacement.THREAD_OF_PERSON)
        await stage.imagine("a fox", channel=thread)
        await stage.result(channel=thread)
    assert threads(stage) == [thread]


@pytest.mark.parametrize("delivery", [ResultPlacement.GALLERY, ResultPlacement.THREAD_OF_PERSON])
async def test_where_the_place_is_gone_the_result_comes_where_it_was_asked_for(stage, delivery):
    gallery = stage.server.world.add_channel(stage.guild)
    async with stage.bot() as studio:
        await deliver(studio, stage, delivery, gallery)
        await studio.threads.save(stage.ada.id, stage.channel.id, gallery.id)
        del stage.server.world.channels[gallery.id]
        await stage.imagine("a fox")
        await stage.result()
        assert await studio.threads.find(stage.ada.id, stage.channel.id) is None


async def test_a_result_in_a_gallery_is_found_again_after_a_crash(stage):
    gallery = stage.server.world.add_channel(stage.guild)
    async with stage.bot() as studio:
        await deliver(studio, stage, ResultPlacement.GALLERY, gallery)
        await stage.imagine("a fox")
        await stage.result(channel=gallery)
        await eventually(lambda: not studio.tasks)
        (row,) = await studio.store._connection.fetch_all("SELECT id FROM jobs")
        await studio.store._connection.write("UPDATE jobs SET state = 'drawn', answer_id = NULL", {})
    async with stage.bot() as studio:
        async with asyncio.timeout(20):
            while (await studio.store.get(row["id"])).result_message_id is None:  # noqa: ASYNC110 (nothing tells of it)
                await asyncio.sleep(0.01)
    assert len(stage.results(gallery)) == 1
