"""Several jobs from one prompt: all are submitted once, after a confirmation."""

from __future__ import annotations

import asyncio

import pytest

from preview import UploadedFile
from tests.cogs.test_prompt_modal import modal_prompt
from tests.support.bot_harness import red_png
from tests.support.timing import TIMEOUT_S

FOUR = "a {red, blue} {fox, owl}"


async def open_confirmation(harness, prompt=FOUR, user=None, **more):
    question = await (await harness.imagine(prompt, user, **more)).message()
    assert question.ephemeral
    return question


async def confirm(harness, question, user=None):
    return await harness.person(user or harness.ada).press(question, "Draw all")


async def wait_for_results(harness, number):
    await harness.server.wait_until(lambda: len(harness.results()) == number)


async def test_the_confirmation_shows_the_number_and_the_first_jobs(harness):
    async with harness.bot():
        question = await open_confirmation(harness)
        assert question.content.startswith("This makes 4 jobs:\n1. a red fox\n2. a red owl\n3. a blue fox\n")
        assert "and 1 more" in question.content
        assert f"```\n{FOUR}\n```" in question.content
        assert question.labels == ["Draw all", "Edit", "Cancel"]
    assert not harness.public_messages()


async def test_each_job_has_its_own_status_message_and_result(harness):
    async with harness.bot(running_per_person=1):
        question = await open_confirmation(harness, "slow {fox, owl, cat}")
        await confirm(harness, question)
        await harness.server.wait_until(lambda: len(harness.status_messages()) == 3)
        assert all(status.labels == ["Cancel"] for status in harness.status_messages())
        assert question.content == "3 jobs are on their way."
        assert question.labels == []
        cat = await harness.status_message("cat")
        await harness.person(harness.ada).press(cat, "Cancel")
        await harness.server.wait_until(lambda: "Cancelled" in cat.content)
        harness.release_slow_jobs()
        await wait_for_results(harness, 2)
    assert {ping.user_id for ping in harness.server.pings} == {harness.ada.id}
    assert all(result.reference is None for result in harness.results())


@pytest.mark.parametrize("at_once", [True, False])
async def test_confirming_twice_submits_the_jobs_once(harness, at_once):
    async with harness.bot():
        question = await open_confirmation(harness)
        held = harness.server.faults.hold("POST", "/interactions/*") if at_once else None
        first = await confirm(harness, question)
        second = await confirm(harness, question)
        if held:
            held.release()
        await asyncio.gather(first.response(), second.response())
        await wait_for_results(harness, 4)
        refused = [each for one in (first, second) for each in one.followups if "before" in each.content]
        await harness.server.wait_until(lambda: not harness.status_messages())
    assert len(harness.results()) == 4
    assert len(refused) == 1


async def test_repeat_asks_too_and_each_job_has_its_own_seed(harness):
    async with harness.bot() as services:
        await confirm(harness, await open_confirmation(harness, "a fox --repeat 3"))
        await wait_for_results(harness, 3)
        jobs = [await services.db.jobs.get(each.buttons[0]["custom_id"][5:17]) for each in harness.results()]
    assert len({record.job.params.seed for record in jobs}) == 3


async def test_the_confirmation_works_after_a_restart(harness):
    async with harness.bot():
        question = await open_confirmation(harness)
    async with harness.bot():
        await confirm(harness, question)
        await wait_for_results(harness, 4)
    async with harness.bot():
        assert len(harness.results()) == 4


async def test_a_confirmed_batch_resumes_after_a_stop_between_status_messages(harness):
    async with harness.bot():
        question = await open_confirmation(harness, "slow {fox, owl, cat}")
        held = harness.server.faults.hold("POST", "/webhooks/*")
        await confirm(harness, question)
        await asyncio.wait_for(held.reached.wait(), TIMEOUT_S)
    harness.server.faults.clear()
    harness.release_slow_jobs()
    async with harness.bot():
        await wait_for_results(harness, 3)
        assert question.content == "3 jobs are on their way."


async def test_cancelling_and_editing(harness):
    async with harness.bot():
        question = await open_confirmation(harness)
        pressed = await harness.person(harness.ada).press(question, "Edit")
        assert modal_prompt(await pressed.modal()) == FOUR
        await harness.person(harness.ada).press(question, "Cancel")
        await harness.server.wait_until(lambda: question.deleted)
    assert not harness.public_messages()


async def test_a_batch_over_the_waiting_limit_is_refused_as_a_whole(harness):
    async with harness.bot(waiting_per_person=3, running_per_person=1):
        question = await open_confirmation(harness)
        refused = await (await confirm(harness, question)).followup()
        assert refused.ephemeral
        assert "3" in refused.content
        assert f"```\n{FOUR}\n```" in refused.content
        assert not harness.public_messages()
        assert "Draw all" in question.labels


@pytest.mark.parametrize("prompt", ["{a, b, c, d} {e, f, g} fox", "fox --repeat 12", "{a, b} fox --repeat 7"])
async def test_a_batch_over_the_job_limit_is_refused_at_once(harness, prompt):
    async with harness.bot():
        refused = await open_confirmation(harness, prompt)
        assert "10" in refused.content
        assert "Edit and retry" in refused.labels


async def test_errors_that_several_prompts_share_are_reported_once(harness):
    async with harness.bot():
        refused = await open_confirmation(harness, "{a, b} fox --steps 1000 --aspct {1:1, 2:1}")
        assert refused.content.count("`--steps`") == 1
        assert refused.content.count("did you mean `--aspect`") == 1


async def test_an_attached_image_is_used_by_each_job(harness):
    async with harness.bot() as services:
        asked = await harness.imagine("a {red, blue} fox", image=UploadedFile("red.png", red_png(64, 64)))
        question = await asked.wait_for(lambda message: "2 jobs" in message.content)
        await confirm(harness, question)
        await wait_for_results(harness, 2)
        jobs = [await services.db.jobs.get(each.buttons[0]["custom_id"][5:17]) for each in harness.results()]
    assert len({record.job.params.source for record in jobs}) == 1
    assert jobs[0].job.params.source is not None


async def test_a_user_install_allows_five_jobs_at_most(harness):
    eve = harness.server.world.add_user("eve", installed=True)
    channel = harness.server.world.add_channel(harness.server.world.add_guild("Elsewhere", eve, bot=False))
    async with harness.bot():
        question = await open_confirmation(harness, "{1,2,3,4,5,6} foxes", eve, channel=channel)
        refused = await (await confirm(harness, question, eve)).followup()
        assert "5 jobs" in refused.content
        question = await open_confirmation(harness, "{1,2,3,4,5} foxes", eve, channel=channel)
        await confirm(harness, question, eve)
        await harness.server.wait_until(lambda: len(harness.results(channel)) == 5)


async def test_a_confirmed_batch_survives_a_discord_outage(harness):
    async with harness.bot():
        question = await open_confirmation(harness)
        harness.server.faults.rate_limit("PATCH", "/webhooks/*", times=100, via=False)
        harness.server.faults.rate_limit("POST", "/webhooks/*", times=100, via=False)
        await confirm(harness, question)
        await wait_for_results(harness, 4)
