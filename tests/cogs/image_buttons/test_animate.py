"""Animate: from a picture to a film, through restarts and cancellations."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat

from bot.images.data_export import _collect_job_files
from bot.images.films import FilmMaker
from bot.jobs.deletion import delete_files
from bot.ui import job_views
from cogs.image_buttons import animate as animate_buttons
from db.guilds import AuditEntry
from db.jobs import JobState
from generation.errors import UserError
from generation.films.mp4 import find_ffmpeg
from generation.job import Action
from generation.params import FilmKind, Tile
from generation.planning.film_pictures import grids_of
from tests.support.bot_harness import eventually, first_tile, open_image
from tests.support.sessions import block
from tests.support.timing import TIMEOUT_S


async def picture(harness, prompt="a fox --seed 5"):
    """Draw a grid and give its first picture."""
    await harness.imagine(prompt)
    await harness.person(harness.ada).press(await harness.result(), "U1")
    return await harness.result(text="Image #1")


async def animate(harness, result, user=None, **fields):
    person = harness.person(user or harness.ada)
    return await person.submit_modal(await person.press(result, "Animate"), {"steps": "3"} | fields)


async def film_job(services):
    rows = await services.db.connection.fetch_all("SELECT id FROM jobs WHERE action = 'zoom_film'")
    return await services.db.jobs.get(rows[-1]["id"])


def difference(one, other):
    one, other = (image.convert("RGB").resize((16, 16)) for image in (one, other))
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


async def open_tile(services, tile):
    return Image.open(io.BytesIO(await services.images.files.read(tile)))


async def test_animate_posts_a_film_that_zooms_out_of_the_picture(harness):
    async with harness.bot() as services:
        result = await picture(harness)
        await animate(harness, result, words="castle | an island | planet")
        posted = await harness.result(text="Animated")
        record = await film_job(services)
        job = record.job
        film = open_image(harness.server, posted)
        assert film.format == "WEBP"
        assert film.n_frames == 3 * 24 + 1
        assert difference(film, await open_tile(services, first_tile(result))) < 10
        film.seek(film.n_frames - 1)
        last = await open_tile(services, Tile(job.id, 0))
        assert difference(film, last) < 10
        assert last.getpixel((1, 1)) == _colour(job.params.seed + 2)
        assert "castle → an island → planet" in posted.content
        assert f"Animated by <@{harness.ada.id}>" in posted.content
        assert posted.attachments[0].description == "Film that zooms out: a fox → castle → an island → planet"
        assert job.action is Action.ZOOM_FILM
        assert job.params.film.kind is FilmKind.ZOOM_OUT
        assert record.seconds == pytest.approx(0.3), "the time of all pictures counts"
        (edge,) = await services.db.lineage.parents([job.id])
        assert edge.parent_job == first_tile(result).job_id

        await harness.person(harness.ada).press(posted, "Upscale (Subtle)")
        upscaled = await harness.result(text="Upscaled")
        assert "**planet**" in upscaled.content, "the last picture goes on with its own words"


def _colour(seed):
    value = seed * 2654435761 % 2**24
    return value >> 16, value >> 8 & 255, value & 255


async def test_the_form_says_what_a_film_costs(harness):
    async with harness.bot():
        opened = await harness.person(harness.ada).press(await picture(harness), "Animate")
        select = next(
            label["component"]
            for label in (await opened.modal())["components"]
            if label["component"]["custom_id"] == "steps"
        )
        costs = {option["value"]: option["description"] for option in select["options"]}
    assert list(costs) == ["3", "4", "5", "6", "7", "8"]
    assert costs["4"] == "Counts as 1 job · a few seconds"
    assert costs["8"] == "Counts as 2 jobs · a few seconds"


async def test_a_restart_draws_only_the_pictures_that_are_missing(harness):
    async with harness.bot() as services:
        await animate(harness, await picture(harness), words="castle | slow island | planet")
        await eventually(lambda: services.queue.running)
        job = (await film_job(services)).job
        await eventually(services.images.files.path(Tile(job.id, 1)).exists)
    harness.release_slow_jobs()
    async with harness.bot() as services:
        posted = await harness.result(text="Animated")
        assert open_image(harness.server, posted).n_frames == 73
        assert (await film_job(services)).seconds == pytest.approx(0.2), "one picture was drawn before"
    assert len([message for message in harness.results() if "Animated" in message.content]) == 1


async def test_a_cancelled_film_ends_within_a_step_and_leaves_no_pictures(harness):
    async with harness.bot() as services:
        await animate(harness, await picture(harness), words="castle | slow island | planet")
        status = await harness.server.wait_for(
            harness.channel, lambda message: "Animated" in message.content and "%" in message.content
        )
        job = (await film_job(services)).job
        await eventually(services.images.files.path(Tile(job.id, 1)).exists)
        await harness.person(harness.ada).press(status, "Cancel")
        await harness.server.wait_until(lambda: "Cancelled by" in status.content)
        await eventually(lambda: not services.queue.running)
        await eventually(lambda: not services.images.files.path(Tile(job.id, 1)).exists())
        assert (await film_job(services)).state is JobState.CANCELLED


async def test_a_film_that_is_cancelled_while_it_is_encoded_leaves_no_pictures(harness, monkeypatch):
    encoding = asyncio.Event()

    async def never(maker, order, params):
        encoding.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(FilmMaker, "make", never)
    async with harness.bot() as services:
        await animate(harness, await picture(harness))
        await asyncio.wait_for(encoding.wait(), TIMEOUT_S)
        job = (await film_job(services)).job
        assert not services.queue.running, "others can draw"
        status = await harness.server.wait_for(
            harness.channel, lambda message: "Animated" in message.content and "%" in message.content
        )
        await harness.person(harness.ada).press(status, "Cancel")
        await harness.server.wait_until(lambda: "Cancelled by" in status.content)
        await eventually(lambda: not services.images.files.path(Tile(job.id, 1)).exists())


async def test_a_film_goes_on_after_the_drawing_process_has_died(harness):
    async with harness.bot() as services:
        await animate(harness, await picture(harness), words="castle | death | planet")
        await eventually(lambda: services.queue.running)
        job = (await film_job(services)).job
        await eventually(services.images.files.path(Tile(job.id, 1)).exists)
        (harness.model / "spare").touch()
        posted = await harness.result(text="Animated")
        assert open_image(harness.server, posted).n_frames == 73


async def test_progress_grows_over_all_pictures(harness):
    async with harness.bot():
        await animate(harness, await picture(harness), words="castle | slow island | planet")
        status = await harness.server.wait_for(harness.channel, lambda message: "(35%)" in message.content)
        assert status.attachments, "with a preview"
        harness.release_slow_jobs()
        await harness.result(text="Animated")


async def test_words_that_are_refused_come_back(harness):
    async with harness.bot() as services:
        result = await picture(harness)
        too_many = await (await animate(harness, result, words="a | b | c | d")).message()
        entry = AuditEntry(guild_id=harness.guild.id, person_id=harness.mod.id, act="words", details="", at=1.0)
        await services.db.guilds.block_words(entry, {"dragon": "refuse"})
        blocked = await (await animate(harness, result, words="castle | dragon")).message()
    assert too_many.ephemeral
    assert "4 texts for 3 pictures" in too_many.content
    assert "a | b | c | d" in too_many.content
    assert "dragon" in blocked.content
    assert "castle | dragon" in blocked.content


async def test_a_film_is_exported_with_all_its_pictures(harness):
    async with harness.bot() as services:
        await animate(harness, await picture(harness))
        await harness.result(text="Animated")
        (row,) = await services.db.connection.fetch_all("SELECT * FROM jobs WHERE action = 'zoom_film'")
        job = dict(row) | {"params": json.loads(row["params"])}
        collected = _collect_job_files(job, services.images.files, services.images.resizer, 10_000_000)
    assert [Path(name).suffix for name in sorted(collected.files)] == [".png", ".png", ".png", ".webp"]


async def test_a_flagged_picture_makes_the_film_a_spoiler(harness):
    async with harness.bot() as services:
        await animate(harness, await picture(harness), words="castle | naked island | planet")
        posted = await harness.result(text="Animated")
        assert posted.attachments[0].filename.startswith("SPOILER_")
        assert (await film_job(services)).sensitive


async def test_a_film_counts_as_its_grids(harness):
    async with harness.bot() as services:
        await animate(harness, await picture(harness), steps="8")
        await harness.result(text="Animated")
        totals = await services.db.usage.totals(harness.ada.id, harness.guild.id, 0.0)
        assert totals.jobs == 1 + grids_of((await film_job(services)).job.params) == 3
        assert totals.seconds == pytest.approx(0.1 + 8 * 0.1)


async def test_a_film_too_large_for_discord_becomes_a_smaller_film(harness):
    async with harness.bot() as services:
        await animate(harness, await picture(harness))
        posted = await harness.result(text="Animated")
        size, job = posted.attachments[0].size, (await film_job(services)).job
        smaller = await harness.client.jobs.runner.films.encode(job, size // 2)
    assert len(smaller) <= size // 2
    assert Image.open(io.BytesIO(smaller)).n_frames > 20


async def test_a_reroll_of_a_film_is_another_film(harness):
    async with harness.bot():
        await animate(harness, await picture(harness), kind="loop")
        await harness.person(harness.ada).press(await harness.result(text="Animated"), "🔄")
        again = await harness.result(text="Rerolled")
        assert open_image(harness.server, again).n_frames == 2 * 3 * 24


@pytest.mark.skipif(find_ffmpeg() is None, reason="no ffmpeg: install the extra `film`")
async def test_the_operator_can_have_films_posted_as_mp4(harness):
    async with harness.bot(film_format="mp4") as services:
        await animate(harness, await picture(harness))
        posted = await harness.result(text="Animated")
        assert posted.attachments[0].filename.endswith(".mp4")
        assert harness.server.core.files.get(posted.attachments[0].id)[4:8] == b"ftyp"
        assert (await film_job(services)).suffix == "webp", "what is stored stays a picture for everything else"


async def test_somebody_who_is_blocked_has_no_mp4_made(harness, monkeypatch):
    for module in (job_views, animate_buttons):
        monkeypatch.setattr(module, "find_ffmpeg", lambda: "ffmpeg")
    async with harness.bot() as services:
        await animate(harness, await picture(harness))
        posted = await harness.result(text="Animated")
        await block(services, harness, harness.ben)
        refused = await (await harness.person(harness.ben).press(posted, "As MP4")).message()
        assert "blocked" in refused.content
        assert not refused.attachments


async def test_a_film_deleted_while_its_mp4_is_made_leaves_no_file(harness, monkeypatch):
    async with harness.bot() as services:
        await animate(harness, await picture(harness))
        await harness.result(text="Animated")
        record = await film_job(services)

        async def deleted_meanwhile(maker, order, params):
            await delete_files(services, record)
            return b"film"

        monkeypatch.setattr(FilmMaker, "make", deleted_meanwhile)
        with pytest.raises(UserError, match="not kept any more"):
            await harness.client.jobs.runner.films.mp4(record.job, "ffmpeg")
        assert not services.images.files.grid_path(record.job.id, "mp4").exists()


@pytest.mark.skipif(find_ffmpeg() is None, reason="no ffmpeg: install the extra `film`")
async def test_a_film_is_sent_as_an_mp4_too(harness):
    async with harness.bot() as services:
        await animate(harness, await picture(harness))
        posted = await harness.result(text="Animated")
        sent = await (await harness.person(harness.ben).press(posted, "As MP4")).message()
        await eventually(lambda: sent.attachments)
        stored = services.images.files.grid_path((await film_job(services)).job.id, "mp4")
        made_at = stored.stat().st_mtime_ns
        again = await (await harness.person(harness.ada).press(posted, "As MP4")).message()
        await eventually(lambda: again.attachments)
        assert stored.stat().st_mtime_ns == made_at, "it is encoded once"
        await services.images.files.delete(stored.stem)
        assert not stored.exists()
    assert sent.ephemeral
    assert harness.server.core.files.get(sent.attachments[0].id)[4:8] == b"ftyp"
