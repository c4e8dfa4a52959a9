"""Images that the classifier flags: shown, spoilered or withheld."""

from __future__ import annotations

import pytest

from db.jobs import JobState
from preview.state import permissions
from tests.cogs.config.test_config_commands import run_config
from tests.support.bot_harness import eventually


@pytest.fixture
def nsfw_channel(harness):
    """Add an age-restricted channel."""
    return harness.server.world.add_channel(harness.guild, "attic", nsfw=True)


def is_spoilered(message) -> bool:
    return all(attachment.filename.startswith("SPOILER_") for attachment in message.attachments)


async def test_an_nsfw_image_is_spoilered_outside_age_restricted_channels(harness, nsfw_channel):
    async with harness.bot(sensitive_classifier="nsfw"):
        await harness.imagine("a naked fox")
        assert is_spoilered(await harness.result())
        await harness.imagine("a naked fox", channel=nsfw_channel)
        assert not is_spoilered(await harness.result(channel=nsfw_channel))
        await harness.imagine("an owl")
        assert not is_spoilered(await harness.result(text="an owl"))


async def test_in_a_discoverable_server_nsfw_images_are_always_spoilered(harness, nsfw_channel):
    harness.guild.features.append("DISCOVERABLE")
    async with harness.bot(sensitive_classifier="nsfw"):
        await harness.imagine("a naked fox", channel=nsfw_channel)
        assert is_spoilered(await harness.result(channel=nsfw_channel))


async def test_tiles_and_reposts_of_an_nsfw_grid_are_spoilered_too(harness, nsfw_channel):
    async with harness.bot(sensitive_classifier="nsfw") as services:
        await harness.imagine("a naked fox", channel=nsfw_channel)
        grid = await harness.result(channel=nsfw_channel)
        await eventually(lambda: not harness.tasks)
        (row,) = await services.db.jobs._connection.fetch_all("SELECT id FROM jobs")
        shown = await harness.person(harness.ada).command("show", harness.channel, job=row["id"])
        await eventually(lambda: (shown.messages and shown.messages[-1].attachments) or False)
        assert is_spoilered(shown.messages[-1])
        await harness.imagine("a naked owl")
        grid = await harness.result(text="owl")
        await harness.person(harness.ben).press(grid, "U1")
        assert is_spoilered(await harness.result(text="Image #1"))


async def test_no_preview_is_shown_before_the_classifier_has_run(harness, nsfw_channel):
    async with harness.bot(sensitive_classifier="nsfw"):
        await harness.imagine("slow fox")
        status_message = await harness.status_message("(25%)")
        await harness.imagine("slow owl", channel=nsfw_channel)
        with_preview = await harness.server.wait_for(nsfw_channel, lambda message: message.attachments)
        assert "slow owl" in with_preview.content
        assert not status_message.attachments
        harness.release_slow_jobs()
        await harness.result()


async def test_a_withheld_image_is_neither_posted_nor_kept(harness):
    async with harness.bot(sensitive_classifier="nsfw") as services:
        await run_config(harness, "sensitive", pictures="withheld")
        await harness.imagine("a naked fox")
        await harness.status_message("age-restricted channels only")
        assert not harness.results()
        (row,) = await services.db.jobs._connection.fetch_all("SELECT id, state FROM jobs")
        assert row["state"] == JobState.FAILED
        assert not list((harness.folder / "data").rglob(f"{row['id']}*"))


async def test_a_withheld_result_leaves_no_thread_and_cannot_be_reposted(harness, nsfw_channel):
    async with harness.bot(sensitive_classifier="nsfw") as services:
        await harness.imagine("a naked fox", channel=nsfw_channel)
        await harness.result(channel=nsfw_channel)
        await eventually(lambda: not harness.tasks)
        (row,) = await services.db.jobs._connection.fetch_all("SELECT id FROM jobs")
        await run_config(harness, "sensitive", pictures="withheld")
        await run_config(harness, "results", where="a thread for each job")
        shown = await harness.person(harness.ada).command("show", harness.channel, job=row["id"])
        assert "age-restricted channels only" in (await shown.message()).content
        await harness.imagine("a naked owl")
        await harness.status_message("age-restricted channels only. It is not kept")
        assert not any(channel.is_thread for channel in harness.server.world.channels.values())


async def test_an_nsfw_image_for_a_deleted_gallery_is_withheld(harness, nsfw_channel):
    async with harness.bot(sensitive_classifier="nsfw") as services:
        await run_config(harness, "sensitive", pictures="withheld")
        await run_config(harness, "results", where="a gallery", gallery=nsfw_channel)
        harness.server.world.channels.pop(nsfw_channel.id)
        await harness.imagine("a naked fox")
        await harness.status_message("age-restricted channels only")
        assert not harness.results()
        (row,) = await services.db.jobs._connection.fetch_all("SELECT id FROM jobs")
        assert not list((harness.folder / "data").rglob(f"{row['id']}*"))


async def test_an_nsfw_image_sent_by_direct_message_is_spoilered(harness):
    flagged = harness.server.world.add_channel(harness.guild, "attic", nsfw=True, bot_denied=permissions.SEND_MESSAGES)
    async with harness.bot(sensitive_classifier="nsfw"):
        await harness.imagine("a naked slow fox", channel=flagged)
        await harness.status_message("(25%)", flagged)
        harness.server.world.clock.advance(15 * 60)
        harness.release_slow_jobs()
        assert is_spoilered(await harness.result(channel=harness.server.world.dm_channel(harness.ada)))
