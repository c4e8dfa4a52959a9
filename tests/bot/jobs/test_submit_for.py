"""Jobs that no interaction asks for: within their requester's limits, posted in their channel, and resumed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.policy.policy import JobRequest, PolicyDenied, RequestContext
from bot.policy.settings import GuildSettings, RoleLimits, to_dict
from db.guilds import AuditEntry
from db.jobs import JobState
from db.lineage import Credit
from generation.errors import UserError
from generation.job import Action, Destination, Job, Requester
from generation.params import Params, PromptPart
from tests.support.bot_harness import eventually, is_result
from tests.support.sessions import block

JOB_ID = "0123456789ab"


def make(harness, prompt="a fox", channel=None, job_id=JOB_ID):
    """Return a job of ada's without an interaction."""
    params = Params(parts=(PromptPart(prompt),), width=64, height=64, seed=1, num_inference_steps=4, guidance_scale=5.0)
    to = Destination(
        guild_id=harness.guild.id,
        channel_id=(channel or harness.channel).id,
        by_channel=True,
        token="",
        token_expires_at=0.0,
        upload_limit=8 * 2**20,
    )
    return Job(
        id=job_id,
        action=Action.IMAGINE,
        params=params,
        requester=Requester(harness.ada.id, "ada"),
        destination=to,
        parent=None,
        asked_at=harness.server.world.clock.time(),
    )


async def submit(harness, job, credited=None):
    context = RequestContext(
        guild_id=harness.guild.id, channel_ids=frozenset({harness.channel.id}), person_id=harness.ada.id
    )
    request = JobRequest(action=job.action, params=job.params)
    await harness.client.jobs.submit_for(context, request, job, credited)


async def configure(services, harness, **settings):
    entry = AuditEntry(guild_id=harness.guild.id, person_id=harness.mod.id, act="settings", details="x", at=1.0)
    version = (await services.db.guilds.settings(harness.guild.id)).version
    assert await services.db.guilds.set_settings(entry, to_dict(GuildSettings(**settings)), version)


async def test_the_result_is_posted_in_the_channel_and_the_status_removed(harness):
    async with harness.bot() as services:
        await submit(harness, make(harness, "slow fox"))
        await harness.status_message("slow fox")
        assert "Cancel" in harness.status_messages()[0].labels
        harness.release_slow_jobs()
        await harness.result(text="slow fox")
        await eventually(lambda: harness.status_messages() == [])
        assert (await services.db.jobs.get(JOB_ID)).state is JobState.POSTED


async def test_a_repeated_step_draws_once(harness):
    async with harness.bot():
        for _ in range(3):
            await submit(harness, make(harness))
        await harness.result(text="fox")
    async with harness.bot():
        await submit(harness, make(harness))
    assert len(harness.results()) == 1


async def test_it_is_not_posted_in_the_gallery(harness):
    gallery = harness.server.world.add_channel(harness.guild, "gallery")
    async with harness.bot() as services:
        await configure(services, harness, delivery="gallery", gallery=gallery.id)
        await submit(harness, make(harness))
        await harness.result(text="fox")
    assert harness.results(gallery) == []


async def test_its_requester_at_a_limit_is_refused_and_nothing_is_stored(harness):
    async with harness.bot() as services:
        await configure(services, harness, bounds={harness.guild.id: RoleLimits(jobs_a_day=0)})
        with pytest.raises(PolicyDenied, match="Your limit here"):
            await submit(harness, make(harness))
        await configure(services, harness, bounds={harness.guild.id: RoleLimits(waiting=1, running=1)})
        await submit(harness, make(harness, "slow one", job_id="0" * 12))
        await eventually(lambda: services.queue.running)
        await submit(harness, make(harness, "slow two", job_id="1" * 12))
        with pytest.raises(UserError):
            await submit(harness, make(harness))
        assert await services.db.jobs.get(JOB_ID) is None
        harness.release_slow_jobs()
        await harness.result(text="slow two")


async def test_it_is_resumed_with_its_status_message_after_a_restart(harness):
    async with harness.bot() as services:
        await submit(harness, make(harness, "slow fox"))
        await harness.status_message("slow fox")
        await services.db.jobs.set_status_message(JOB_ID, None)  # as if the bot had been killed before it was stored
    harness.release_slow_jobs()
    async with harness.bot():
        await harness.result(text="slow fox")
        await eventually(lambda: harness.status_messages() == [])
    assert len(harness.results()) == 1


@pytest.mark.parametrize("who", ["ada", "ben"])
async def test_a_block_before_its_turn_ends_it(harness, who):
    async with harness.bot(jobs_at_once=1) as services:
        await harness.imagine("slow owl", harness.mod)
        await eventually(lambda: services.queue.running)
        credited = [Credit(person_id=harness.ben.id, part="worded")]
        await submit(harness, make(harness, "night fox"), credited)
        await block(services, harness, getattr(harness, who))
        harness.release_slow_jobs()
        await harness.server.wait_for(
            harness.channel, lambda message: "have blocked" in message.content and "night fox" in message.content
        )
        assert (await services.db.jobs.get(JOB_ID)).state is JobState.FAILED
        assert (await services.db.lineage.credits(JOB_ID)) == credited
    assert not any(
        "night fox" in message.content for message in harness.server.messages(harness.channel) if is_result(message)
    )


async def test_without_a_credit_the_words_are_the_requesters(harness):
    async with harness.bot() as services:
        await submit(harness, replace(make(harness)))
        await harness.result(text="fox")
        assert await services.db.lineage.credits(JOB_ID) == [Credit(person_id=harness.ada.id, part="worded")]
