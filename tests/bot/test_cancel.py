"""Cancelling at every stage, by those who may."""

from __future__ import annotations

import asyncio

import pytest

from preview.state import permissions
from tests.bot.conftest import eventually


async def test_the_owner_cancels_while_it_is_drawn_and_the_next_job_goes_on(stage):
    async with stage.bot(jobs_at_once=1):
        await stage.imagine("slow fox")
        drawing = await stage.notice("(25%)")
        await stage.imagine("owl", stage.ben)
        await stage.person(stage.ada).press(drawing, "Cancel")
        await stage.server.wait_until(lambda: f"Cancelled by <@{stage.ada.id}>" in drawing.content)
        await stage.result(text="owl")
    assert drawing.labels == []
    assert drawing.attachments == []
    assert "slow fox" in drawing.content


async def test_the_owner_cancels_while_it_waits(stage):
    async with stage.bot(running_per_person=1):
        await stage.imagine("slow fox")
        await stage.notice("(25%)")
        waiting = await (await stage.imagine("second")).message()
        await stage.person(stage.ada).press(waiting, "Cancel")
        await stage.server.wait_until(lambda: "Cancelled" in waiting.content)
        stage.go()
        await stage.result(text="fox")
    assert len(stage.results()) == 1


async def test_a_moderator_cancels_and_somebody_else_may_not(stage):
    async with stage.bot():
        await stage.imagine("slow fox")
        drawing = await stage.notice("(25%)")
        refused = await (await stage.person(stage.ben).press(drawing, "Cancel")).message()
        assert refused.ephemeral
        assert "moderator" in refused.content
        role = stage.server.world.add_role(stage.guild, "mods", permissions.MANAGE_MESSAGES)
        stage.guild.members[stage.ben.id].role_ids.append(role.id)
        await stage.person(stage.ben).press(drawing, "Cancel")
        await stage.server.wait_until(lambda: f"Cancelled by <@{stage.ben.id}>" in drawing.content)


async def test_cancelling_twice_or_too_late_is_answered(stage):
    async with stage.bot() as studio:
        await stage.imagine("slow fox")
        drawing = await stage.notice("(25%)")
        presses = [await stage.person(stage.ada).press(drawing, "Cancel") for _ in range(2)]
        late = await presses[1].wait_for(lambda message: message.ephemeral)
        assert "already" in late.content
        await stage.server.wait_until(lambda: "Cancelled" in drawing.content)
        assert not studio.queue.running


@pytest.mark.parametrize("stop", ["at once", "while waiting"])
async def test_a_cancelled_job_stays_cancelled_over_a_restart(stage, stop):
    async with stage.bot(running_per_person=1):
        if stop == "while waiting":
            await stage.imagine("slow one", stage.ada)
            await stage.notice("(25%)")
        notice = await (await stage.imagine("slow fox")).message()
        await stage.person(stage.ada).press(notice, "Cancel")
        await stage.server.wait_until(lambda: "Cancelled" in notice.content)
    stage.go()
    async with stage.bot():
        await stage.imagine("last")
        await stage.result(text="last")
    assert not [result for result in stage.results() if "fox" in result.content]


async def test_a_job_cancelled_in_the_moment_it_is_shown_is_not_drawn(stage):
    async with stage.bot() as studio:
        held = stage.server.faults.hold("POST", "/interactions/*")
        await stage.imagine("a fox")
        await asyncio.wait_for(held.reached.wait(), 10)
        (job,) = studio.queue.waiting
        assert await studio.store.cancel(job.id, "Cancelled.")
        held.release()
        await stage.imagine("an owl")
        await stage.result(text="owl")
        assert not studio.queue.waiting
    assert len(stage.results()) == 1


async def test_nothing_is_shown_after_the_cancelling_however_long_the_step_takes_that_is_being_made(stage, monkeypatch):
    monkeypatch.setattr("bot.jobs.status_message.EDIT_INTERVAL_S", 0.5)
    async with stage.bot():
        notice = await (await stage.imagine("stuck fox")).message()
        await eventually((stage.model / "stuck").exists)
        await stage.person(stage.ada).press(notice, "Cancel")
        await stage.server.wait_until(lambda: "Cancelled" in notice.content)
        await eventually(lambda: not any(task.get_name().startswith("notice") for task in asyncio.all_tasks()))
        stage.go()
        await stage.imagine("owl")
        await stage.result(text="owl")
        assert "Cancelled" in notice.content


async def test_a_cancelling_that_could_not_be_answered_is_still_shown(stage):
    async with stage.bot():
        await stage.imagine("slow fox")
        notice = await stage.notice("(25%)")
        stage.server.faults.drop("POST", "/interactions/*")
        await stage.person(stage.ada).press(notice, "Cancel")
        await stage.server.wait_until(lambda: "Cancelled" in notice.content)
        assert notice.labels == []


async def test_an_edit_that_was_under_way_does_not_undo_what_the_cancelling_said(stage):
    async with stage.bot() as studio:
        held = stage.server.faults.hold("PATCH", "/webhooks/*")
        notice = await (await stage.imagine("slow fox")).message()
        await asyncio.wait_for(held.reached.wait(), 10)
        (job_id,) = studio.tasks
        await stage.person(stage.ada).press(notice, "Cancel")
        await eventually(lambda: job_id not in studio.tasks or studio.tasks[job_id].cancelling())
        held.release()
        await stage.server.wait_until(lambda: "Cancelled" in notice.content)
        await eventually(lambda: not studio.tasks)
    assert "Cancelled" in notice.content
