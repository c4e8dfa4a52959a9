"""Cancelling at every stage, by those who may."""

from __future__ import annotations

import asyncio

import pytest

from preview.state import permissions
from tests.support.bot_harness import eventually


async def test_the_owner_cancels_while_it_is_drawn_and_the_next_job_goes_on(harness):
    async with harness.bot(jobs_at_once=1):
        await harness.imagine("slow fox")
        drawing = await harness.status_message("(25%)")
        await harness.imagine("owl", harness.ben)
        await harness.person(harness.ada).press(drawing, "Cancel")
        await harness.server.wait_until(lambda: f"Cancelled by <@{harness.ada.id}>" in drawing.content)
        await harness.result(text="owl")
    assert drawing.labels == []
    assert drawing.attachments == []
    assert "slow fox" in drawing.content


async def test_the_owner_cancels_while_it_waits(harness):
    async with harness.bot(running_per_person=1):
        await harness.imagine("slow fox")
        await harness.status_message("(25%)")
        waiting = await (await harness.imagine("second")).message()
        await harness.person(harness.ada).press(waiting, "Cancel")
        await harness.server.wait_until(lambda: "Cancelled" in waiting.content)
        harness.release_slow_jobs()
        await harness.result(text="fox")
    assert len(harness.results()) == 1


async def test_a_moderator_cancels_and_somebody_else_may_not(harness):
    async with harness.bot():
        await harness.imagine("slow fox")
        drawing = await harness.status_message("(25%)")
        refused = await (await harness.person(harness.ben).press(drawing, "Cancel")).message()
        assert refused.ephemeral
        assert "moderator" in refused.content
        role = harness.server.world.add_role(harness.guild, "mods", permissions.MANAGE_MESSAGES)
        harness.guild.members[harness.ben.id].role_ids.append(role.id)
        await harness.person(harness.ben).press(drawing, "Cancel")
        await harness.server.wait_until(lambda: f"Cancelled by <@{harness.ben.id}>" in drawing.content)


async def test_cancelling_twice_or_too_late_is_answered(harness):
    async with harness.bot() as services:
        await harness.imagine("slow fox")
        drawing = await harness.status_message("(25%)")
        presses = [await harness.person(harness.ada).press(drawing, "Cancel") for _ in range(2)]
        late = await presses[1].wait_for(lambda message: message.ephemeral)
        assert "already" in late.content
        await harness.server.wait_until(lambda: "Cancelled" in drawing.content)
        assert not services.queue.running


@pytest.mark.parametrize("stop", ["at once", "while waiting"])
async def test_a_cancelled_job_stays_cancelled_over_a_restart(harness, stop):
    async with harness.bot(running_per_person=1):
        if stop == "while waiting":
            await harness.imagine("slow one", harness.ada)
            await harness.status_message("(25%)")
        notice = await (await harness.imagine("slow fox")).message()
        await harness.person(harness.ada).press(notice, "Cancel")
        await harness.server.wait_until(lambda: "Cancelled" in notice.content)
    harness.release_slow_jobs()
    async with harness.bot():
        await harness.imagine("last")
        await harness.result(text="last")
    assert not [result for result in harness.results() if "fox" in result.content]


async def test_a_job_cancelled_in_the_moment_it_is_shown_is_not_drawn(harness):
    async with harness.bot() as services:
        held = harness.server.faults.hold("POST", "/interactions/*")
        await harness.imagine("a fox")
        await asyncio.wait_for(held.reached.wait(), 10)
        (job,) = services.queue.waiting
        assert await services.db.jobs.cancel(job.id, "Cancelled.")
        held.release()
        await harness.imagine("an owl")
        await harness.result(text="owl")
        assert not services.queue.waiting
    assert len(harness.results()) == 1


async def test_nothing_is_shown_after_cancelling_however_long_the_step_takes(harness, monkeypatch):
    monkeypatch.setattr("bot.jobs.status_message.EDIT_INTERVAL_S", 0.5)
    async with harness.bot():
        notice = await (await harness.imagine("stuck fox")).message()
        await eventually((harness.model / "stuck").exists)
        await harness.person(harness.ada).press(notice, "Cancel")
        await harness.server.wait_until(lambda: "Cancelled" in notice.content)
        await eventually(lambda: not any(task.get_name().startswith("notice") for task in asyncio.all_tasks()))
        harness.release_slow_jobs()
        await harness.imagine("owl")
        await harness.result(text="owl")
        assert "Cancelled" in notice.content


async def test_a_cancelling_that_could_not_be_answered_is_still_shown(harness):
    async with harness.bot():
        await harness.imagine("slow fox")
        notice = await harness.status_message("(25%)")
        harness.server.faults.drop("POST", "/interactions/*")
        await harness.person(harness.ada).press(notice, "Cancel")
        await harness.server.wait_until(lambda: "Cancelled" in notice.content)
        assert notice.labels == []


async def test_an_edit_that_was_under_way_does_not_undo_what_the_cancelling_said(harness):
    async with harness.bot():
        held = harness.server.faults.hold("PATCH", "/webhooks/*")
        notice = await (await harness.imagine("slow fox")).message()
        await asyncio.wait_for(held.reached.wait(), 10)
        (job_id,) = harness.tasks
        await harness.person(harness.ada).press(notice, "Cancel")
        await eventually(lambda: job_id not in harness.tasks or harness.tasks[job_id].cancelling())
        held.release()
        await harness.server.wait_until(lambda: "Cancelled" in notice.content)
        await eventually(lambda: not harness.tasks)
    assert "Cancelled" in notice.content
