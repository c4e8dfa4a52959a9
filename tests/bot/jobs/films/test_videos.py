"""Films of how a picture appears: added to the posted picture, once, and also after a restart."""

from __future__ import annotations

import io

import pytest
from PIL import Image, ImageChops, ImageStat

from db.jobs import JobState
from generation.messages import Ready
from generation.params import Tile
from generation.planning.film_pictures import grids_of
from tests.cogs.config.test_config_commands import run_config
from tests.support.bot_harness import eventually, first_tile, is_result


async def filmed(harness, message):
    await harness.server.wait_until(lambda: len(message.attachments) == 2)
    return message


def film_of(harness, message):
    (film,) = (each for each in message.attachments if "film_" in each.filename)
    return Image.open(io.BytesIO(harness.server.core.files.get(film.id))), film


async def test_a_film_follows_the_grid_in_its_message(harness):
    async with harness.bot() as services:
        await harness.imagine("a fox --seed 5 --video")
        posted = await filmed(harness, await harness.result())
        job_id = first_tile(posted).job_id
        film, attachment = film_of(harness, posted)
        sheet = Image.open(io.BytesIO(harness.server.core.files.get(posted.attachments[0].id))).convert("RGB")
        assert film.format == "WEBP"
        assert film.n_frames > 20
        for place in (0, film.n_frames - 1):
            film.seek(place)
            assert max(ImageStat.Stat(ImageChops.difference(film.convert("RGB"), sheet)).mean) < 3
        film.seek(1)
        assert max(ImageStat.Stat(ImageChops.difference(film.convert("RGB"), sheet)).mean) > 10
        assert attachment.description.startswith("Film of how this picture appeared: a fox")
        assert "follows" not in posted.content
        assert "--video" in posted.content
        await eventually(lambda: not list(services.images.files.folders("trails")[0].iterdir()))
        record = await services.db.jobs.get(job_id)
        assert record.seconds == pytest.approx(0.15), "the time of the film counts"
        assert grids_of(record.job.params) == 2
        assert (await services.db.usage.totals(harness.ada.id, harness.guild.id, 0)).jobs == 2


async def test_the_grid_is_posted_before_its_film(harness):
    async with harness.bot() as services:
        await harness.imagine("undeveloped --video")
        posted = await harness.result()
        assert len(posted.attachments) == 1
        assert posted.content.endswith("A film of how it appeared follows.")
        await eventually(lambda: not services.queue.running)
        await harness.imagine("an owl")
        await harness.result(text="owl")
        record = await services.db.jobs.get(first_tile(posted).job_id)
        assert record.state is JobState.POSTED
        assert len(posted.attachments) == 1, "it still follows"
        harness.release_slow_jobs()
        await filmed(harness, posted)


async def test_a_restart_makes_the_film_that_was_interrupted(harness):
    async with harness.bot():
        await harness.imagine("undeveloped --video")
        posted = await harness.result()
    harness.release_slow_jobs()
    async with harness.bot():
        await filmed(harness, posted)
    assert len([message for message in harness.public_messages() if is_result(message)]) == 1


async def test_a_restart_adds_no_second_film(harness):
    async with harness.bot() as services:
        await harness.imagine("undeveloped --video")
        posted = await harness.result()
        job_id = first_tile(posted).job_id
        trail = await services.images.files.read_trail(job_id)
        harness.release_slow_jobs()
        await filmed(harness, posted)
        await eventually(lambda: not harness.tasks)
        path = services.images.files._trail_path(job_id)
        path.write_bytes(trail)
    async with harness.bot():
        await eventually(lambda: not path.exists())
    assert len(posted.attachments) == 2


async def test_a_deleted_picture_gets_no_film(harness):
    async with harness.bot() as services:
        await harness.imagine("undeveloped --video")
        posted = await harness.result()
        record = await services.db.jobs.get(first_tile(posted).job_id)
        await services.db.jobs.mark_deleted(record.job.id)
        assert await services.images.files.delete(record.job.id) >= 6
        harness.release_slow_jobs()
        await eventually(lambda: not harness.tasks)
    assert len(posted.attachments) == 1


async def test_a_crash_while_the_steps_are_decoded_loses_nothing(harness):
    async with harness.bot() as services:
        await harness.imagine("undeveloped --video")
        posted = await harness.result()
        (worker,) = services.fleet.workers
        await eventually(lambda: worker._jobs)
        worker._process.kill()
        harness.release_slow_jobs()
        await filmed(harness, posted)


async def test_a_drained_worker_decodes_no_steps(harness):
    async with harness.bot(device="cpu,cpu") as services:
        first, second = services.fleet.workers
        await eventually(lambda: all(isinstance(worker.state, Ready) for worker in (first, second)))
        first.draining = True
        await harness.imagine("undeveloped --video")
        posted = await harness.result()
        await eventually(lambda: first._jobs or second._jobs)
        assert not first._jobs
        harness.release_slow_jobs()
        await filmed(harness, posted)


async def test_a_film_with_a_sensitive_step_gets_a_spoiler(harness):
    async with harness.bot():
        await harness.imagine("bare --video")
        posted = await filmed(harness, await harness.result())
    _, attachment = film_of(harness, posted)
    assert attachment.filename.startswith("SPOILER_")
    assert not posted.attachments[0].filename.startswith("SPOILER_")


async def test_a_film_with_a_sensitive_step_is_withheld_where_such_pictures_are(harness):
    async with harness.bot(sensitive_classifier="nsfw"):
        await run_config(harness, "sensitive", pictures="withheld")
        await harness.imagine("bare --video")
        posted = await harness.result()
        await harness.server.wait_until(lambda: "follows" not in posted.content)
        await eventually(lambda: not harness.tasks)
    assert len(posted.attachments) == 1


async def test_a_private_grid_gets_its_film_privately(harness):
    async with harness.bot():
        answered = await harness.imagine("a fox --video --stealth")
        await filmed(harness, await answered.message())
    assert not [message for message in harness.public_messages() if is_result(message)]


async def test_buttons_do_not_make_films_of_their_own(harness):
    async with harness.bot() as services:
        await harness.imagine("a fox --video")
        posted = await filmed(harness, await harness.result())
        await harness.person(harness.ada).press(posted, "V1")
        varied = await harness.result(text="Variations")
        record = await services.db.jobs.get(first_tile(varied).job_id)
        assert not record.job.params.video
        assert record.job.params.source == Tile(first_tile(posted).job_id, 0)
