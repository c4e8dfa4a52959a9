"""Cancelling at every stage, by the owner or a moderator."""

from __future__ import annotations

import asyncio

import pytest

from preview.state import permissions
from tests.support.bot_harness import eventually
from tests.support.timing import TIMEOUT_S


async def test_the_owner_cancels_a_running_job_and_the_next_job_runs(harness):
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


async def test_the_owner_cancels_a_waiting_job(harness):
    async with harness.bot(running_per_person=1):
        await harness.imagine("slow fox")
        await harness.status_message("(25%)")
        waiting = await (await harness.imagine("second")).message()
        await harness.person(harness.ada).press(waiting, "Cancel")
        await harness.server.wait_until(lambda: "Cancelled" in waiting.content)
        harness.release_slow_jobs()
        await harness.result(text="fox")
    assert len(harness.results()) == 1


async def test_a_moderator_can_cancel_but_another_member_cannot(harness):
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


async def test_cancelling_twice_or_too_late_is_refused_with_a_message(harness):
    async with harness.bot() as services:
        await harness.imagine("slow fox")
        drawing = await harness.status_message("(25%)")
        presses = [await harness.person(harness.ada).press(drawing, "Cancel") for _ in range(2)]
        late = await presses[1].wait_for(lambda message: message.ephemeral)
        assert "already" in late.content
        await harness.server.wait_until(lambda: "Cancelled" in drawing.content)
        assert not services.queue.running


@pytest.mark.parametrize("stop", ["at once", "while waiting"])
async def test_a_cancelled_job_stays_cancelled_after_a_restart(harness, stop):
    async with harness.bot(running_per_person=1):
        if stop == "while waiting":
            await harness.imagine("slow one", harness.ada)
            await harness.status_message("(25%)")
        status_message = await (await harness.imagine("slow fox")).message()
        await harness.person(harness.ada).press(status_message, "Cancel")
        await harness.server.wait_until(lambda: "Cancelled" in status_message.content)
    harness.release_slow_jobs()
    async with harness.bot():
        await harness.imagine("last")
        await harness.result(text="last")
    assert not [result for result in harness.results() if "fox" in result.content]


async def test_a_job_cancelled_as_soon_as_it_is_shown_does_not_run(harness):
    async with harness.bot() as services:
        held = harness.server.faults.hold("POST", "/interactions/*")
        await harness.imagine("a fox")
        await asyncio.wait_for(held.reached.wait(), TIMEOUT_S)
        (job,) = services.queue.waiting
        assert await services.db.jobs.cancel(job.id, "Cancelled.")
        held.release()
        await harness.imagine("an owl")
        await harness.result(text="owl")
        assert not services.queue.waiting
    assert len(harness.results()) == 1


async def test_a_long_step_does_not_edit_the_message_after_cancelling(harness, monkeypatch):
    monkeypatch.setattr("bot.jobs.status_message.EDIT_INTERVAL_S", 0.5)
    async with harness.bot():
        status_message = await (await harness.imagine("stuck fox")).message()
        await eventually((harness.model / "stuck").exists)
        await harness.person(harness.ada).press(status_message, "Cancel")
        await harness.server.wait_until(lambda: "Cancelled" in status_message.content)
        await eventually(lambda: not any(task.get_name().startswith("status message") for task in asyncio.all_tasks()))
        harness.release_slow_jobs()
        await harness.imagine("owl")
        await harness.result(text="owl")
        assert "Cancelled" in status_message.content


async def test_a_cancellation_is_shown_even_if_the_response_fails(harness):
    async with harness.bot():
        await harness.imagine("slow fox")
        status_message = await harness.status_message("(25%)")
        harness.server.faults.drop("POST", "/interactions/*")
        await harness.person(harness.ada).press(status_message, "Cancel")
        await harness.server.wait_until(lambda: "Cancelled" in status_message.content)
        assert status_message.labels == []


async def test_an_unfinished_edit_does_not_overwrite_the_cancellation(harness):
    async with harness.bot():
        held = harness.server.faults.hold("PATCH", "/webhooks/*")
        status_message = await (await harness.imagine("slow fox")).message()
        await asyncio.wait_for(held.reached.wait(), TIMEOUT_S)
        (job_id,) = harness.tasks
        await harness.person(harness.ada).press(status_message, "Cancel")
        await eventually(lambda: job_id not in harness.tasks or harness.tasks[job_id].cancelling())
        held.release()
        await harness.server.wait_until(lambda: "Cancelled" in status_message.content)
        await eventually(lambda: not harness.tasks)
    assert "Cancelled" in status_message.content
