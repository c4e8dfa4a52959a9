"""/privacy: stored data is summarised, exported and deleted."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile

from bot.images import data_export
from db.privacy import EXPORT_QUERIES
from generation.params import Tile
from preview import UploadedFile
from preview.state import permissions
from tests.support.bot_harness import eventually, first_tile, red_png
from tests.support.timing import TIMEOUT_S


async def open_privacy(harness, user=None, channel=None):
    """Use the command and return its response."""
    used = await harness.person(user or harness.ada).command("privacy", channel or harness.channel)
    return await used.message()


async def generate_result(harness, prompt="a fox", user=None):
    await harness.imagine(prompt, user)
    return await harness.result(text=prompt)


def open_export(harness, message):
    (attachment,) = message.attachments
    return zipfile.ZipFile(io.BytesIO(harness.server.core.files.get(attachment.id)))


async def collect_parts(harness, message, label="Get my data"):
    """Press an export button and return the messages with files, up to the next button."""
    used = await harness.person(harness.ada).press(message, label)
    parts = [await used.message()]
    while "There is more" in parts[-1].content and not parts[-1].labels:
        following = f"Part {int(parts[-1].content.split()[1].rstrip(':')) + 1}:"
        parts.append(await used.wait_for(lambda each, following=following: following in each.content))
    return parts


async def export_all(harness, channel=None):
    """Export all of Ada's data and return the messages with the files."""
    parts = await collect_parts(harness, await open_privacy(harness, channel=channel))
    while parts[-1].labels:
        parts += await collect_parts(harness, parts[-1], "Next files")
    return parts


async def delete_everything(harness, user=None):
    person = harness.person(user or harness.ada)
    opened = await person.press(await open_privacy(harness, user), "Delete everything")
    return await person.submit_modal(opened)


async def test_the_shorter_of_two_retention_periods_applies(harness):
    async with harness.bot(retention_days=30):
        await harness.person(harness.mod).command("config retention", harness.channel, days=365)
        assert "kept for 30 days" in (await open_privacy(harness)).content
        await harness.person(harness.mod).command("config retention", harness.channel, days=7)
        assert "kept for 7 days" in (await open_privacy(harness)).content


def stored_files(harness):
    return {
        path.name for kind in ("tiles", "sheets", "uploads") for path in (harness.folder / "data" / kind).rglob("*.*")
    }


async def test_stored_data_is_counted_and_shown_to_the_user_alone(harness):
    async with harness.bot():
        assert "no jobs" in (await open_privacy(harness)).content
        await generate_result(harness)
        await harness.person(harness.ada).command("prefer option set", harness.channel, name="mine", value="--ar 3:2")
        message = await open_privacy(harness)
    assert message.ephemeral
    for words in (
        "1 job, from",
        "pictures of 1 of them",
        "1 custom option,",
        "0 favourites",
        "until someone deletes them",
    ):
        assert words in message.content


async def test_all_images_and_prompts_are_exported_as_a_file(harness):
    async with harness.bot():
        grid = await generate_result(harness, "a fox in the snow")
        await harness.person(harness.ada).press(grid, "U1")
        await harness.result(text="Image #1")
        await generate_result(harness, "an owl", harness.ben)
        (message,) = await export_all(harness)
    assert message.ephemeral and message.labels == []
    assert "2 jobs, 4 pictures" in message.content
    with open_export(harness, message) as archive:
        assert archive.testzip() is None
        jobs = json.loads(archive.read("jobs.json"))
        names = archive.namelist()
        assert {name for job in jobs for name in job["files"]} | {"you.json", "jobs.json"} == set(names)
        assert archive.read(jobs[0]["files"][0]) == _tile_bytes(harness, Tile(jobs[0]["id"], 0))
        you = json.loads(archive.read("you.json"))
    assert [job["prompt"].partition(" --")[0] for job in jobs] == ["a fox in the snow"] * 2
    assert all("a_fox_in_the_snow" in name for name in jobs[0]["files"])
    assert set(you) == set(EXPORT_QUERIES)
    assert not any(you.values())
    assert "token" not in jobs[0]


def _tile_bytes(harness, tile):
    return (harness.folder / "data" / "tiles" / tile.job_id[:2] / f"{tile}.png").read_bytes()


async def test_an_export_too_large_for_one_file_comes_in_parts_across_a_restart(harness, monkeypatch):
    async with harness.bot():
        for number in range(6):
            await generate_result(harness, f"fox {number}")
        (whole,) = await export_all(harness)
        size = whole.attachments[0].size // 2
        monkeypatch.setattr(data_export, "MAX_PART_BYTES", size)
        monkeypatch.setattr(data_export, "MAX_PARTS_PER_REQUEST", 2)
        parts = await collect_parts(harness, await open_privacy(harness))
    async with harness.bot():
        while parts[-1].labels:
            parts += await collect_parts(harness, parts[-1], "Next files")
    assert len(parts) > 2
    assert all(part.attachments[0].size <= size for part in parts)
    seen = [job["id"] for part in parts for job in json.loads(open_export(harness, part).read("jobs.json"))]
    with open_export(harness, whole) as archive:
        assert seen == [job["id"] for job in json.loads(archive.read("jobs.json"))]


async def test_images_too_large_for_any_part_are_shrunk_with_a_note(harness, monkeypatch):
    async with harness.bot():
        await generate_result(harness)
        monkeypatch.setattr(data_export, "MAX_PART_BYTES", 6000)
        (message,) = await export_all(harness)
    assert message.attachments[0].size <= 6000
    with open_export(harness, message) as archive:
        (job,) = json.loads(archive.read("jobs.json"))
        assert len(job["files"]) == 4
        assert set(job["files"]) <= set(archive.namelist())


async def test_uploads_are_exported_and_deleted(harness):
    async with harness.bot():
        await harness.imagine("a fox", image=UploadedFile("red.png", red_png(64, 64)))
        await harness.result()
        (message,) = await export_all(harness)
        with open_export(harness, message) as archive:
            assert len([name for name in archive.namelist() if name.startswith("brought/")]) == 1
        await (await delete_everything(harness)).wait_for(lambda each: "is deleted" in each.content)
        assert stored_files(harness) == set()


async def test_pressing_twice_sends_the_export_once(harness):
    async with harness.bot():
        await generate_result(harness)
        message = await open_privacy(harness)
        held = harness.server.faults.hold("PATCH", "/webhooks/*")
        first = await harness.person(harness.ada).press(message, "Get my data")
        await asyncio.wait_for(held.reached.wait(), TIMEOUT_S)
        second = await harness.person(harness.ada).press(message, "Get my data")
        assert "already" in (await second.message()).content
        held.release()
        assert "1 job, 4 pictures" in (await first.message()).content


async def test_export_and_erasure_work_in_direct_messages(harness):
    direct = harness.server.world.dm_channel(harness.ada)
    async with harness.bot():
        await generate_result(harness)
        (message,) = await export_all(harness, direct)
        assert "1 job, 4 pictures" in message.content
        opened = await harness.person(harness.ada).press(
            await open_privacy(harness, channel=direct), "Delete everything"
        )
        done = await harness.person(harness.ada).submit_modal(opened)
        await done.wait_for(lambda each: "is deleted" in each.content)
    assert not harness.results()


async def test_everything_is_deleted_except_what_others_made(harness):
    async with harness.bot() as services:
        grid = await generate_result(harness)
        mine = first_tile(grid).job_id
        await harness.person(harness.ben).press(grid, "V1")
        others = await harness.result(text="Variations")
        reply = await delete_everything(harness)
        done = await reply.wait_for(lambda each: "is deleted" in each.content)
        assert done.ephemeral
        assert grid.deleted and not others.deleted
        assert await services.db.jobs.get(mine) is None
        assert not any(name.startswith(mine) for name in stored_files(harness))
        assert "no jobs" in (await open_privacy(harness)).content
        await harness.person(harness.ben).press(others, "🔄")  # jobs from a deleted image can still be used
        refused = await harness.server.wait_for(harness.channel, lambda each: "not kept any more" in each.content)
        assert refused
        await harness.person(harness.ben).press(others, "U1")
        await harness.result(text="Image #1")


async def test_a_result_that_was_sent_by_direct_message_is_deleted(harness):
    channel = harness.server.world.add_channel(harness.guild, "walled", bot_denied=permissions.SEND_MESSAGES)
    direct = harness.server.world.dm_channel(harness.ada)
    async with harness.bot():
        await harness.imagine("slow fox", channel=channel)
        await harness.status_message("(25%)", channel)
        harness.server.world.clock.advance(16 * 60)
        harness.release_slow_jobs()
        await harness.result(channel=direct)
        reply = await delete_everything(harness)
        await reply.wait_for(lambda each: "1 job" in each.content)
        assert not harness.results(direct)


async def test_what_was_asked_for_before_the_clock_was_set_back_is_deleted(harness):
    offset = 60.0
    async with harness.bot(clock=lambda: harness.server.world.clock.time() + offset):
        await generate_result(harness)
        offset = 0.0
        reply = await delete_everything(harness)
        await reply.wait_for(lambda each: "1 job" in each.content)
        assert not harness.results()


async def test_what_is_asked_for_later_is_kept_although_the_clock_was_set_back(harness):
    offset = 300.0
    async with harness.bot(clock=lambda: harness.server.world.clock.time() + offset):
        await generate_result(harness)
        offset = 0.0
        held = harness.server.faults.hold("DELETE", f"/channels/{harness.channel.id}/messages/*")
        reply = await delete_everything(harness)
        await asyncio.wait_for(held.reached.wait(), TIMEOUT_S)
        await generate_result(harness, "an owl")
        held.release()
        await reply.wait_for(lambda each: "1 job" in each.content)
        (left,) = harness.results()
        assert "an owl" in left.content


async def test_a_result_whose_posting_was_never_confirmed_is_deleted(harness):
    async with harness.bot():
        harness.server.faults.drop_response("POST", f"/channels/{harness.channel.id}/messages", times=100)
        await generate_result(harness)
        reply = await delete_everything(harness)
        await reply.wait_for(lambda each: "1 job" in each.content)
        assert not harness.results()


async def test_a_private_result_that_was_never_confirmed_is_taken_out(harness, monkeypatch, caplog):
    monkeypatch.setattr("bot.discord_calls.RETRY_PAUSES", (3600,))
    async with harness.bot():
        status = await (
            await harness.imagine("slow fox --stealth", image=UploadedFile("a.png", red_png(64, 64)))
        ).message()
        harness.server.faults.drop_response("PATCH", "/webhooks/*", times=100)
        harness.release_slow_jobs()
        await eventually(lambda: "trying again in 3600 s" in caplog.text)
        harness.server.faults.clear()
        reply = await delete_everything(harness)
        await reply.wait_for(lambda each: "1 job" in each.content)
        assert not status.attachments and not status.embeds
        assert "being deleted" in status.content


async def test_waiting_and_running_jobs_are_cancelled_first(harness):
    async with harness.bot(jobs_at_once=1):
        await harness.imagine("a slow fox")
        running = await harness.status_message("(25%)")
        await harness.imagine("an owl")
        waiting = await harness.status_message("an owl")
        await harness.imagine("a cat", harness.ben)
        await harness.status_message("a cat")
        reply = await delete_everything(harness)
        await reply.wait_for(lambda each: "2 jobs" in each.content)
        assert "being deleted" in running.content and "being deleted" in waiting.content
        harness.release_slow_jobs()
        await harness.result(text="a cat")
        await eventually(lambda: not harness.tasks)
    assert len(harness.results()) == 1


async def test_nothing_is_deleted_without_the_confirmation(harness):
    async with harness.bot():
        await generate_result(harness)
        opened = await harness.person(harness.ada).press(await open_privacy(harness), "Delete everything")
        form = await opened.modal()
        assert "cannot be undone" in json.dumps(form)
        assert "1 job," in (await open_privacy(harness)).content
    assert len(harness.results()) == 1


async def test_an_interrupted_erasure_is_finished_after_a_restart(harness):
    async with harness.bot() as services:
        await generate_result(harness)
        await generate_result(harness, "an owl")
        held = harness.server.faults.hold("DELETE", f"/channels/{harness.channel.id}/messages/*")
        await delete_everything(harness)
        await asyncio.wait_for(held.reached.wait(), TIMEOUT_S)
        assert len(await services.db.personal_data.pending_erasures()) == 1
    harness.server.faults.clear()
    async with harness.bot() as services:
        await harness.server.wait_until(lambda: not harness.results())
        await eventually(lambda: not harness.tasks)
        assert await services.db.personal_data.pending_erasures() == {}
        assert (await services.db.personal_data.summary(harness.ada.id)).jobs == 0
    assert stored_files(harness) == set()


async def test_server_limits_still_apply_after_an_erasure(harness):
    role = harness.guild.roles[harness.guild.id]
    async with harness.bot():
        await harness.person(harness.mod).command("config limits", harness.channel, role=role, jobs_a_day=1)
        await generate_result(harness)
        await (await delete_everything(harness)).wait_for(lambda each: "is deleted" in each.content)
        refused = await (await harness.imagine("an owl")).message()
        assert "1 job in 24 hours" in refused.content


async def test_a_blocked_user_stays_blocked(harness):
    async with harness.bot():
        await harness.person(harness.mod).command(
            "config block add", harness.channel, person=harness.ada, reason="spam"
        )
        assert "1 block by" in (await open_privacy(harness)).content
        await (await delete_everything(harness)).wait_for(lambda each: "is deleted" in each.content)
        assert "blocked you" in (await (await harness.imagine("a fox")).message()).content
