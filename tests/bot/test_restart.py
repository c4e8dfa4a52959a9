"""Stopped at any moment, the bot goes on where it was, and answers everything once."""

from __future__ import annotations

import asyncio

import pytest

from tests.bot.conftest import eventually


async def test_waiting_and_drawing_jobs_go_on_after_a_clean_stop(stage):
    async with stage.bot(running_per_person=1):
        await stage.imagine("slow fox")
        await stage.notice("(25%)")
        await (await stage.imagine("owl")).message()
    assert not stage.results()
    stage.go()
    async with stage.bot():
        await stage.result(text="fox")
        await stage.result(text="owl")
        await stage.server.wait_until(lambda: not stage.notices())
    assert len(stage.results()) == 2
    assert sorted(ping.user_id for ping in stage.server.pings) == [stage.ada.id] * 2


async def test_a_stop_does_not_wait_for_a_step_that_takes_long(stage, monkeypatch):
    monkeypatch.setattr("bot.services.STOP_TIMEOUT_S", 0.1)
    monkeypatch.setattr("generation.worker.worker.EXIT_GRACE", 0.1)
    async with stage.bot():
        await stage.imagine("stuck fox")
        await eventually((stage.model / "stuck").exists)
    assert not stage.results()
    stage.go()
    async with stage.bot():
        await stage.result(text="fox")
        await stage.server.wait_until(lambda: not stage.notices())


async def test_a_connection_lost_for_good_during_a_long_step_draws_the_job_again_when_the_step_has_ended(
    stage, monkeypatch
):
    monkeypatch.setattr("bot.services.STOP_TIMEOUT_S", 0.1)
    monkeypatch.setattr("bot.app.RECONNECT_PAUSES", (0.01,))
    async with stage.bot() as studio:
        await stage.imagine("stuck fox")
        await eventually((stage.model / "stuck").exists)
        await stage.server.gateway.drop(4012)
        await stage.server.wait_connected()
        stage.go()
        await stage.result(text="fox")
        await stage.server.wait_until(lambda: not stage.notices())
        assert not studio.queue.running
        await eventually(lambda: not studio.tasks)
    assert len(stage.results()) == 1


async def test_old_buttons_work_after_a_restart(stage):
    async with stage.bot():
        await stage.imagine("a fox")
        grid = await stage.result()
    async with stage.bot():
        await stage.person(stage.ben).press(grid, "U1")
        await stage.result(text="Image #1")


async def test_a_cancel_button_of_an_earlier_life_works(stage):
    async with stage.bot():
        await stage.imagine("slow fox")
        notice = await stage.notice("(25%)")
    async with stage.bot():
        await stage.person(stage.ada).press(notice, "Cancel")
        await stage.server.wait_until(lambda: "Cancelled" in notice.content)
    assert not stage.results()


async def test_a_result_whose_posting_was_cut_off_is_posted_once(stage):
    async with stage.bot():
        cut = stage.server.faults.drop_response("POST", f"/channels/{stage.channel.id}/messages", times=100)
        await stage.imagine("a fox")
        await stage.result()
    assert cut.hits
    stage.server.faults.clear()
    async with stage.bot():
        await stage.server.wait_until(lambda: not stage.notices())
    assert len(stage.results()) == 1
    assert len(stage.server.pings) == 1


async def test_a_result_that_was_drawn_but_never_reached_discord_is_posted_after_the_restart(stage):
    async with stage.bot() as studio:
        held = stage.server.faults.hold("POST", f"/channels/{stage.channel.id}/messages")
        await stage.imagine("a fox")
        await asyncio.wait_for(held.reached.wait(), 10)
        assert [record.state for record in await studio.store.open_records()] == ["drawn"]
    stage.server.faults.clear()
    async with stage.bot():
        await stage.result()
        await stage.server.wait_until(lambda: not stage.notices())
    assert len(stage.results()) == 1


async def test_a_notice_left_behind_is_taken_away_after_the_restart(stage):
    async with stage.bot():
        held = stage.server.faults.hold("DELETE", "/webhooks/*")
        await stage.imagine("a fox")
        await stage.result()
        await asyncio.wait_for(held.reached.wait(), 10)
    stage.server.faults.clear()
    async with stage.bot():
        await stage.server.wait_until(lambda: not stage.notices())
    assert len(stage.results()) == 1


async def test_an_ending_that_could_not_be_said_is_said_after_the_restart(stage):
    async with stage.bot(running_per_person=1) as studio:
        await stage.imagine("slow fox")
        notice = await stage.notice("(25%)")
        (job,) = studio.queue.running
        await studio.store.mark_failed(job.id, "It was not to be.")
        await studio.cancel(job.id)
    async with stage.bot():
        await stage.server.wait_until(lambda: "It was not to be." in notice.content)
        assert notice.labels == ["Edit and retry"]


async def test_a_job_that_was_interrupted_too_often_is_given_up(stage):
    async with stage.bot() as studio:
        await stage.imagine("slow fox")
        await stage.notice("(25%)")
        (job,) = studio.queue.running
        for _ in range(3):  # as often as the bot was killed meanwhile
            await studio.store.mark_running(job.id)
    async with stage.bot():
        await stage.notice("interrupted too often")
    assert not stage.results()


async def test_clean_stops_are_not_counted(stage):
    for _ in range(4):
        async with stage.bot() as studio:
            if not stage.server.messages(stage.channel):
                await stage.imagine("slow fox")
            await eventually(lambda studio=studio: studio.queue.running)
            await eventually(lambda studio=studio: studio.worker._jobs)
    stage.go()
    async with stage.bot():
        await stage.result()


async def test_a_first_answer_that_a_stop_cut_off_does_not_lose_the_job(stage):
    async with stage.bot():
        held = stage.server.faults.hold("POST", "/interactions/*")
        await stage.imagine("a fox")
        await asyncio.wait_for(held.reached.wait(), 10)
    stage.server.faults.clear()
    async with stage.bot():
        await stage.result()
        await stage.server.wait_until(lambda: not stage.notices())
    assert len(stage.results()) == 1


async def test_the_person_served_last_waits_also_after_a_restart(stage):
    async with stage.bot():
        await stage.imagine("first", stage.ada)
        await stage.result(text="first")
        await stage.imagine("second", stage.ben)
        await stage.result(text="second")
    async with stage.bot(jobs_at_once=1) as studio:
        await stage.imagine("slow", stage.mod)
        await stage.notice("(25%)")
        await (await stage.imagine("from ben", stage.ben)).message()
        await (await stage.imagine("from ada", stage.ada)).message()
        assert [job.requester.name for job in studio.queue.waiting] == ["ada", "ben"]
        stage.go()
        await stage.result(text="from ben")


@pytest.mark.parametrize(("trouble", "how"), [("drop", {}), ("rate_limit", {"via": False})])
async def test_a_drawn_result_waits_for_a_discord_that_is_away_at_the_start(stage, trouble, how, monkeypatch):
    monkeypatch.setattr("bot.discord_calls.RETRY_PAUSES", (0.05,))
    path = f"/channels/{stage.channel.id}/messages"
    async with stage.bot():
        cut = stage.server.faults.drop_response("POST", path, times=100)
        await stage.imagine("a fox")
        await stage.result()
    assert cut.hits
    stage.server.faults.clear()
    stage.server.world.clock.advance(6 * 60)  # Discord has forgotten the nonce
    getattr(stage.server.faults, trouble)("GET", path, times=5, **how)
    async with stage.bot():
        await stage.server.wait_until(lambda: not stage.notices(), 20)
    assert len(stage.results()) == 1
    assert len(stage.server.pings) == 1


async def test_a_drawn_result_whose_sheet_is_gone_is_given_up_in_words(stage):
    async with stage.bot() as studio:
        cut = stage.server.faults.drop("POST", f"/channels/{stage.channel.id}/messages", times=100)
        await stage.imagine("a fox")
        await asyncio.wait_for(cut.reached.wait(), 10)
        (record,) = await studio.store.open_records()
        sheet = studio.images.grid_path(record.job.id, record.suffix)
    stage.server.faults.clear()
    sheet.unlink()
    async with stage.bot() as studio:
        await stage.notice("Something went wrong")
        assert (await studio.store.get(record.job.id)).state == "failed"


async def test_a_notice_is_found_again_when_the_bot_ended_before_it_could_note_it(stage, monkeypatch):
    async with stage.bot() as studio:
        reached = asyncio.Event()

        async def die(*_: object) -> None:
            reached.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(studio.store, "set_status_message", die)
        await stage.imagine("a fox")
        await asyncio.wait_for(reached.wait(), 10)
    async with stage.bot():
        await stage.result()
        await stage.server.wait_until(lambda: not stage.notices())
    assert len(stage.results()) == 1


@pytest.mark.parametrize("moments", [0, 1, 3, 10])
async def test_a_stop_while_the_connection_is_made_anew_is_obeyed(stage, moments):
    async with stage.bot():
        await stage.server.gateway.drop(4000)
        for _ in range(moments):
            await asyncio.sleep(0)
    async with stage.bot():
        await stage.imagine("a fox")
        await stage.result()


async def test_a_picked_picture_whose_posting_was_cut_off_is_posted_once(stage):
    async with stage.bot():
        await stage.imagine("a fox")
        grid = await stage.result()
        held = stage.server.faults.hold("POST", f"/channels/{stage.channel.id}/messages")
        await stage.person(stage.ada).press(grid, "U1")
        await asyncio.wait_for(held.reached.wait(), 10)
    stage.server.faults.clear()
    async with stage.bot() as studio:
        await stage.result(text="Image #1")
        await eventually(lambda: not studio.tasks)
    assert len(stage.results()) == 2


async def test_a_picked_picture_that_the_bot_had_only_noted_is_posted_after_the_restart(stage, monkeypatch):
    async with stage.bot() as studio:
        await stage.imagine("a fox")
        grid = await stage.result()
        reached = asyncio.Event()

        async def die(*_: object) -> None:
            reached.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(studio.store, "set_status_message", die)
        await stage.person(stage.ada).press(grid, "U1")
        await asyncio.wait_for(reached.wait(), 10)
    async with stage.bot():
        await stage.result(text="Image #1")
    assert len(stage.results()) == 2


async def test_what_was_being_deleted_is_gone_after_a_restart(stage):
    async with stage.bot() as studio:
        await stage.imagine("a fox")
        await stage.result()
        await eventually(lambda: not studio.tasks)
        (row,) = await studio.store._connection.fetch_all("SELECT id FROM jobs")
        await studio.store.mark_deleted(row["id"])
    async with stage.bot():
        await eventually(lambda: not stage.results())
        await eventually(lambda: not list((stage.folder / "data").rglob(f"{row['id']}*")))
