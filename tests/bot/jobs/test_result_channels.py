"""Results in threads or in a gallery, as the server's settings say."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import discord
import pytest

from bot.policy.settings import ResultPlacement
from bot.policy.updates import Actor, update_settings
from preview import Message
from tests.support.bot_harness import eventually
from tests.support.timing import TIMEOUT_S

THREAD_CREATED = 18  # Discord's type of the message about a new thread


async def set_placement(services, harness, delivery: ResultPlacement, gallery=None) -> None:
    await update_settings(
        services.db.guilds,
        Actor(harness.guild.id, harness.mod.id),
        "results",
        lambda now: replace(now, delivery=delivery, gallery=gallery and gallery.id),
    )


def threads(harness):
    return [channel for channel in harness.server.world.channels.values() if channel.is_thread]


async def test_a_gallery_shows_the_result_and_the_status_message_links_to_it(harness):
    gallery = harness.server.world.add_channel(harness.guild)
    async with harness.bot() as services:
        await set_placement(services, harness, ResultPlacement.GALLERY, gallery)
        await harness.imagine("a fox")
        result = await harness.result(channel=gallery)
        assert f"<@{harness.ada.id}>" in result.content
        await harness.status_message(f"https://discord.com/channels/{harness.guild.id}/{gallery.id}/{result.id}")
        assert not harness.results()
        await harness.person(harness.ben).press(
            result, "V1"
        )  # the buttons work there, and the next result is there too
        await harness.result(channel=gallery, text="Variations")


async def test_each_user_has_one_thread_for_all_jobs(harness):
    async with harness.bot() as services:
        await set_placement(services, harness, ResultPlacement.THREAD_OF_PERSON)
        for prompt in ("a fox", "an owl"):
            await harness.imagine(prompt)
        await harness.imagine("a cat", harness.ben)
        await eventually(lambda: sum(len(harness.results(thread)) for thread in threads(harness)) == 3)
    assert sorted(thread.name for thread in threads(harness)) == ["Pictures of ada", "Pictures of ben"]


async def test_each_job_has_a_thread_named_by_its_prompt(harness):
    async with harness.bot() as services:
        await set_placement(services, harness, ResultPlacement.THREAD_OF_JOB)
        await harness.imagine("a fox\nin the snow --ar 3:2")
        await eventually(lambda: any(harness.results(thread) for thread in threads(harness)))
    assert [thread.name for thread in threads(harness)] == ["a fox in the snow"]


def announce_thread(harness, thread):
    """Add the message by which Discord says in the channel that the bot has started a thread."""
    world = harness.server.world
    started = Message(world.new_id(), harness.channel.id, world.bot.id, world.clock.time(), THREAD_CREATED, thread.name)
    started.reference = {"channel_id": str(thread.id), "guild_id": str(harness.guild.id)}
    harness.server.core.add_message(started)
    return started


@pytest.mark.parametrize("placement", [ResultPlacement.THREAD_OF_JOB, ResultPlacement.THREAD_OF_PERSON])
@pytest.mark.parametrize("archived", [False, True])
async def test_no_thread_quotes_a_person_whose_data_was_deleted(harness, placement, archived):
    async with harness.bot() as services:
        await set_placement(services, harness, placement)
        await harness.imagine("a fox")
        await eventually(lambda: any(harness.results(thread) for thread in threads(harness)))
        (thread,) = threads(harness)
        started = announce_thread(harness, thread)
        thread.archived = archived
        harness.server.core.dispatch_channel(thread, "UPDATE")
        await ask_for_erasure(harness)
        await eventually(lambda: thread.name == "Pictures")
        await eventually(lambda: not harness.tasks)
        assert not harness.results(thread)
        assert thread.archived == archived
        assert started.deleted


async def test_a_thread_without_results_loses_the_name_of_an_erased_person_too(harness):
    async with harness.bot() as services:
        thread = await thread_without_results(services, harness)
        await ask_for_erasure(harness)
        await eventually(lambda: thread.name == "Pictures")


async def ask_for_erasure(harness):
    ada = harness.person(harness.ada)
    summary = await (await ada.command("privacy", harness.channel)).message()
    await ada.submit_modal(await ada.press(summary, "Delete everything"), {})


async def thread_without_results(services, harness):
    """Return the thread of a user whose only job has expired."""
    await set_placement(services, harness, ResultPlacement.THREAD_OF_PERSON)
    await harness.imagine("a fox")
    await eventually(lambda: any(harness.results(thread) for thread in threads(harness)))
    await eventually(lambda: not harness.tasks)
    (row,) = await services.db.connection.fetch_all("SELECT id FROM jobs")
    await services.db.personal_data.erase_job(row["id"])
    return threads(harness)[0]


async def test_a_thread_is_renamed_after_a_restart_if_the_bot_stopped_before(harness):
    async with harness.bot() as services:
        thread = await thread_without_results(services, harness)
        dropped = harness.server.faults.drop("PATCH", f"/channels/{thread.id}", times=1000)
        await ask_for_erasure(harness)
        await asyncio.wait_for(dropped.reached.wait(), TIMEOUT_S)
    harness.server.faults.clear()
    assert thread.name == "Pictures of ada"
    async with harness.bot() as services:
        await eventually(lambda: thread.name == "Pictures")
        await eventually(lambda: not harness.tasks)
        assert await services.db.personal_data.pending_erasures() == {}
        assert await services.db.threads.of_person(harness.ada.id) == []


async def test_a_thread_that_cannot_be_understood_keeps_no_data_from_being_erased(harness, monkeypatch):
    tried = []

    async def misread(_, thread_id, __):
        tried.append(thread_id)
        raise discord.InvalidData("Unknown channel type 99")

    async with harness.bot() as services:
        await thread_without_results(services, harness)
        await harness.imagine("an owl")
        await eventually(lambda: sum(len(harness.results(thread)) for thread in threads(harness)) == 2)
        await eventually(lambda: not harness.tasks)
        monkeypatch.setattr("cogs.privacy.rename_own_thread", misread)
        await ask_for_erasure(harness)
        await eventually(lambda: len(tried) == 2)  # of the job, and of the person
        await eventually(lambda: not harness.tasks)
        assert await services.db.personal_data.pending_erasures() == {}
        assert (await services.db.personal_data.summary(harness.ada.id)).jobs == 0


async def test_a_job_from_within_a_thread_stays_there(harness):
    thread = harness.server.world.add_thread(harness.channel, "talk", owner=harness.ada)
    async with harness.bot() as services:
        await set_placement(services, harness, ResultPlacement.THREAD_OF_PERSON)
        await harness.imagine("a fox", channel=thread)
        await harness.result(channel=thread)
    assert threads(harness) == [thread]


@pytest.mark.parametrize("delivery", [ResultPlacement.GALLERY, ResultPlacement.THREAD_OF_PERSON])
async def test_without_its_thread_or_gallery_the_result_is_in_the_channel(harness, delivery):
    gallery = harness.server.world.add_channel(harness.guild)
    async with harness.bot() as services:
        await set_placement(services, harness, delivery, gallery)
        await services.db.threads.save(harness.ada.id, harness.channel.id, gallery.id)
        del harness.server.world.channels[gallery.id]
        await harness.imagine("a fox")
        await harness.result()
        assert await services.db.threads.find(harness.ada.id, harness.channel.id) is None


async def test_a_result_in_a_gallery_is_found_again_after_a_crash(harness):
    gallery = harness.server.world.add_channel(harness.guild)
    async with harness.bot() as services:
        await set_placement(services, harness, ResultPlacement.GALLERY, gallery)
        await harness.imagine("a fox")
        await harness.result(channel=gallery)
        await eventually(lambda: not harness.tasks)
        (row,) = await services.db.jobs._connection.fetch_all("SELECT id FROM jobs")
        await services.db.jobs._connection.write("UPDATE jobs SET state = 'drawn', answer_id = NULL", {})
    async with harness.bot() as services:
        async with asyncio.timeout(TIMEOUT_S):
            while (await services.db.jobs.get(row["id"])).result_message_id is None:  # noqa: ASYNC110 (nothing tells of it)
                await asyncio.sleep(0.01)
    assert len(harness.results(gallery)) == 1
