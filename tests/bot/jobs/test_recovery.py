"""The bot resumes after a stop at any moment, and answers everything once."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.support.bot_harness import eventually
from tests.support.jobs import make_job
from tests.support.timing import TIMEOUT_S


async def test_waiting_and_running_jobs_resume_after_a_clean_stop(harness):
    async with harness.bot(running_per_person=1):
        await harness.imagine("slow fox")
        await harness.status_message("(25%)")
        await (await harness.imagine("owl")).message()
    assert not harness.results()
    harness.release_slow_jobs()
    async with harness.bot():
        await harness.result(text="fox")
        await harness.result(text="owl")
        await harness.server.wait_until(lambda: not harness.status_messages())
    assert len(harness.results()) == 2
    assert sorted(ping.user_id for ping in harness.server.pings) == [harness.ada.id] * 2


async def test_a_stop_does_not_wait_for_a_long_step(harness, monkeypatch):
    monkeypatch.setattr("bot.jobs.tasks.STOP_TIMEOUT_S", 0.1)
    monkeypatch.setattr("generation.worker.worker.EXIT_GRACE", 0.1)
    async with harness.bot():
        await harness.imagine("stuck fox")
        await eventually((harness.model / "stuck").exists)
    assert not harness.results()
    harness.release_slow_jobs()
    async with harness.bot():
        await harness.result(text="fox")
        await harness.server.wait_until(lambda: not harness.status_messages())


async def test_a_job_reruns_after_a_lost_connection_once_its_long_step_ends(harness, monkeypatch):
    monkeypatch.setattr("bot.jobs.tasks.STOP_TIMEOUT_S", 0.1)
    monkeypatch.setattr("bot.app.RECONNECT_PAUSES", (0.01,))
    async with harness.bot() as services:
        await harness.imagine("stuck fox")
        await eventually((harness.model / "stuck").exists)
        await harness.server.gateway.drop(4012)
        await harness.server.wait_connected()
        harness.release_slow_jobs()
        await harness.result(text="fox")
        await harness.server.wait_until(lambda: not harness.status_messages())
        assert not services.queue.running
        await eventually(lambda: not harness.tasks)
    assert len(harness.results()) == 1


async def test_old_buttons_work_after_a_restart(harness):
    async with harness.bot():
        await harness.imagine("a fox")
        grid = await harness.result()
    async with harness.bot():
        await harness.person(harness.ben).press(grid, "U1")
        await harness.result(text="Image #1")


async def test_a_cancel_button_works_after_a_restart(harness):
    async with harness.bot():
        await harness.imagine("slow fox")
        status_message = await harness.status_message("(25%)")
    async with harness.bot():
        await harness.person(harness.ada).press(status_message, "Cancel")
        await harness.server.wait_until(lambda: "Cancelled" in status_message.content)
    assert not harness.results()


async def test_a_result_whose_posting_was_interrupted_is_posted_once(harness):
    async with harness.bot():
        cut = harness.server.faults.drop_response("POST", f"/channels/{harness.channel.id}/messages", times=100)
        await harness.imagine("a fox")
        await harness.result()
    assert cut.hits
    harness.server.faults.clear()
    async with harness.bot():
        await harness.server.wait_until(lambda: not harness.status_messages())
    assert len(harness.results()) == 1
    assert len(harness.server.pings) == 1


async def test_a_generated_but_unposted_result_is_posted_after_a_restart(harness):
    async with harness.bot() as services:
        held = harness.server.faults.hold("POST", f"/channels/{harness.channel.id}/messages")
        await harness.imagine("a fox")
        await asyncio.wait_for(held.reached.wait(), TIMEOUT_S)
        assert [record.state for record in await services.db.jobs.open_records()] == ["drawn"]
    harness.server.faults.clear()
    async with harness.bot():
        await harness.result()
        await harness.server.wait_until(lambda: not harness.status_messages())
    assert len(harness.results()) == 1


async def test_a_leftover_status_message_is_deleted_after_the_restart(harness):
    async with harness.bot():
        held = harness.server.faults.hold("DELETE", "/webhooks/*")
        await harness.imagine("a fox")
        await harness.result()
        await asyncio.wait_for(held.reached.wait(), TIMEOUT_S)
    harness.server.faults.clear()
    async with harness.bot():
        await harness.server.wait_until(lambda: not harness.status_messages())
    assert len(harness.results()) == 1


async def test_an_unreported_end_is_reported_after_the_restart(harness):
    async with harness.bot(running_per_person=1) as services:
        await harness.imagine("slow fox")
        status_message = await harness.status_message("(25%)")
        (job,) = services.queue.running
        await services.db.jobs.mark_failed(job.id, "It was not to be.")
        await harness.tasks.cancel(job.id)
    async with harness.bot():
        await harness.server.wait_until(lambda: "It was not to be." in status_message.content)
        assert status_message.labels == ["Edit and retry"]


async def test_a_job_that_was_interrupted_too_often_fails(harness):
    async with harness.bot() as services:
        await harness.imagine("slow fox")
        await harness.status_message("(25%)")
        (job,) = services.queue.running
        for _ in range(3):  # as often as the bot was killed meanwhile
            await services.db.jobs.mark_running(job.id)
    async with harness.bot():
        await harness.status_message("interrupted too often")
    assert not harness.results()


async def test_clean_stops_are_not_counted(harness):
    for _ in range(4):
        async with harness.bot() as services:
            if not harness.server.messages(harness.channel):
                await harness.imagine("slow fox")
            await eventually(lambda services=services: services.queue.running)
            await eventually(lambda services=services: services.fleet.workers[0]._jobs)
    harness.release_slow_jobs()
    async with harness.bot():
        await harness.result()


async def test_a_first_response_interrupted_by_a_stop_does_not_lose_the_job(harness):
    async with harness.bot():
        held = harness.server.faults.hold("POST", "/interactions/*")
        await harness.imagine("a fox")
        await asyncio.wait_for(held.reached.wait(), TIMEOUT_S)
    harness.server.faults.clear()
    async with harness.bot():
        await harness.result()
        await harness.server.wait_until(lambda: not harness.status_messages())
    assert len(harness.results()) == 1


@pytest.mark.parametrize("prompt", ["slow fox", "slow fox --stealth"])
async def test_a_status_message_of_unknown_id_is_found_after_any_restart(harness, prompt):
    async with harness.bot() as services:
        await harness.imagine(prompt)
        await harness.status_message("(25%)")
        (job,) = services.queue.running
        await services.db.jobs.set_status_message(job.id, None)  # as if killed before it was stored
    async with harness.bot() as services:
        await harness.status_message("(25%)")
        await eventually(lambda: services.queue.running)
        (record,) = await services.db.jobs.open_records()
        assert record.status_message_id is not None
    harness.release_slow_jobs()
    async with harness.bot():
        await harness.result()
        await harness.server.wait_until(lambda: not harness.status_messages())
    assert len(harness.server.messages(harness.channel)) == 1


async def test_status_messages_of_a_batch_are_found_after_a_restart(harness):
    async with harness.bot() as services:
        question = await (await harness.imagine("slow {fox, owl}")).message()
        await harness.person(harness.ada).press(question, "Draw all")
        await harness.server.wait_until(lambda: len(harness.status_messages()) == 2)
        for record in await services.db.jobs.open_records():
            await services.db.jobs.set_status_message(record.job.id, None)
    harness.release_slow_jobs()
    async with harness.bot():
        await harness.result(text="fox")
        await harness.result(text="owl")
        await harness.server.wait_until(lambda: not harness.status_messages())


async def test_the_queue_stays_fair_after_a_restart(harness):
    async with harness.bot():
        await harness.imagine("first", harness.ada)
        await harness.result(text="first")
        await harness.imagine("second", harness.ben)
        await harness.result(text="second")
    async with harness.bot(jobs_at_once=1) as services:
        await harness.imagine("slow", harness.mod)
        await harness.status_message("(25%)")
        await (await harness.imagine("from ben", harness.ben)).message()
        await (await harness.imagine("from ada", harness.ada)).message()
        assert [job.requester.name for job in services.queue.waiting] == ["ada", "ben"]
        harness.release_slow_jobs()
        await harness.result(text="from ben")


@pytest.mark.parametrize(("trouble", "how"), [("drop", {}), ("rate_limit", {"via": False})])
async def test_a_generated_result_is_posted_after_an_outage_at_the_start(harness, trouble, how, monkeypatch):
    monkeypatch.setattr("bot.discord_calls.RETRY_PAUSES", (0.05,))
    path = f"/channels/{harness.channel.id}/messages"
    async with harness.bot():
        cut = harness.server.faults.drop_response("POST", path, times=100)
        await harness.imagine("a fox")
        await harness.result()
    assert cut.hits
    harness.server.faults.clear()
    harness.server.world.clock.advance(6 * 60)  # Discord has forgotten the nonce
    getattr(harness.server.faults, trouble)("GET", path, times=5, **how)
    async with harness.bot():
        await harness.server.wait_until(lambda: not harness.status_messages())
    assert len(harness.results()) == 1
    assert len(harness.server.pings) == 1


async def test_a_generated_result_without_its_grid_file_fails_with_a_message(harness):
    async with harness.bot() as services:
        cut = harness.server.faults.drop("POST", f"/channels/{harness.channel.id}/messages", times=100)
        await harness.imagine("a fox")
        await asyncio.wait_for(cut.reached.wait(), TIMEOUT_S)
        (record,) = await services.db.jobs.open_records()
        grid_file = services.images.files.grid_path(record.job.id, record.suffix)
    harness.server.faults.clear()
    grid_file.unlink()
    async with harness.bot() as services:
        await harness.status_message("Something went wrong")
        assert (await services.db.jobs.get(record.job.id)).state == "failed"


async def test_a_status_message_is_found_if_the_bot_died_before_recording_it(harness, monkeypatch):
    async with harness.bot() as services:
        reached = asyncio.Event()

        async def die(*_: object) -> None:
            reached.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(services.db.jobs, "set_status_message", die)
        await harness.imagine("a fox")
        await asyncio.wait_for(reached.wait(), TIMEOUT_S)
    async with harness.bot():
        await harness.result()
        await harness.server.wait_until(lambda: not harness.status_messages())
    assert len(harness.results()) == 1


@pytest.mark.parametrize("moments", [0, 1, 3, 10])
async def test_a_stop_during_a_reconnection_works(harness, moments):
    async with harness.bot():
        await harness.server.gateway.drop(4000)
        for _ in range(moments):
            await asyncio.sleep(0)
    async with harness.bot():
        await harness.imagine("a fox")
        await harness.result()


async def test_a_picked_image_whose_posting_was_interrupted_is_posted_once(harness):
    async with harness.bot():
        await harness.imagine("a fox")
        grid = await harness.result()
        held = harness.server.faults.hold("POST", f"/channels/{harness.channel.id}/messages")
        await harness.person(harness.ada).press(grid, "U1")
        await asyncio.wait_for(held.reached.wait(), TIMEOUT_S)
    harness.server.faults.clear()
    async with harness.bot():
        await harness.result(text="Image #1")
        await eventually(lambda: not harness.tasks)
    assert len(harness.results()) == 2


async def test_a_picked_image_that_was_only_recorded_is_posted_after_a_restart(harness, monkeypatch):
    async with harness.bot() as services:
        await harness.imagine("a fox")
        grid = await harness.result()
        await eventually(lambda: not harness.tasks)
        reached = asyncio.Event()

        async def die(*_: object) -> None:
            reached.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(services.db.jobs, "set_status_message", die)
        await harness.person(harness.ada).press(grid, "U1")
        await asyncio.wait_for(reached.wait(), TIMEOUT_S)
    async with harness.bot():
        await harness.result(text="Image #1")
    assert len(harness.results()) == 2


async def test_an_interrupted_deletion_is_finished_after_a_restart(harness):
    async with harness.bot() as services:
        await harness.imagine("a fox")
        await harness.result()
        await eventually(lambda: not harness.tasks)
        (row,) = await services.db.jobs._connection.fetch_all("SELECT id FROM jobs")
        await services.db.jobs.mark_deleted(row["id"])
    async with harness.bot():
        await eventually(lambda: not harness.results())
        await eventually(lambda: not list((harness.folder / "data").rglob(f"{row['id']}*")))


async def test_no_channel_is_searched_for_a_picture_that_a_session_holds(harness):
    to = replace(make_job().destination, token="", private=True, channel_id=harness.channel.id)
    job = make_job(destination=replace(to, guild_id=harness.guild.id))
    async with harness.bot() as services:
        await services.db.jobs.add_job(job)
        await services.db.jobs.mark_running(job.id)
        await services.db.jobs.mark_generated(job.id, "webp")
    searched = harness.server.faults.delay("GET", f"/channels/{harness.channel.id}/messages", 0.0, times=9)
    async with harness.bot():
        await eventually(lambda: not harness.client.unfinished_jobs and not harness.tasks)
    assert not searched.hits
