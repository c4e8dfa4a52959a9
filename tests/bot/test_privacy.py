"""/privacy: what is kept about somebody is told, handed out whole, and deleted whole."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile

from bot.images import data_export
from generation.params import Tile
from preview import UploadedFile
from tests.bot.conftest import eventually, red, tile_of


async def asked(stage, user=None, channel=None):
    """Use the command and give its answer."""
    used = await stage.person(user or stage.ada).command("privacy", channel or stage.channel)
    return await used.message()


async def drawn(stage, prompt="a fox", user=None):
    await stage.imagine(prompt, user)
    return await stage.result(text=prompt)


def files_of(stage, message):
    (attachment,) = message.attachments
    return zipfile.ZipFile(io.BytesIO(stage.server.core.files.get(attachment.id)))


async def press_for_parts(stage, message, label="Get my data"):
    """Press a button that hands out files, and give the messages with them, to the last before the next press."""
    used = await stage.person(stage.ada).press(message, label)
    parts = [await used.message()]
    while "There is more" in parts[-1].content and not parts[-1].labels:
        following = f"Part {int(parts[-1].content.split()[1].rstrip(':')) + 1}:"
        parts.append(await used.wait_for(lambda each, following=following: following in each.content))
    return parts


async def everything(stage, channel=None):
    """Ask for all of Ada's data and give the messages with the files."""
    parts = await press_for_parts(stage, await asked(stage, channel=channel))
    while parts[-1].labels:
        parts += await press_for_parts(stage, parts[-1], "Next files")
    return parts


async def delete_everything(stage, user=None):
    person = stage.person(user or stage.ada)
    opened = await person.press(await asked(stage, user), "Delete everything")
    return await person.submit_modal(opened)


async def test_how_long_things_are_kept_is_the_shorter_of_two_terms(stage):
    async with stage.bot(retention_days=30):
        await stage.person(stage.mod).command("config retention", stage.channel, days=365)
        assert "kept for 30 days" in (await asked(stage)).content
        await stage.person(stage.mod).command("config retention", stage.channel, days=7)
        assert "kept for 7 days" in (await asked(stage)).content


def on_disk(stage):
    return {
        path.name for kind in ("tiles", "sheets", "uploads") for path in (stage.folder / "data" / kind).rglob("*.*")
    }


async def test_what_is_kept_is_counted_and_only_the_person_sees_it(stage):
    async with stage.bot():
        assert "no jobs" in (await asked(stage)).content
        await drawn(stage)
        await stage.person(stage.ada).command("prefer option set", stage.channel, name="mine", value="--ar 3:2")
        message = await asked(stage)
    assert message.ephemeral
    for words in (
        "1 job, from",
        "pictures of 1 of them",
        "1 custom option,",
        "0 favourites",
        "until somebody deletes them",
    ):
        assert words in message.content


async def test_all_pictures_and_prompts_come_as_a_file(stage):
    async with stage.bot():
        grid = await drawn(stage, "a fox in the snow")
        await stage.person(stage.ada).press(grid, "U1")
        await stage.result(text="Image #1")
        await drawn(stage, "an owl", stage.ben)
        (message,) = await everything(stage)
    assert message.ephemeral and message.labels == []
    assert "2 jobs, 4 pictures" in message.content
    with files_of(stage, message) as archive:
        assert archive.testzip() is None
        jobs = json.loads(archive.read("jobs.json"))
        names = archive.namelist()
        assert {name for job in jobs for name in job["files"]} | {"you.json", "jobs.json"} == set(names)
        assert archive.read(jobs[0]["files"][0]) == _tile(stage, Tile(jobs[0]["id"], 0))
        you = json.loads(archive.read("you.json"))
    assert [job["prompt"].partition(" --")[0] for job in jobs] == ["a fox in the snow"] * 2
    assert all("a_fox_in_the_snow" in name for name in jobs[0]["files"])
    assert set(you) == {"preferences", "options", "favourites", "threads", "reports", "blocks"}
    assert not any(you.values())
    assert "token" not in jobs[0]


def _tile(stage, tile):
    return (stage.folder / "data" / "tiles" / tile.job_id[:2] / f"{tile}.png").read_bytes()


async def test_what_does_not_fit_into_one_file_comes_in_parts_also_over_a_restart(stage, monkeypatch):
    async with stage.bot():
        for number in range(6):
            await drawn(stage, f"fox {number}")
        (whole,) = await everything(stage)
        size = whole.attachments[0].size // 2
        monkeypatch.setattr(data_export, "MAX_PART_BYTES", size)
        monkeypatch.setattr(data_export, "MAX_PARTS_PER_REQUEST", 2)
        parts = await press_for_parts(stage, await asked(stage))
    async with stage.bot():
        while parts[-1].labels:
            parts += await press_for_parts(stage, parts[-1], "Next files")
    assert len(parts) > 2
    assert all(part.attachments[0].size <= size for part in parts)
    seen = [job["id"] for part in parts for job in json.loads(files_of(stage, part).read("jobs.json"))]
    with files_of(stage, whole) as archive:
        assert seen == [job["id"] for job in json.loads(archive.read("jobs.json"))]


async def test_pictures_that_do_not_fit_into_any_file_come_smaller_and_say_so(stage, monkeypatch):
    async with stage.bot():
        await drawn(stage)
        monkeypatch.setattr(data_export, "MAX_PART_BYTES", 6000)
        (message,) = await everything(stage)
    assert message.attachments[0].size <= 6000
    with files_of(stage, message) as archive:
        (job,) = json.loads(archive.read("jobs.json"))
        assert len(job["files"]) == 4
        assert set(job["files"]) <= set(archive.namelist())


async def test_pictures_that_somebody_brought_are_handed_out_and_deleted(stage):
    async with stage.bot():
        await stage.imagine("a fox", image=UploadedFile("red.png", red(64, 64)))
        await stage.result()
        (message,) = await everything(stage)
        with files_of(stage, message) as archive:
            assert len([name for name in archive.namelist() if name.startswith("brought/")]) == 1
        await (await delete_everything(stage)).wait_for(lambda each: "is deleted" in each.content)
        assert on_disk(stage) == set()


async def test_who_presses_twice_gets_their_files_once(stage):
    async with stage.bot():
        await drawn(stage)
        message = await asked(stage)
        held = stage.server.faults.hold("PATCH", "/webhooks/*")
        first = await stage.person(stage.ada).press(message, "Get my data")
        await asyncio.wait_for(held.reached.wait(), 10)
        second = await stage.person(stage.ada).press(message, "Get my data")
        assert "already" in (await second.message()).content
        held.release()
        assert "1 job, 4 pictures" in (await first.message()).content


async def test_in_direct_messages_everything_works_as_well(stage):
    direct = stage.server.world.dm_channel(stage.ada)
    async with stage.bot():
        await drawn(stage)
        (message,) = await everything(stage, direct)
        assert "1 job, 4 pictures" in message.content
        opened = await stage.person(stage.ada).press(await asked(stage, channel=direct), "Delete everything")
        done = await stage.person(stage.ada).submit_modal(opened)
        await done.wait_for(lambda each: "is deleted" in each.content)
    assert not stage.results()


async def test_everything_goes_but_what_others_made(stage):
    async with stage.bot() as studio:
        grid = await drawn(stage)
        mine = tile_of(grid).job_id
        await stage.person(stage.ben).press(grid, "V1")
        others = await stage.result(text="Variations")
        told = await delete_everything(stage)
        done = await told.wait_for(lambda each: "is deleted" in each.content)
        assert done.ephemeral
        assert grid.deleted and not others.deleted
        assert await studio.store.get(mine) is None
        assert not any(name.startswith(mine) for name in on_disk(stage))
        assert "no jobs" in (await asked(stage)).content
        await stage.person(stage.ben).press(others, "🔄")  # what descends from what is gone can still be gone on from
        refused = await stage.server.wait_for(stage.channel, lambda each: "not kept any more" in each.content, 20)
        assert refused
        await stage.person(stage.ben).press(others, "U1")
        await stage.result(text="Image #1")


async def test_what_waits_and_what_is_being_drawn_is_cancelled_first(stage):
    async with stage.bot(jobs_at_once=1) as studio:
        await stage.imagine("a slow fox")
        running = await stage.notice("(25%)")
        await stage.imagine("an owl")
        waiting = await stage.notice("an owl")
        await stage.imagine("a cat", stage.ben)
        await stage.notice("a cat")
        told = await delete_everything(stage)
        await told.wait_for(lambda each: "2 jobs" in each.content)
        assert "being deleted" in running.content and "being deleted" in waiting.content
        stage.go()
        await stage.result(text="a cat")
        await eventually(lambda: not studio.tasks)
    assert len(stage.results()) == 1


async def test_nothing_is_deleted_without_the_confirmation(stage):
    async with stage.bot():
        await drawn(stage)
        opened = await stage.person(stage.ada).press(await asked(stage), "Delete everything")
        form = await opened.modal()
        assert "cannot be taken back" in json.dumps(form)
        assert "1 job," in (await asked(stage)).content
    assert len(stage.results()) == 1


async def test_what_was_begun_before_a_restart_is_brought_to_its_end(stage):
    async with stage.bot() as studio:
        await drawn(stage)
        await drawn(stage, "an owl")
        held = stage.server.faults.hold("DELETE", f"/channels/{stage.channel.id}/messages/*")
        await delete_everything(stage)
        await asyncio.wait_for(held.reached.wait(), 10)
        assert len(await studio.personal_data.pending_erasures()) == 1
    stage.server.faults.clear()
    async with stage.bot() as studio:
        await stage.server.wait_until(lambda: not stage.results())
        await eventually(lambda: not studio.tasks)
        assert await studio.personal_data.pending_erasures() == {}
        assert (await studio.personal_data.summary(stage.ada.id)).jobs == 0
    assert on_disk(stage) == set()


async def test_the_limits_of_a_server_still_hold_for_who_has_deleted_everything(stage):
    role = stage.guild.roles[stage.guild.id]
    async with stage.bot():
        await stage.person(stage.mod).command("config limits", stage.channel, role=role, jobs_a_day=1)
        await drawn(stage)
        await (await delete_everything(stage)).wait_for(lambda each: "is deleted" in each.content)
        refused = await (await stage.imagine("an owl")).message()
        assert "1 job in 24 hours" in refused.content


async def test_who_is_blocked_stays_so(stage):
    async with stage.bot():
        await stage.person(stage.mod).command("config block add", stage.channel, person=stage.ada, reason="spam")
        assert "1 block by" in (await asked(stage)).content
        await (await delete_everything(stage)).wait_for(lambda each: "is deleted" in each.content)
        assert "blocked you" in (await (await stage.imagine("a fox")).message()).content
