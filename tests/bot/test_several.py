"""Several jobs from one prompt: asked about first, then all of them, once."""

from __future__ import annotations

import asyncio

import pytest

from preview import UploadedFile
from tests.bot.conftest import red
from tests.bot.test_retry import prompt_of

FOUR = "a {red, blue} {fox, owl}"


async def asked_about(stage, prompt=FOUR, user=None, **more):
    question = await (await stage.imagine(prompt, user, **more)).message()
    assert question.ephemeral
    return question


async def draw_all(stage, question, user=None):
    return await stage.person(user or stage.ada).press(question, "Draw all")


async def drawn(stage, number):
    await stage.server.wait_until(lambda: len(stage.results()) == number, 20)


async def test_the_question_says_how_many_and_shows_the_first(stage):
    async with stage.bot():
        question = await asked_about(stage)
        assert question.content.startswith("This makes 4 jobs:\n1. a red fox\n2. a red owl\n3. a blue fox\n")
        assert "and 1 more" in question.content
        assert f"```\n{FOUR}\n```" in question.content
        assert question.labels == ["Draw all", "Edit", "Cancel"]
    assert not stage.public()


async def test_each_job_has_its_own_notice_and_result(stage):
    async with stage.bot(running_per_person=1):
        question = await asked_about(stage, "slow {fox, owl, cat}")
        await draw_all(stage, question)
        await stage.server.wait_until(lambda: len(stage.notices()) == 3)
        assert all(notice.labels == ["Cancel"] for notice in stage.notices())
        assert question.content == "3 jobs are on their way."
        assert question.labels == []
        cat = await stage.notice("cat")
        await stage.person(stage.ada).press(cat, "Cancel")
        await stage.server.wait_until(lambda: "Cancelled" in cat.content)
        stage.go()
        await drawn(stage, 2)
    assert {ping.user_id for ping in stage.server.pings} == {stage.ada.id}
    assert all(result.reference is None for result in stage.results())


@pytest.mark.parametrize("at_once", [True, False])
async def test_confirming_twice_makes_the_jobs_once(stage, at_once):
    async with stage.bot():
        question = await asked_about(stage)
        held = stage.server.faults.hold("POST", "/interactions/*") if at_once else None
        first = await draw_all(stage, question)
        second = await draw_all(stage, question)
        if held:
            held.release()
        await asyncio.gather(first.response(), second.response())
        await drawn(stage, 4)
        refused = [each for one in (first, second) for each in one.followups if "before" in each.content]
        await stage.server.wait_until(lambda: not stage.notices())
    assert len(stage.results()) == 4
    assert len(refused) == 1


async def test_repeat_asks_too_and_each_has_a_seed_of_its_own(stage):
    async with stage.bot() as studio:
        await draw_all(stage, await asked_about(stage, "a fox --repeat 3"))
        await drawn(stage, 3)
        jobs = [await studio.store.get(each.buttons[0]["custom_id"][5:17]) for each in stage.results()]
    assert len({record.job.params.seed for record in jobs}) == 3


async def test_the_question_works_after_a_restart(stage):
    async with stage.bot():
        question = await asked_about(stage)
    async with stage.bot():
        await draw_all(stage, question)
        await drawn(stage, 4)
    async with stage.bot():
        assert len(stage.results()) == 4


async def test_what_was_confirmed_goes_on_after_a_stop_in_the_middle_of_the_notices(stage):
    async with stage.bot():
        question = await asked_about(stage, "slow {fox, owl, cat}")
        held = stage.server.faults.hold("POST", "/webhooks/*")
        await draw_all(stage, question)
        await asyncio.wait_for(held.reached.wait(), 10)
    stage.server.faults.clear()
    stage.go()
    async with stage.bot():
        await drawn(stage, 3)
        assert question.content == "3 jobs are on their way."


async def test_cancelling_and_editing(stage):
    async with stage.bot():
        question = await asked_about(stage)
        pressed = await stage.person(stage.ada).press(question, "Edit")
        assert prompt_of(await pressed.modal()) == FOUR
        await stage.person(stage.ada).press(question, "Cancel")
        await stage.server.wait_until(lambda: question.deleted)
    assert not stage.public()


async def test_more_than_may_wait_are_refused_as_a_whole_with_the_limit(stage):
    async with stage.bot(waiting_per_person=3, running_per_person=1):
        question = await asked_about(stage)
        refused = await (await draw_all(stage, question)).followup()
        assert refused.ephemeral
        assert "3" in refused.content
        assert f"```\n{FOUR}\n```" in refused.content
        assert not stage.public()
        assert "Draw all" in question.labels


@pytest.mark.parametrize("prompt", ["{a, b, c, d} {e, f, g} fox", "fox --repeat 12", "{a, b} fox --repeat 7"])
async def test_more_than_are_allowed_at_once_are_refused_when_asked_for(stage, prompt):
    async with stage.bot():
        refused = await asked_about(stage, prompt)
        assert "10" in refused.content
        assert "Edit and retry" in refused.labels


async def test_the_faults_of_all_prompts_are_said_once(stage):
    async with stage.bot():
        refused = await asked_about(stage, "{a, b} fox --steps 1000 --aspct {1:1, 2:1}")
        assert refused.content.count("`--steps`") == 1
        assert refused.content.count("did you mean `--aspect`") == 1


async def test_an_attached_picture_goes_with_each(stage):
    async with stage.bot() as studio:
        asked = await stage.imagine("a {red, blue} fox", image=UploadedFile("red.png", red(64, 64)))
        question = await asked.wait_for(lambda message: "2 jobs" in message.content)
        await draw_all(stage, question)
        await drawn(stage, 2)
        jobs = [await studio.store.get(each.buttons[0]["custom_id"][5:17]) for each in stage.results()]
    assert len({record.job.params.source for record in jobs}) == 1
    assert jobs[0].job.params.source is not None


async def test_where_only_the_person_installed_the_bot_five_are_the_most(stage):
    eve = stage.server.world.add_user("eve", installed=True)
    channel = stage.server.world.add_channel(stage.server.world.add_guild("Elsewhere", eve, bot=False))
    async with stage.bot():
        question = await asked_about(stage, "{1,2,3,4,5,6} foxes", eve, channel=channel)
        refused = await (await draw_all(stage, question, eve)).followup()
        assert "5 jobs" in refused.content
        question = await asked_about(stage, "{1,2,3,4,5} foxes", eve, channel=channel)
        await draw_all(stage, question, eve)
        await stage.server.wait_until(lambda: len(stage.results(channel)) == 5, 20)


async def test_the_jobs_go_on_when_discord_is_away_after_the_question(stage):
    async with stage.bot():
        question = await asked_about(stage)
        stage.server.faults.rate_limit("PATCH", "/webhooks/*", times=100, via=False)
        stage.server.faults.rate_limit("POST", "/webhooks/*", times=100, via=False)
        await draw_all(stage, question)
        await drawn(stage, 4)
