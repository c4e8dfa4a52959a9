"""Zips, deletions, favourites and lists of the gallery."""

from __future__ import annotations

import csv
import io
import json
import zipfile

from db.together.sessions import SessionKind
from tests.support.bot_harness import eventually
from tests.support.gallery import open_gallery
from tests.support.sessions import make_session


async def zip_of(visitor, *tiles):
    answer = await visitor.post("/zip", data={"tiles": " ".join(map(str, tiles)), "csrf": visitor.csrf})
    assert answer.status == 200, answer.text
    archive = zipfile.ZipFile(io.BytesIO(answer.body))
    assert archive.testzip() is None
    return archive


async def test_a_zip_has_the_tiles_byte_for_byte_and_their_prompts(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        fox, _ = await gallery.draw("=cmd|' /C calc'!A0 a fox, red --seed 5")
        owl, _ = await gallery.draw("an owl", harness.ben)
        await ben.log_in(harness.ben)
        archive = await zip_of(ben, fox, owl)
        *pictures, table = archive.namelist()
        assert table == "prompts.csv"
        files = gallery.services.images.files
        for name, tile in zip(pictures, (fox, owl), strict=True):
            assert name.endswith(f"_{tile}.png")
            assert archive.read(name) == files.path(tile).read_bytes()
            assert archive.getinfo(name).compress_type == zipfile.ZIP_STORED
        rows = list(csv.DictReader(io.StringIO(archive.read(table).decode("utf-8-sig"))))
        assert [row["file"] for row in rows] == pictures
        assert rows[0]["prompt"].startswith("'=cmd"), "no spreadsheet runs it"
        assert (rows[0]["seed"], rows[0]["author"], rows[1]["author"]) == ("5", "ada", "ben")


async def test_a_zip_of_too_many_or_no_pictures_is_refused(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        await ben.log_in(harness.ben)
        for tiles in ("", " ".join(["0123456789ab-0"] * 501)):
            answer = await ben.post("/zip", data={"tiles": tiles, "csrf": ben.csrf})
            assert answer.status == 400


async def test_only_ones_own_results_are_deleted_with_their_messages(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        foreign, _ = await gallery.draw("a fox")
        own, message = await gallery.draw("an owl", harness.ben)
        await ben.log_in(harness.ben)
        answer = await ben.post("/api/delete", data=json.dumps({"jobs": [foreign.job_id, own.job_id, "nonsense"]}))
        assert json.loads(answer.body) == {"deleted": [own.job_id]}
        await eventually(lambda: message.deleted)
        assert (await ben.get(f"/thumbnails/{own}.webp")).status == 404
        assert (await ben.get(f"/thumbnails/{foreign}.webp")).status == 200
        assert not gallery.services.images.files.path(own).exists()


async def test_a_job_that_is_still_drawn_is_not_deleted(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        await ben.log_in(harness.ben)
        await harness.imagine("slow fox", harness.ben)
        await eventually(lambda: bool(gallery.services.queue.running))
        (job,) = gallery.services.queue.running
        answer = await ben.post("/api/delete", data=json.dumps({"jobs": [job.id]}))
        assert json.loads(answer.body) == {"deleted": []}
        harness.release_slow_jobs()
        await harness.result(text="fox")
        record = await gallery.services.db.jobs.get(job.id)
        assert not record.deleted


async def test_a_thumbnail_that_is_made_during_the_deletion_does_not_stay(harness, monkeypatch):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        own, _ = await gallery.draw("an owl", harness.ben)
        images = gallery.services.images
        await images.files.delete_thumbnail(own)
        write = images.files._write_thumbnail

        def write_late(path, data):
            images.files.path(own).unlink()
            write(path, data)

        monkeypatch.setattr(images.files, "_write_thumbnail", write_late)
        await ben.log_in(harness.ben)
        assert (await ben.get(f"/thumbnails/{own}.webp")).status == 404
        assert not images.files.thumbnail_path(own).exists()


async def test_favourites_are_those_of_discord(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        tile, _ = await gallery.draw("a fox")
        await ben.log_in(harness.ben)
        await ben.post("/api/favourite", data=json.dumps({"tile": str(tile), "on": True}))
        assert await gallery.services.db.favourites.has_any(harness.ben.id, tile.job_id)
        (found,) = (await ben.json("/api/mine", kind="favourites"))["pictures"]
        assert [each["id"] for each in found["tiles"]] == [str(tile)]
        hearts = await ben.json("/api/pictures", guild=str(harness.guild.id), q="♥")
        assert [each["job"] for each in hearts["pictures"]] == [tile.job_id]
        await ben.post("/api/favourite", data=json.dumps({"tile": str(tile), "on": False}))
        assert (await ben.json("/api/mine", kind="favourites"))["pictures"] == []


async def test_lists_go_on_page_by_page_without_gaps(harness, monkeypatch):
    monkeypatch.setattr("bot.gallery.pages.PAGE_SIZE", 2)
    async with open_gallery(harness) as gallery, gallery.visitor() as ada:
        jobs = [(await gallery.draw(f"fox {number}"))[0].job_id for number in range(5)]
        await ada.log_in(harness.ada)
        for path, query in (
            ("/api/pictures", {"guild": str(harness.guild.id)}),
            ("/api/pictures", {"guild": str(harness.guild.id), "q": "fox"}),
            ("/api/mine", {}),
            ("/api/mine", {"q": "fox"}),
        ):
            found, before = [], None
            while True:
                page = await ada.json(path, **query, **({"before": before} if before else {}))
                found += [each["job"] for each in page["pictures"]]
                before = page["next"]
                if before is None:
                    break
            assert found == jobs[::-1], (path, query)


async def test_a_family_is_shown_without_what_is_hidden(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        tile, message = await gallery.draw("a fox")
        await harness.person(harness.ben).press(message, "V1")
        child = await harness.result(text="Variations")
        await ben.log_in(harness.ben)
        job_id = child.buttons[0]["custom_id"].partition(":")[2][:12]
        family = await ben.json(f"/api/tree/{job_id}")
        assert [tile.job_id, job_id] in family["edges"]
        details = await ben.json(f"/api/pictures/{job_id}-0")
        assert [each["job"] for each in details["parents"]] == [tile.job_id]


async def test_the_details_say_how_to_make_it_again(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        tile, message = await gallery.draw("a fox --seed 5")
        await ben.log_in(harness.ben)
        details = await ben.json(f"/api/pictures/{tile}")
        assert details["prompt"] == "a fox"
        assert "--seed 5" in details["withSeed"]
        assert details["link"].endswith(f"/{harness.channel.id}/{message.id}")
        assert details["facts"]["Seed"] == "5"


async def test_an_entry_of_an_open_contest_has_no_author(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ada, gallery.visitor() as ben:
        guild, write = str(harness.guild.id), gallery.services.db.connection.write
        tile, message = await gallery.draw("a fox")
        await harness.person(harness.ada).press(message, "V1")
        child = await harness.result(text="Variations")
        child_id = child.buttons[0]["custom_id"].partition(":")[2][:12]
        await gallery.wait_indexed(child_id)
        session = make_session(kind=SessionKind.CONTEST, guild_id=harness.guild.id)
        await gallery.services.db.sessions.add(session, 5)
        await write(
            "INSERT INTO contest_entries (session, person, job_id, tile_index, at) VALUES (:id, :who, :job, 0, 1)",
            {"id": session.id, "who": harness.ada.id, "job": tile.job_id},
        )
        await ada.log_in(harness.ada)
        await ben.log_in(harness.ben)
        path, png = f"/api/pictures/{tile}", await gallery.services.images.files.read(tile)
        picture = await ben.json(path)
        assert (picture["author"], picture["link"], picture["children"]) == (None, None, [])
        found = json.loads((await ben.post(f"/api/find?guild={guild}", data=png)).body)["pictures"]
        assert [(each["job"], each["author"]) for each in found[:1]] == [(tile.job_id, None)]
        assert tile.job_id not in json.dumps(await ben.json("/api/pictures", guild=guild, q="by:ada"))
        assert [each["job"] for each in (await ben.json(f"/api/tree/{tile.job_id}"))["pictures"]] == [tile.job_id]
        assert tile.job_id not in json.dumps((await ben.json(f"/api/tree/{child_id}"))["pictures"])
        assert (await ben.json(f"/api/pictures/{child_id}-0"))["parents"] == [], "by its author, as the entry is"
        rows = csv.DictReader(io.StringIO((await zip_of(ben, tile)).read("prompts.csv").decode("utf-8-sig")))
        assert [row["author"] for row in rows] == [""]
        assert (await ada.json(path))["author"] == "ada"
        await write("UPDATE contest_entries SET place = 1, rank = 1", {})
        assert (await ben.json(path))["author"] == "ada", "it is decided"
        assert [each["job"] for each in (await ben.json(f"/api/pictures/{child_id}-0"))["parents"]] == [tile.job_id]


async def test_who_erases_their_data_is_logged_out(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ada, gallery.visitor() as ben:
        await ada.log_in(harness.ada)
        await ben.log_in(harness.ben)
        await gallery.services.db.personal_data.begin_erasure(harness.ada.id, 1.0)
        assert (await ada.json("/api/me"))["person"] is None
        assert (await ben.json("/api/me"))["person"] is not None
