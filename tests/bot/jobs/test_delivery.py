"""Faults around a job, and how the job still ends."""

from __future__ import annotations

import asyncio
import errno
import sqlite3

import pytest

from bot.config import ConfigError
from preview import UploadedFile
from preview.state import permissions
from preview.state.world import Overwrite
from tests.support.bot_harness import eventually, open_image, red_png

FIFTEEN_MINUTES = 15 * 60 + 5


async def test_a_worker_killed_while_generating_restarts_and_repeats_the_job(harness):
    async with harness.bot() as services:
        await harness.imagine("a fox --seed 3")
        before = open_image(harness.server, await harness.result())
        (harness.model / "hold").touch()
        await harness.imagine("death of a fox --seed 3")
        await harness.status_message("being started again")
        (harness.model / "spare").touch()
        (harness.model / "hold").unlink()
        after = open_image(harness.server, await harness.result(text="death"))
        assert services.fleet.state.model.name == "Painter"
    assert after.tobytes() == before.tobytes()


async def test_a_job_that_crashes_the_worker_twice_fails_and_others_go_on(harness):
    async with harness.bot():
        await harness.imagine("slow owl", harness.ben)
        await harness.status_message("(25%)")
        harness.release_slow_jobs()
        await harness.imagine("death of a fox")
        given_up = await harness.status_message("ended twice")
        assert given_up.labels == ["Edit and retry"]
        assert "death of a fox" in given_up.content
        await harness.result(text="owl")


async def test_a_job_that_crashes_the_worker_twice_does_not_fail_another(harness):
    async with harness.bot():
        await harness.imagine("slow owl", harness.ben)
        await harness.status_message("(25%)")
        (harness.model / "hold").touch()
        await harness.imagine("death of a fox")
        await harness.status_message("being started again")
        harness.release_slow_jobs()
        (harness.model / "hold").unlink()
        await harness.status_message("ended twice")
        await harness.result(text="owl")


async def test_running_out_of_memory_fails_the_job_but_not_the_worker(harness):
    async with harness.bot():
        await harness.imagine("huge fox")
        await harness.status_message("too large for the GPU's memory")
        await harness.imagine("small fox")
        await harness.result(text="small")


async def test_a_result_after_the_token_expired_is_posted_in_the_channel(harness):
    async with harness.bot():
        status_message = await (await harness.imagine("slow fox")).message()
        await harness.status_message("(25%)")
        harness.server.world.clock.advance(FIFTEEN_MINUTES)
        harness.release_slow_jobs()
        result = await harness.result()
        assert harness.server.pinged_by(result) == [harness.ada]
        await harness.server.wait_until(lambda: status_message.deleted)


async def test_a_token_expired_only_by_discords_clock_does_not_lose_the_result(harness, monkeypatch):
    async with harness.bot(clock=lambda: 1e9):  # far behind
        await harness.imagine("slow fox")
        await harness.status_message("(25%)")
        harness.server.world.clock.advance(FIFTEEN_MINUTES)
        harness.release_slow_jobs()
        await harness.result()


async def test_a_deleted_status_message_does_not_stop_the_job(harness):
    async with harness.bot():
        status_message = await (await harness.imagine("slow fox")).message()
        await harness.status_message("(25%)")
        await harness.person(harness.mod).delete(status_message)
        harness.release_slow_jobs()
        assert harness.server.pinged_by(await harness.result()) == [harness.ada]


async def test_a_parent_that_was_deleted_does_not_lose_the_result(harness):
    async with harness.bot():
        await harness.imagine("slow fox")
        harness.release_slow_jobs()
        grid = await harness.result()
        await eventually(lambda: not harness.tasks)
        (harness.model / "go").unlink()
        await harness.person(harness.ada).press(grid, "V1")
        await harness.status_message("(25%)")
        await harness.person(harness.mod).delete(grid)
        harness.release_slow_jobs()
        await harness.result(text="Variations")


@pytest.mark.parametrize("lacks", [permissions.SEND_MESSAGES, permissions.VIEW_CHANNEL, permissions.ATTACH_FILES])
async def test_without_permission_the_status_message_becomes_the_result(harness, lacks):
    channel = harness.server.world.add_channel(harness.guild, "walled", bot_denied=lacks)
    async with harness.bot():
        status_message = await (await harness.imagine("a fox", channel=channel)).message()
        result = await harness.result(channel=channel)
    assert result.id == status_message.id
    assert not [attachment for attachment in result.attachments if attachment.filename.endswith(".jpg")]


async def test_without_permission_or_token_the_result_is_a_direct_message(harness):
    channel = harness.server.world.add_channel(harness.guild, "walled", bot_denied=permissions.SEND_MESSAGES)
    async with harness.bot():
        await harness.imagine("slow fox", channel=channel)
        await harness.status_message("(25%)", channel)
        harness.server.world.clock.advance(13.5 * 60)
        await harness.status_message("direct message", channel)
        harness.server.world.clock.advance(2 * 60)
        harness.release_slow_jobs()
        await harness.result(channel=harness.server.world.dm_channel(harness.ada))


async def test_a_permission_removed_meanwhile_does_not_lose_the_result(harness):
    async with harness.bot():
        status_message = await (await harness.imagine("slow fox")).message()
        await harness.status_message("(25%)")
        bot_id = harness.server.world.application.bot_id
        harness.channel.overwrites.append(Overwrite(bot_id, 1, deny=permissions.SEND_MESSAGES))
        harness.release_slow_jobs()
        assert (await harness.result()).id == status_message.id


async def test_an_image_that_is_too_large_for_discord_is_reduced(harness):
    too_large = {"message": "Request entity too large", "code": 40005}
    async with harness.bot():
        harness.server.faults.fail("POST", "/channels/*/messages", status=413, body=too_large)
        await harness.imagine("a fox")
        assert (await harness.result()).attachments


async def test_many_429_responses_delay_but_lose_nothing(harness):
    async with harness.bot():
        harness.server.faults.rate_limit("POST", "/channels/*/messages", retry_after=0.02, times=7)
        harness.server.faults.rate_limit("PATCH", "/webhooks/*", retry_after=0.02, times=3)
        await harness.imagine("a fox")
        await harness.result()
    assert len(harness.results()) == 1


@pytest.mark.parametrize(("trouble", "how"), [("drop", {}), ("drop_response", {}), ("rate_limit", {"via": False})])
async def test_progress_that_fails_to_show_is_shown_later_and_the_job_continues(harness, trouble, how):
    async with harness.bot():
        fault = getattr(harness.server.faults, trouble)("PATCH", "/webhooks/*", times=2, **how)
        await harness.imagine("slow fox")
        await harness.status_message("(25%)")
        await eventually(lambda: fault.times == 0)  # an edit that may not have been shown is made again
        harness.release_slow_jobs()
        await harness.result()
        await harness.server.wait_until(lambda: not harness.status_messages())


async def test_a_result_is_not_reposted_after_an_outage_longer_than_the_nonce(harness, monkeypatch):
    monkeypatch.setattr("bot.discord_calls.RETRY_PAUSES", (0.5,))
    async with harness.bot():
        harness.server.faults.drop_response("POST", f"/channels/{harness.channel.id}/messages")
        await harness.imagine("a fox")
        await harness.result()
        harness.server.world.clock.advance(10 * 60)
        await harness.server.wait_until(lambda: not harness.status_messages())
    assert len(harness.results()) == 1
    assert len(harness.server.pings) == 1


@pytest.mark.parametrize(("code", "status"), [(50083, 400), (160002, 400), (50001, 403)])
async def test_whatever_error_a_channel_post_gets_there_is_a_fallback(harness, code, status):
    async with harness.bot():
        harness.server.faults.fail(
            "POST", f"/channels/{harness.channel.id}/messages", status=status, body={"code": code}
        )
        status_message = await (await harness.imagine("a fox")).message()
        assert (await harness.result()).id == status_message.id


@pytest.mark.parametrize("trouble", ["drop_response", "fail_after"])
async def test_a_first_response_without_a_reply_is_found_and_the_job_continues(harness, trouble):
    async with harness.bot():
        if trouble == "drop_response":
            harness.server.faults.drop_response("POST", "/interactions/*")
        else:
            already = {"code": 40060, "message": "Interaction has already been acknowledged."}
            harness.server.faults.drop_response("POST", "/interactions/*")
            harness.server.faults.fail("POST", "/interactions/*", status=400, body=already)
        await harness.imagine("a fox")
        await harness.result()
        await harness.server.wait_until(lambda: not harness.status_messages())
    assert len(harness.results()) == 1


async def test_a_status_message_is_removed_if_only_discord_sees_the_token_end(harness):
    async with harness.bot(clock=lambda: 1e9):  # far behind
        await harness.imagine("slow fox")
        await harness.status_message("(25%)")
        harness.server.world.clock.advance(FIFTEEN_MINUTES)
        harness.release_slow_jobs()
        await harness.result()
        await harness.server.wait_until(lambda: not harness.status_messages())


async def test_a_status_message_is_deleted_after_an_outage(harness, monkeypatch):
    monkeypatch.setattr("bot.discord_calls.RETRY_PAUSES", (0.05,))
    async with harness.bot():
        harness.server.faults.drop("DELETE", "/webhooks/*", times=3)
        await harness.imagine("a fox")
        await harness.result()
        await harness.server.wait_until(lambda: not harness.status_messages())


async def test_the_end_of_a_job_is_reported_after_an_outage(harness, monkeypatch):
    monkeypatch.setattr("bot.discord_calls.RETRY_PAUSES", (0.05,))
    async with harness.bot():
        status_message = await (await harness.imagine("slow huge fox")).message()
        await harness.status_message("(25%)")
        harness.server.faults.drop("PATCH", "/webhooks/*", times=3)
        harness.release_slow_jobs()
        await harness.server.wait_until(lambda: "memory" in status_message.content)


async def test_a_promised_direct_message_is_sent_even_when_the_job_fails(harness):
    channel = harness.server.world.add_channel(harness.guild, "walled", bot_denied=permissions.SEND_MESSAGES)
    async with harness.bot():
        await harness.imagine("slow huge fox", channel=channel)
        await harness.status_message("(25%)", channel)
        harness.server.world.clock.advance(FIFTEEN_MINUTES)
        harness.release_slow_jobs()
        await harness.status_message("memory", harness.server.world.dm_channel(harness.ada))


@pytest.mark.parametrize("trouble", ["fail", "drop", "drop_response", "page"])
async def test_an_outage_while_posting_does_not_post_the_result_twice(harness, trouble, monkeypatch):
    monkeypatch.setattr("bot.discord_calls.RETRY_PAUSES", (0.01,))
    async with harness.bot():
        getattr(harness.server.faults, trouble)("POST", f"/channels/{harness.channel.id}/messages", times=2)
        await harness.imagine("a fox")
        await harness.result()
        await harness.server.wait_until(lambda: not harness.status_messages())
    assert len(harness.results()) == 1
    assert len([ping for ping in harness.server.pings if ping.user_id == harness.ada.id]) == 1


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_a_private_tile_is_not_posted_twice_after_a_lost_response(harness, method, monkeypatch):
    monkeypatch.setattr("bot.discord_calls.RETRY_PAUSES", (0.01,))
    async with harness.bot():
        await harness.imagine("a fox --stealth")
        grid = await harness.result()
        await eventually(lambda: not harness.tasks)
        cut = harness.server.faults.drop_response(method, "/webhooks/*", times=1)
        await harness.person(harness.ada).press(grid, "U1")
        await harness.result(text="Image #1")
        await eventually(lambda: not harness.tasks)
        await harness.server.wait_until(lambda: [b["style"] for b in grid.buttons if b.get("label") == "U1"] == [1])
    assert cut.hits == (method == "PATCH")
    assert len(harness.server.messages(harness.channel)) == 2


async def test_a_private_variation_has_one_status_message_after_a_lost_response(harness):
    async with harness.bot():
        await harness.imagine("a fox --stealth")
        grid = await harness.result()
        await eventually(lambda: not harness.tasks)
        harness.server.faults.drop_response("POST", "/*")
        await harness.person(harness.ada).press(grid, "V1")
        await harness.result(text="Variations")
        await eventually(lambda: not harness.tasks)
    assert len(harness.server.messages(harness.channel)) == 2


async def test_a_result_by_direct_message_is_found_after_a_long_outage(harness, monkeypatch):
    monkeypatch.setattr("bot.discord_calls.RETRY_PAUSES", (0.5,))
    channel = harness.server.world.add_channel(harness.guild, "walled", bot_denied=permissions.SEND_MESSAGES)
    direct = harness.server.world.dm_channel(harness.ada)
    async with harness.bot():
        await harness.imagine("slow fox", channel=channel)
        await harness.status_message("(25%)", channel)
        harness.server.world.clock.advance(FIFTEEN_MINUTES)
        harness.server.faults.drop_response("POST", f"/channels/{direct.id}/messages")
        harness.release_slow_jobs()
        await harness.result(channel=direct)
        harness.server.world.clock.advance(10 * 60)  # Discord has forgotten the nonce
        await eventually(lambda: not harness.tasks)
    assert len(harness.results(direct)) == 1


@pytest.mark.parametrize(
    ("owner", "method"),
    [
        ("jobs", "mark_running"),
        ("files", "save"),
        ("jobs", "mark_generated"),
        ("jobs", "mark_posted"),
        ("jobs", "set_status_message"),
    ],
)
async def test_a_job_goes_on_once_the_disk_has_room_again(harness, monkeypatch, owner, method):
    monkeypatch.setattr("db.storage.STORAGE_PAUSES", (0.01,))
    async with harness.bot() as services:
        store = services.db.jobs if owner == "jobs" else services.images.files
        fill_disk(monkeypatch, store, method)
        await harness.imagine("a fox")
        await harness.result()
        await harness.server.wait_until(lambda: not harness.status_messages())
        await eventually(lambda: not harness.tasks)
        assert await services.db.jobs.open_records() == []
    assert len(harness.results()) == 1


async def test_a_job_that_fails_says_so_once_the_disk_has_room_again(harness, monkeypatch):
    monkeypatch.setattr("db.storage.STORAGE_PAUSES", (0.01,))
    async with harness.bot() as services:
        fill_disk(monkeypatch, services.db.jobs, "mark_failed")
        await harness.imagine("huge fox")
        await harness.status_message("too large for the GPU's memory")


@pytest.mark.parametrize("method", ["save", "mark_generated"])
async def test_a_finished_picture_says_that_it_waits_for_the_disk(harness, monkeypatch, method):
    monkeypatch.setattr("db.storage.STORAGE_PAUSES", (0.01, 0.2))
    async with harness.bot() as services:
        store = services.images.files if method == "save" else services.db.jobs
        errors = fill_disk(monkeypatch, store, method, times=1000)
        await harness.imagine("a fox")
        await harness.status_message("(Drawn)\n-# My disk is full or busy")
        errors.clear()
        await harness.result()
        await harness.server.wait_until(lambda: not harness.status_messages())
    assert len(harness.results()) == 1


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "My disk is full, so I cannot store anything new."),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "My disk is full, so I cannot store anything new."),
        (sqlite3.OperationalError("database or disk is full"), "My disk is full, so I cannot store anything new."),
        (sqlite3.OperationalError("database is locked"), "I cannot write to my disk at the moment."),
    ],
)
async def test_what_a_full_disk_refuses_is_said_with_the_prompt(harness, monkeypatch, error, says):
    async with harness.bot() as services:
        errors = fill_disk(monkeypatch, services.db.jobs, "add_job", error)
        answer = await (await harness.imagine("a fox in snow")).message()
        assert answer.ephemeral
        assert says in answer.content
        assert "a fox in snow" in answer.content
        errors.clear()
        await harness.imagine("a fox in snow")
        await harness.result()
    assert len(harness.results()) == 1


async def test_a_picture_that_does_not_fit_on_the_disk_is_refused_in_words(harness, monkeypatch):
    async with harness.bot() as services:
        errors = fill_disk(monkeypatch, services.images.files, "save_upload")
        picture = {"image": UploadedFile("fox.png", red_png(300, 300))}
        answer = await (await harness.imagine("a fox", **picture)).message()
        assert "My disk is full" in answer.content
        errors.clear()
        await harness.imagine("a fox", **picture)
        await harness.result()


def fill_disk(monkeypatch, store, method, error=None, times=3):
    """Make the first calls of a method fail as if the disk were full; return the errors still to come."""
    error = error or OSError(errno.ENOSPC, "No space left on device")
    original, errors = getattr(store, method), [error] * times

    async def write(*args, **fields):
        if errors:
            raise errors.pop()
        return await original(*args, **fields)

    monkeypatch.setattr(store, method, write)
    return errors


async def test_a_resumed_gateway_session_loses_no_command(harness):
    async with harness.bot():
        await harness.imagine("slow fox")
        await harness.status_message("(25%)")
        await harness.server.gateway.drop(4000)
        await harness.server.wait_connected()
        harness.release_slow_jobs()
        await harness.result()
        await harness.imagine("owl")
        await harness.result(text="owl")


async def test_a_connection_that_fails_at_first_is_retried(harness, monkeypatch):
    monkeypatch.setattr("bot.app.RECONNECT_PAUSES", (0.01,))
    dropped = harness.server.faults.drop("GET", "/gateway/bot", times=2)
    async with harness.bot():
        await harness.imagine("a fox")
        await harness.result()
    assert dropped.hits == 2


async def test_a_token_that_is_refused_later_is_reported_in_one_line(harness):
    with pytest.raises(ConfigError, match="DISCORD_TOKEN"):
        async with harness.bot():
            await harness.server.gateway.drop(4004)
            await asyncio.wait({harness.serving})


@pytest.mark.parametrize("code", [1000, 4009, 4012])
async def test_the_bot_reconnects_after_any_close_code(harness, code, monkeypatch):
    monkeypatch.setattr("bot.app.RECONNECT_PAUSES", (0.01,))
    async with harness.bot():
        await harness.imagine("slow fox")
        await harness.status_message("(25%)")
        await harness.server.gateway.drop(code)
        await harness.server.wait_connected()
        harness.release_slow_jobs()
        await harness.result()
        await harness.server.wait_until(lambda: not harness.status_messages())
    assert len(harness.results()) == 1


async def test_direct_messages_work_like_channels(harness):
    direct = harness.server.world.dm_channel(harness.ada)
    async with harness.bot():
        await harness.imagine("slow fox", channel=direct)
        await harness.status_message("(25%)", direct)
        harness.server.world.clock.advance(FIFTEEN_MINUTES)
        harness.release_slow_jobs()
        grid = await harness.result(channel=direct)
        await harness.person(harness.ada).press(grid, "V1")
        await harness.result(text="Variations", channel=direct)


async def test_a_user_install_works_in_a_server_without_the_bot(harness):
    eve = harness.server.world.add_user("eve", installed=True)
    channel = harness.server.world.add_channel(harness.server.world.add_guild("Elsewhere", eve, bot=False))
    async with harness.bot():
        await harness.imagine("a fox", eve, channel)
        grid = await harness.result(channel=channel)
        for number, label in enumerate(["V1", "🔄", "U2"], start=2):
            await harness.person(eve).press(grid, label)
            await harness.server.wait_until(lambda number=number: len(harness.results(channel)) == number)


async def test_without_read_history_permission_a_result_is_not_a_reply(harness):
    channel = harness.server.world.add_channel(harness.guild, "blind", bot_denied=permissions.READ_MESSAGE_HISTORY)
    async with harness.bot():
        await harness.imagine("a fox", channel=channel)
        await harness.person(harness.ada).press(await harness.result(channel=channel), "V1")
        assert (await harness.result(text="Variations", channel=channel)).reference is None


async def test_a_user_install_in_a_closed_channel_answers_only_to_that_user(harness):
    eve = harness.server.world.add_user("eve", installed=True)
    guild = harness.server.world.add_guild("Elsewhere", harness.mod, eve, bot=False)
    guild.roles[guild.id].permissions &= ~permissions.USE_EXTERNAL_APPS
    channel = harness.server.world.add_channel(guild)
    async with harness.bot():
        await harness.imagine("a fox", eve, channel)
        grid = await harness.result(channel=channel)
        assert grid.ephemeral
        await harness.person(eve).press(grid, "V1")
        await harness.result(text="Variations", channel=channel)


async def test_a_user_install_works_in_private_chats_with_late_results_by_dm(harness):
    eve = harness.server.world.add_user("eve", installed=True)
    channel = harness.server.world.dm_channel(eve, harness.ben)
    async with harness.bot():
        await harness.imagine("a fox", eve, channel)
        await harness.result(channel=channel)
        await harness.imagine("slow owl", eve, channel)
        await harness.status_message("(25%)", channel)
        harness.server.world.clock.advance(FIFTEEN_MINUTES)
        harness.release_slow_jobs()
        await harness.result(text="owl", channel=harness.server.world.dm_channel(eve))


async def test_a_command_in_a_thread_is_answered_in_the_thread(harness):
    thread = harness.server.world.add_thread(harness.channel, "foxes", owner=harness.ada)
    async with harness.bot():
        await harness.imagine("slow fox", channel=thread)
        await harness.status_message("(25%)", thread)
        thread.archived = True
        harness.server.world.clock.advance(FIFTEEN_MINUTES)
        harness.release_slow_jobs()
        await harness.result(channel=thread)


async def test_several_shards_share_one_bot(harness, monkeypatch):
    async def at_once(*_: object, **__: object) -> None:
        """Skip the five seconds between two shards."""

    monkeypatch.setattr("bot.client.Client.before_identify_hook", at_once)
    harness.server.core.shards = 3
    async with harness.bot():
        await harness.server.wait_until(lambda: len(harness.server.gateway.identifies) == 3)
        await harness.imagine("slow fox")
        await harness.imagine("slow owl", channel=harness.server.world.dm_channel(harness.ada))
        await harness.status_message("(25%)")
        await harness.server.gateway.drop(4000)
        await harness.server.wait_connected()
        harness.release_slow_jobs()
        await harness.result()
        await harness.result(channel=harness.server.world.dm_channel(harness.ada))
    assert len(harness.results()) == 1


async def test_a_long_prompt_is_returned_in_full_if_its_job_fails(harness):
    prompt = f"huge fox, {'very ' * 300}quick"
    async with harness.bot():
        await harness.imagine(prompt)
        status_message = await harness.status_message("too large for the GPU")
        (attachment,) = status_message.attachments
        assert harness.server.core.files.get(attachment.id).decode() == prompt
        await harness.imagine("huge owl")
        assert not (await harness.status_message("huge owl** - <@")).attachments


@pytest.mark.parametrize(("without", "is_named"), [(False, True), (True, False)])
async def test_a_file_name_contains_the_prompt_unless_metadata_is_off(harness, without, is_named):
    async with harness.bot(pictures_without_prompts=without):
        await harness.imagine("a secret fox")
        (attachment,) = (await harness.result()).attachments
    assert ("secret" in attachment.filename) is is_named
    assert attachment.filename.startswith("ada_")
