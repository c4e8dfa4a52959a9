"""Pictures that the classifier takes for sensitive: shown, hidden or withheld."""

from __future__ import annotations

import pytest

from db.jobs import JobState
from preview.state import permissions
from tests.bot.conftest import eventually
from tests.bot.test_owners import config


@pytest.fixture
def flagged(stage):
    """Give an age-restricted channel."""
    return stage.server.world.add_channel(stage.guild, "attic", nsfw=True)


def hidden(message) -> bool:
    return all(attachment.filename.startswith("SPOILER_") for attachment in message.attachments)


async def test_a_sensitive_picture_is_hidden_but_not_where_it_may_be_seen(stage, flagged):
    async with stage.bot(sensitive_classifier="nsfw"):
        await stage.imagine("a naked fox")
        assert hidden(await stage.result())
        await stage.imagine("a naked fox", channel=flagged)
        assert not hidden(await stage.result(channel=flagged))
        await stage.imagine("an owl")
        assert not hidden(await stage.result(text="an owl"))


async def test_in_a_server_that_a_directory_lists_it_is_hidden_everywhere(stage, flagged):
    stage.guild.features.append("DISCOVERABLE")
    async with stage.bot(sensitive_classifier="nsfw"):
        await stage.imagine("a naked fox", channel=flagged)
        assert hidden(await stage.result(channel=flagged))


async def test_a_picture_picked_from_a_sensitive_grid_is_hidden_too_and_so_is_what_is_shown_again(stage, flagged):
    async with stage.bot(sensitive_classifier="nsfw") as studio:
        await stage.imagine("a naked fox", channel=flagged)
        grid = await stage.result(channel=flagged)
        await eventually(lambda: not studio.tasks)
        (row,) = await studio.store._connection.fetch_all("SELECT id FROM jobs")
        shown = await stage.person(stage.ada).command("show", stage.channel, job=row["id"])
        await eventually(lambda: (shown.messages and shown.messages[-1].attachments) or False)
        assert hidden(shown.messages[-1])
        await stage.imagine("a naked owl")
        grid = await stage.result(text="owl")
        await stage.person(stage.ben).press(grid, "U1")
        assert hidden(await stage.result(text="Image #1"))


async def test_no_preview_is_shown_before_anybody_has_looked(stage, flagged):
    async with stage.bot(sensitive_classifier="nsfw"):
        await stage.imagine("slow fox")
        notice = await stage.notice("(25%)")
        await stage.imagine("slow owl", channel=flagged)
        with_preview = await stage.server.wait_for(flagged, lambda message: message.attachments, 20)
        assert "slow owl" in with_preview.content
        assert not notice.attachments
        stage.go()
        await stage.result()


async def test_a_picture_is_withheld_and_not_kept_where_the_owners_want_that(stage):
    async with stage.bot(sensitive_classifier="nsfw") as studio:
        await config(stage, "sensitive", pictures="withheld")
        await stage.imagine("a naked fox")
        await stage.notice("age-restricted channels only")
        assert not stage.results()
        (row,) = await studio.store._connection.fetch_all("SELECT id, state FROM jobs")
        assert row["state"] == JobState.FAILED
        assert not list((stage.folder / "data").rglob(f"{row['id']}*"))


async def test_what_is_withheld_leaves_no_thread_behind_and_cannot_be_shown_again(stage, flagged):
    async with stage.bot(sensitive_classifier="nsfw") as studio:
        await stage.imagine("a naked fox", channel=flagged)
        await stage.result(channel=flagged)
        await eventually(lambda: not studio.tasks)
        (row,) = await studio.store._connection.fetch_all("SELECT id FROM jobs")
        await config(stage, "sensitive", pictures="withheld")
        await config(stage, "results", where="a thread for each job")
        shown = await stage.person(stage.ada).command("show", stage.channel, job=row["id"])
        assert "age-restricted channels only" in (await shown.message()).content
        await stage.imagine("a naked owl")
        await stage.notice("age-restricted channels only. It is not kept")
        assert not any(channel.is_thread for channel in stage.server.world.channels.values())


async def test_what_was_for_a_gallery_that_is_gone_is_withheld_elsewhere(stage, flagged):
    async with stage.bot(sensitive_classifier="nsfw") as studio:
        await config(stage, "sensitive", pictures="withheld")
        await config(stage, "results", where="a gallery", gallery=flagged)
        stage.server.world.channels.pop(flagged.id)
        await stage.imagine("a naked fox")
        await stage.notice("age-restricted channels only")
        assert not stage.results()
        (row,) = await studio.store._connection.fetch_all("SELECT id FROM jobs")
        assert not list((stage.folder / "data").rglob(f"{row['id']}*"))


async def test_what_has_to_come_by_direct_message_is_hidden_there(stage):
    flagged = stage.server.world.add_channel(stage.guild, "attic", nsfw=True, bot_denied=permissions.SEND_MESSAGES)
    async with stage.bot(sensitive_classifier="nsfw"):
        await stage.imagine("a naked slow fox", channel=flagged)
        await stage.notice("(25%)", flagged)
        stage.server.world.clock.advance(15 * 60)
        stage.go()
        assert hidden(await stage.result(channel=stage.server.world.dm_channel(stage.ada)))
