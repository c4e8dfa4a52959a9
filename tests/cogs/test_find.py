"""/find by words and by a picture, and *Use this picture…*."""

from __future__ import annotations

import asyncio
import io
import zipfile
from dataclasses import replace

import pytest
from PIL import Image, ImageOps

from bot.finding.indexer import PictureIndexer
from bot.policy.settings import GuildSettings, NsfwMode, to_dict
from cogs.find import MAX_WORDS_LENGTH
from db.guilds import AuditEntry
from generation.files.png_encoder import encode_png
from generation.params import Tile
from preview import UploadedFile
from preview.state import payloads, permissions
from preview.state.core import GUILDS
from preview.state.world import Overwrite
from tests.support.bot_harness import eventually, first_tile, open_image
from tests.support.sessions import block
from tests.support.timing import TIMEOUT_S


async def indexed(services, result):
    """Wait until a posted result is in the index."""

    async with asyncio.timeout(TIMEOUT_S):
        while not await services.db.picture_index.vectors_of_jobs([first_tile(result).job_id]):  # noqa: ASYNC110 (nothing tells of it)
            await asyncio.sleep(0.02)


async def make(harness, services, prompt, user=None, channel=None):
    await harness.imagine(prompt, user, channel)
    result = await harness.result(text=prompt.partition(" --")[0], channel=channel)
    await indexed(services, result)
    return result


async def find(harness, user=None, channel=None, **options):
    asked = await harness.person(user or harness.ben).command("find", channel or harness.channel, **options)
    return await asked.wait_for(lambda message: not message.loading)


def png(image, form="PNG", **options):
    file = io.BytesIO()
    image.convert("RGB").save(file, form, **options)
    return UploadedFile(f"picture.{form.lower()}", file.getvalue())


def tile_of(harness, result, index=0):
    """Cut a tile out of a 2×2 result."""
    sheet = open_image(harness.server, result).convert("RGB")
    width, height = sheet.width // 2, sheet.height // 2
    left, top = index % 2 * width, index // 2 * height
    return sheet.crop((left, top, left + width, top + height))


def screenshot_of(image):
    """Show an image on a dark page with a line of text above it."""
    page = Image.new("RGB", (image.width + 90, image.height + 120), "#313338")
    page.paste("#dddddd", (20, 20, 110, 26))
    page.paste(image, (30, 60))
    return page


async def test_nothing_to_search_for_and_too_much_are_told(harness):
    async with harness.bot():
        assert (await find(harness)).content == "There is no picture here yet that you may see."
        assert (await find(harness, words="♥")).content == "I found no picture with these words that you may see."
        asked = await find(harness, words="fox", image=png(Image.new("RGB", (64, 64))))
        assert asked.content == "Type words or attach a picture, not both."


async def test_words_find_the_pictures_of_a_server_newest_first(harness):
    async with harness.bot() as services:
        fox = await make(harness, services, "a red fox")
        await make(harness, services, "an owl")
        newer = await make(harness, services, "two foxes", harness.mod)
        found = await find(harness, words="fox")
        assert found.ephemeral
        assert found.content.index("two foxes") < found.content.index("a red fox")
        assert "owl" not in found.content
        assert f"/{harness.channel.id}/{fox.id})" in found.content
        assert len(found.attachments) == 1
        by = await find(harness, words="fox by:mod")
        assert "two foxes" in by.content
        assert "red fox" not in by.content
        everything = await find(harness)
        assert all(text in everything.content for text in ("red fox", "owl", "two foxes"))
        assert newer.id


async def test_five_are_shown_at_a_time_and_the_buttons_lead_on(harness):
    async with harness.bot() as services:
        for number in range(7):
            await make(harness, services, f"fox number{number}")
        found = await find(harness, words="fox")
        assert found.content.count("number") == 5
        assert found.labels == ["▶️", "Zip"]
        await harness.person(harness.ben).press(found, "▶️")
        await harness.server.wait_until(lambda: "number0" in found.content)
        assert found.content.count("number") == 2
        assert found.labels == ["◀️", "Zip"]


async def test_a_found_picture_is_posted_for_everybody(harness):
    async with harness.bot() as services:
        await make(harness, services, "a red fox")
        found = await find(harness, words="fox")
        select = found.components[0]["components"][0]
        posted = await harness.person(harness.ben).select(found, select["options"][0]["value"])
        message = await posted.wait_for(lambda message: not message.loading)
        assert not message.ephemeral
        assert "U1" in message.labels


@pytest.mark.parametrize("hide", ["channel", "history", "bot", "private", "deleted", "blocked"])
async def test_what_may_not_be_seen_is_not_found(harness, hide):
    async with harness.bot() as services:
        prompt = "a mosaic fox --seed 3" + (" --stealth" if hide == "private" else "")
        await harness.imagine(prompt)
        result = await harness.server.wait_for(
            harness.channel, lambda message: "U1" in message.labels, description="a result"
        )
        await indexed(services, result)
        copy = png(tile_of(harness, result))
        other = harness.server.world.add_channel(harness.guild, "other")
        harness.server.core.dispatch_channel(other, "CREATE")
        if hide == "channel":
            overwrite(harness, harness.ben.id)
        if hide == "history":
            overwrite(harness, harness.ben.id, permissions.READ_MESSAGE_HISTORY)
        if hide == "bot":
            overwrite(harness, harness.server.world.application.bot_id)
        if hide == "deleted":
            await services.db.jobs.mark_deleted(first_tile(result).job_id)
        if hide == "blocked":
            await block(services, harness, harness.ada)
        assert "I found no picture" in (await find(harness, channel=other, words="fox")).content
        assert "I found no picture" in (await find(harness, channel=other, image=copy)).content
        if hide == "private":
            assert "fox" in (await find(harness, harness.ada, words="fox")).content
            assert "This is it" in (await find(harness, harness.ada, image=copy)).content


def overwrite(harness, person_id, denied=permissions.VIEW_CHANNEL):
    """Hide the channel from a person, and tell the bot of it."""
    core, channel = harness.server.core, harness.channel
    channel.overwrites.append(Overwrite(person_id, 1, deny=denied))
    core.send_event("CHANNEL_UPDATE", payloads.channel(core, channel), guild_id=channel.guild_id, intent=GUILDS)


async def test_a_blocked_person_finds_nothing(harness):
    async with harness.bot() as services:
        await make(harness, services, "a fox")
        await block(services, harness, harness.ben)
        assert "fox" not in (await find(harness, words="fox")).content


ALTERATIONS = {
    "the file": lambda tile: png(tile),
    "compressed": lambda tile: png(tile.resize((256, 256), Image.Resampling.BICUBIC), "JPEG", quality=60),
    "mirrored": lambda tile: png(ImageOps.mirror(tile)),
    "cropped": lambda tile: png(tile.crop((3, 2, 60, 61)).resize((200, 210), Image.Resampling.BICUBIC)),
    "screenshot": lambda tile: png(screenshot_of(tile.resize((400, 400), Image.Resampling.BICUBIC))),
}


async def test_the_job_of_a_changed_copy_is_found(harness):
    async with harness.bot() as services:
        for seed in (10, 20, 30):
            await make(harness, services, f"a mosaic of s{seed} --seed {seed}")
        result = next(each for each in harness.results() if "s20" in each.content)
        for name, alter in ALTERATIONS.items():
            found = await find(harness, image=alter(tile_of(harness, result, 2)))
            assert found.content.startswith("**This is it:**"), name
            assert "1. a mosaic of s20" in found.content, name


async def test_a_whole_sheet_is_recognised(harness):
    async with harness.bot() as services:
        result = await make(harness, services, "a mosaic of s20 --seed 20")
        sheet = open_image(harness.server, result)
        found = await find(harness, image=png(sheet.resize((512, 512)), "JPEG", quality=70))
        assert found.content.startswith("**This is it:**")


async def posted_file(harness, result):
    """Return the file of a result as somebody downloads it, under another name."""
    (attachment,) = result.attachments
    return UploadedFile("unknown.webp", harness.server.core.files.get(attachment.id))


async def test_an_unchanged_file_names_its_job(harness, monkeypatch):
    """Nothing is searched, and a sheet of plain colours, which no fingerprint claims, is recognised."""
    async with harness.bot() as services:
        fox = await make(harness, services, "a red fox")
        await make(harness, services, "an owl")
        monkeypatch.setattr(harness.client.finder, "_scored", None)
        found = await find(harness, image=await posted_file(harness, fox))
        assert "This is it" in found.content
        assert "a red fox" in found.content
        assert "owl" not in found.content


async def test_a_forged_name_shows_nothing(harness):
    """Neither somebody else's private picture, nor one that looks different from the file."""
    async with harness.bot() as services:
        fox = await make(harness, services, "a mosaic fox")
        await harness.imagine("a secret owl --stealth")
        secret = await harness.result(text="a secret owl")
        await indexed(services, secret)
        for job_id in (first_tile(secret).job_id, first_tile(fox).job_id, "0" * 12):
            forged = encode_png(Image.new("RGB", (64, 64), "navy"), f"Job: {job_id}")
            found = await find(harness, image=UploadedFile(f"owl_{job_id}.png", forged))
            assert "found no picture" in found.content
        named_fox = UploadedFile("x.png", encode_png(tile_of(harness, fox), f"Job: {first_tile(secret).job_id}"))
        found = await find(harness, image=named_fox)
        assert "a mosaic fox" in found.content
        assert "secret" not in found.content


async def test_a_strange_picture_is_not_claimed(harness):
    async with harness.bot() as services:
        await make(harness, services, "a mosaic --seed 20")
        stranger = png(Image.effect_noise((64, 64), 90))
        assert "I found no picture of mine" in (await find(harness, image=stranger)).content


async def test_the_menu_finds_the_job_of_a_picture_in_any_message(harness):
    async with harness.bot() as services:
        result = await make(harness, services, "a mosaic --seed 20")
        message = await harness.person(harness.mod).send(harness.channel, "whose?", png(tile_of(harness, result)))
        person = harness.person(harness.ben)
        asked = await person.context_menu("Use this picture…", message)
        await asked.modal()
        sent = await person.submit_modal(asked, purpose="find")
        found = await sent.wait_for(lambda message: not message.loading)
        assert found.ephemeral
        assert found.content.startswith("**This is it:**")


async def test_pictures_like_a_result_are_found(harness):
    async with harness.bot() as services:
        await make(harness, services, "a mosaic of one --seed 20")
        twin = await make(harness, services, "a mosaic of two --seed 20")
        person = harness.person(harness.ben)
        asked = await person.context_menu("Use this picture…", twin)
        sent = await person.submit_modal(asked, purpose="like")
        found = await sent.wait_for(lambda message: not message.loading)
        assert "mosaic of one" in found.content
        assert "mosaic of two" not in found.content


async def test_older_results_are_indexed_in_the_background(harness):
    async with harness.bot() as services:
        result = await make(harness, services, "an old mosaic --seed 5")
        copy = png(tile_of(harness, result))
    async with harness.bot() as services:
        connection = services.db.connection
        for table in ("shown", "fingerprints"):
            await connection.write(f"DELETE FROM {table}", {})
        await connection.write("INSERT INTO memos VALUES ('words_below', 99), ('fingerprints_below', 99)", {})
        assert "I found no picture" in (await find(harness, words="old")).content
        client = harness.client
        await PictureIndexer(client, services, client.finder).index_older()
        assert "an old mosaic" in (await find(harness, words="old")).content
        assert "This is it" in (await find(harness, image=copy)).content


async def test_a_damaged_picture_does_not_keep_others_out_of_the_index(harness):
    async with harness.bot() as services:
        await harness.imagine("slow broken mosaic")
        await harness.status_message("(25%)")
        files, save = services.images.files, services.images.files.save

        async def save_damaged(job_id, grid):
            await save(job_id, replace(grid, thumbnails=()))
            path = files.path(Tile(job_id, 0))
            path.write_bytes(b"\x89PNG\r\n\x1a\n" + path.read_bytes()[8:60] + b"\0\0\0\0IEND\xaeB`\x82")

        files.save = save_damaged
        harness.release_slow_jobs()
        broken = await harness.result(text="broken")
        files.save = save
        await make(harness, services, "a sound mosaic")
        assert "a sound mosaic" in (await find(harness, words="mosaic")).content
        assert not await services.db.picture_index.vectors_of_jobs([first_tile(broken).job_id])


async def test_a_gone_channel_is_asked_for_once(harness):
    async with harness.bot() as services:
        for number in range(3):
            await make(harness, services, f"fox {number}")
        harness.server.core.delete_channel(harness.channel)
        client, connection = harness.client, services.db.connection
        await eventually(lambda: client.get_channel(harness.channel.id) is None)
        await connection.write("DELETE FROM shown", {})
        await connection.write("INSERT INTO memos VALUES ('words_below', 99)", {})
        await PictureIndexer(client, services, client.finder).index_older()
        path = f"/channels/{harness.channel.id}"
        assert len([each for each in harness.server.requests if each.method == "GET" and each.path == path]) == 1


async def test_the_longest_search_fits_into_the_buttons(harness):
    async with harness.bot() as services:
        words = "fox " + "ü" * (MAX_WORDS_LENGTH - 4)
        for number in range(6):
            await make(harness, services, f"{words} {number}")
        found = await find(harness, words=words)
        assert found.labels == ["▶️", "Zip"]


async def test_what_was_found_is_sent_as_a_zip(harness):
    async with harness.bot() as services:
        result = await make(harness, services, "a red fox, standing")
        await make(harness, services, "an owl")
        found = await find(harness, words="fox")
        pressed = await harness.person(harness.ben).press(found, "Zip")
        message = await pressed.wait_for(lambda message: not message.loading)
        assert message.ephemeral
        assert message.content.startswith("4 pictures")
        (attachment,) = message.attachments
        archive = zipfile.ZipFile(io.BytesIO(harness.server.core.files.get(attachment.id)))
        job_id = first_tile(result).job_id
        assert archive.namelist() == [f"a_red_fox_standing_{job_id}-{n}.png" for n in range(4)] + ["prompts.csv"]
        stored = services.images.files.path(first_tile(result)).read_bytes()
        assert archive.read(archive.namelist()[0]) == stored
        assert b"a red fox, standing" in archive.read("prompts.csv")


async def test_a_zip_leaves_out_what_the_server_withholds_here(harness):
    async with harness.bot() as services:
        await make(harness, services, "a naked fox")
        await make(harness, services, "a dressed fox")
        entry = AuditEntry(guild_id=harness.guild.id, person_id=1, act="settings", details="x", at=1.0)
        known = await services.db.guilds.settings(harness.guild.id)
        values = to_dict(GuildSettings(sensitive=NsfwMode.WITHHOLD))
        assert await services.db.guilds.set_settings(entry, values, known.version)
        pressed = await harness.person(harness.ben).press(await find(harness, words="fox"), "Zip")
        message = await pressed.wait_for(lambda message: not message.loading)
        (attachment,) = message.attachments
        names = zipfile.ZipFile(io.BytesIO(harness.server.core.files.get(attachment.id))).namelist()
        assert len(names) == 5
        assert not any("naked" in name for name in names)


async def test_a_wrong_time_is_explained(harness):
    async with harness.bot():
        assert "`since:` takes a date" in (await find(harness, words="since:soon")).content


async def test_the_index_is_deleted_with_the_picture(harness):
    async with harness.bot() as services:
        result = await make(harness, services, "a mosaic --seed 5")
        job_id = first_tile(result).job_id
        thumbnail = services.images.files.thumbnail_path(first_tile(result))
        await eventually(thumbnail.is_file)
        asked = await harness.person(harness.ada).command("privacy", harness.channel)
        pressed = await harness.person(harness.ada).press(await asked.message(), "Delete everything")
        sent = await harness.person(harness.ada).submit_modal(pressed)
        await sent.wait_for(lambda message: "deleted" in message.content)
        assert await services.db.picture_index.find_shown(job_id) is None
        assert await services.db.picture_index.vectors_of_jobs([job_id]) == []
        assert not thumbnail.exists()


@pytest.mark.parametrize("turns", range(5))
async def test_the_indexer_stops_whenever_a_result_is_posted(harness, turns):
    async with harness.bot():
        indexer = harness.client.indexer
        for _ in range(20):  # until it waits for the next result
            await asyncio.sleep(0.01)
        indexer._posted.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(TIMEOUT_S):
            await indexer.stop()
