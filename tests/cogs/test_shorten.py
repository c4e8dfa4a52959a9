"""/shorten: the words of a prompt by importance, and shorter prompts as buttons."""

from __future__ import annotations

import asyncio

from bot.jobs.readings import ReadingDelivery
from bot.policy.policy import RequestContext
from db.guilds import AuditEntry
from db.jobs import JobState
from generation.job import Action
from tests.support.bot_harness import eventually
from tests.support.timing import TIMEOUT_S

PROMPT = "a fairytale castle on the sea"


async def shorten(harness, prompt=PROMPT, user=None):
    return await harness.person(user or harness.ada).command("shorten", harness.channel, prompt=prompt)


async def result(harness):
    return await harness.server.wait_for(harness.channel, lambda message: "1\\." in message.content)


async def reading_job(services):
    rows = await services.db.connection.fetch_all("SELECT id FROM jobs WHERE action = 'shorten'")
    return await services.db.jobs.get(rows[-1]["id"]) if rows else None


def buttons(message):
    return [button["label"] for row in message.components for button in row["components"]]


async def test_shorten_shows_the_words_by_importance_and_offers_shorter_prompts(harness):
    async with harness.bot() as services:
        await shorten(harness, f"{PROMPT} --ar 3:2")
        shown = await result(harness)
        assert shown.content.startswith(f"Shortened for <@{harness.ada.id}>\n> ~~a~~ **fairytale castle** on")
        assert "1\\. fairytale castle on the sea --ar 3:2" in shown.content
        assert "fairytale 100 · castle 83" in shown.content
        assert buttons(shown)[:2] == ["1", "2"]
        record = await reading_job(services)
        assert record.job.action is Action.SHORTEN
        assert record.state is JobState.POSTED
        assert record.result_message_id == shown.id
        assert record.seconds == 0.1
        await eventually_found(lambda: has_no_status_message(services))

        opened = await harness.person(harness.ben).press(shown, "2")
        modal = await opened.modal()
        field = modal["components"][0]["component"]
        assert field["value"] == "fairytale castle the sea --ar 3:2"
        await harness.person(harness.ben).submit_modal(opened, {})
        drawn = await harness.result()
        assert f"<@{harness.ben.id}>" in drawn.content
        assert "**fairytale castle the sea --ar 3:2**" in drawn.content
    assert len(harness.results()) == 1, "nothing is drawn but what was asked for"


async def test_a_restart_reads_again_and_answers_once(harness):
    async with harness.bot() as services:
        await shorten(harness, "a slow castle on the sea")
        await eventually(lambda: services.queue.running)
    harness.release_slow_jobs()
    async with harness.bot() as services:
        await result(harness)
        assert (await reading_job(services)).attempts == 1
    assert len([message for message in harness.public_messages() if "Shortened" in message.content]) == 1


async def test_a_result_that_was_stored_but_not_shown_is_shown_after_a_restart(harness, monkeypatch):
    async def never(readings, job, status_message_id):
        await asyncio.Event().wait()

    with monkeypatch.context() as broken:
        broken.setattr(ReadingDelivery, "show", never)
        async with harness.bot() as services:
            await shorten(harness)
            stored = await eventually_found(lambda: stored_reading(services))
    async with harness.bot() as services:
        await result(harness)
        record = await reading_job(services)
        assert record.attempts == 1
        assert await services.db.readings.get(record.job.id) == stored


async def has_no_status_message(services):
    return (await reading_job(services)).status_message_id is None


async def stored_reading(services):
    record = await reading_job(services)
    return record and await services.db.readings.get(record.job.id)


async def eventually_found(find):
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            if found := await find():
                return found
            await asyncio.sleep(0.01)


async def test_a_reading_can_be_cancelled(harness):
    async with harness.bot() as services:
        await shorten(harness, "a slow castle")
        status = await harness.server.wait_for(harness.channel, lambda message: "Cancel" in str(message.components))
        await harness.person(harness.ada).press(status, "Cancel")
        await harness.server.wait_until(lambda: "Cancelled by" in status.content)
        await eventually(lambda: not services.queue.running)
        record = await reading_job(services)
        assert record.state is JobState.CANCELLED
        assert await services.db.readings.get(record.job.id) is None


async def test_a_preferred_repeat_shortens_a_prompt_once(harness):
    async with harness.bot() as services:
        await services.db.preferences.update(harness.ada.id, suffix="--repeat 3")
        await shorten(harness, PROMPT)
        await result(harness)


async def test_a_reading_is_no_picture_of_its_person(harness):
    async with harness.bot() as services:
        await shorten(harness, f"{PROMPT} --video")
        await result(harness)
        record = await reading_job(services)
        assert await services.db.search.by_prompt(harness.ada.id, "castle") == []
        assert (await services.db.gallery.own(harness.ada.id, None, 5)).job_ids == ()
        assert await services.db.contests.own_pictures(harness.guild.id, harness.ada.id, 5) == []
        totals = await services.db.search.lifetime(harness.ada.id)
        assert (totals.jobs, totals.images) == (1, 0)
        used, _ = await services.policy.usage(_context(harness))
        assert used.jobs == 1, "it counts as a job"

        await services.db.jobs.mark_deleted(record.job.id)
        assert await services.db.readings.get(record.job.id) is None
        message = await result(harness)
        refused = await harness.person(harness.ada).press(message, "1")
        assert "not kept any more" in (await refused.message()).content


def _context(harness):
    return RequestContext(
        guild_id=harness.guild.id, channel_ids=frozenset({harness.channel.id}), person_id=harness.ada.id
    )


async def test_what_cannot_be_shortened_is_returned_with_the_reason(harness):
    async with harness.bot():
        asked = await shorten(harness, "a {red, blue} fox")
        assert "One prompt can be shortened at a time" in (await asked.message()).content
        asked = await shorten(harness, "a [red:blue:.5] fox")
        assert "Only words that stay the same can be shortened" in (await asked.message()).content
        assert (await asked.message()).labels == ["Edit and retry"]


async def test_a_blocked_word_is_not_even_read(harness):
    async with harness.bot() as services:
        entry = AuditEntry(guild_id=harness.guild.id, person_id=harness.mod.id, act="words", details="x", at=1.0)
        await services.db.guilds.block_words(entry, {"castle": "refuse"})
        asked = await shorten(harness)
        assert "castle" in (await asked.message()).content
        assert await reading_job(services) is None
