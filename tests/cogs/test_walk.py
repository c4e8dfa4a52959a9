"""/walk and *Walk*: from two prompts or two pictures to a film, through restarts and cancellations."""

from __future__ import annotations

import io
from itertools import pairwise
from statistics import median

import pytest
from PIL import Image, ImageChops, ImageStat

from bot.images.data_export import _collect_job_files
from db.jobs import JobState
from generation.job import Action, Speed
from generation.params import Tile, to_dict
from tests.cogs.config.test_config_commands import run_config
from tests.support.bot_harness import eventually, first_tile, open_image


async def walk(harness, start, end, **more):
    return await harness.person(harness.ada).command("walk", harness.channel, **{"from": start, "to": end} | more)


async def walk_job(services):
    rows = await services.db.connection.fetch_all("SELECT id FROM jobs WHERE action = 'walk' ORDER BY rowid")
    return await services.db.jobs.get(rows[-1]["id"])


async def tile(services, job_id, index):
    return Image.open(io.BytesIO(await services.images.files.read(Tile(job_id, index)))).convert("RGB")


def difference(one, other):
    return max(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean)


def frames(film):
    for number in range(film.n_frames):
        film.seek(number)
        yield film.convert("RGB")


async def test_a_walk_between_prompts_is_a_film_of_24_pictures(harness):
    async with harness.bot() as services:
        await services.db.preferences.update(harness.ada.id, suffix="--repeat 3")  # is left out of it
        await walk(harness, "a fox --seed 5", "an owl --seed 9")
        posted = await harness.result(text="Walk by")
        record = await walk_job(services)
        job, film = record.job, open_image(harness.server, posted)
        assert film.format == "WEBP"
        shown = list(frames(film))
        assert len(shown) == 48
        first, last = await tile(services, job.id, 1), await tile(services, job.id, 0)
        assert difference(first, last) > 20
        assert difference(shown[0], first) < 4
        assert difference(shown[-1], last) < 4
        steps = [difference(*pair) for pair in pairwise(shown)]
        assert max(steps) <= 3 * max(1, median(steps))
        assert (job.action, job.speed) == (Action.WALK, Speed.RELAX)
        assert "an owl" in posted.content
        assert posted.attachments[0].description == "Film that goes from one picture to another: a fox → an owl"
        assert record.seconds == pytest.approx(0.1 * 8), "two ends, and 22 pictures by fours in two halves"
        assert (await services.db.usage.totals(harness.ada.id, harness.guild.id, 0)).jobs == 6

        await harness.person(harness.ada).press(posted, "Upscale (Subtle)")
        upscaled = await harness.result(text="Upscaled")
        assert "**an owl**" in upscaled.content, "the end goes on with its own words"


async def test_a_film_is_sent_by_direct_message_as_such(harness):
    async with harness.bot():
        await walk(harness, "a fox --seed 5", "an owl --seed 9")
        posted = await harness.result(text="Walk by")
        asked = await harness.person(harness.ben).context_menu("DM results", posted)
        await asked.wait_for(lambda message: "direct messages" in message.content)
        (sent,) = harness.server.messages(harness.server.world.dm_channel(harness.ben))
        assert open_image(harness.server, sent).n_frames == open_image(harness.server, posted).n_frames == 48


async def test_a_walk_below_a_grid_begins_and_ends_with_its_pictures(harness):
    async with harness.bot() as services:
        await harness.imagine("a fox --seed 5")
        grid = await harness.result()
        opened = await harness.person(harness.ada).press(grid, "Walk")
        costs = {
            option["value"]: option["description"]
            for label in (await opened.modal())["components"]
            if label["component"]["custom_id"] == "length"
            for option in label["component"]["options"]
        }
        assert costs["24"].startswith("Counts as 6 jobs · ")
        await harness.person(harness.ada).submit_modal(opened, {"first": "2", "second": "4", "length": "24"})
        await harness.result(text="Walk by")
        job = (await walk_job(services)).job
        parent = first_tile(grid).job_id
        files = services.images.files
        assert await files.read(Tile(job.id, 1)) == await files.read(Tile(parent, 1))
        assert await files.read(Tile(job.id, 0)) == await files.read(Tile(parent, 3))
        (edge,) = await services.db.lineage.parents([job.id])
        assert edge.parent_job == parent
        row = {"id": job.id, "params": to_dict(job.params), "suffix": "webp", "action": "walk", "asked_at": 0.0}
        kept = _collect_job_files(row, files, services.images.resizer, 10**9)
        assert len(kept.files) == 25


async def test_a_restart_draws_only_the_pictures_of_a_walk_that_are_missing(harness):
    async with harness.bot() as services:
        await walk(harness, "a fox --seed 5", "halfway --seed 9")
        await eventually(lambda: services.queue.running)
        job = (await walk_job(services)).job
        await eventually(services.images.files.path(Tile(job.id, 5)).exists)
        before = await services.images.files.read(Tile(job.id, 5))
    harness.release_slow_jobs()
    async with harness.bot() as services:
        await harness.result(text="Walk by")
        record = await walk_job(services)
        assert record.seconds < 0.1 * 8 - 0.15
        assert await services.images.files.read(Tile(job.id, 5)) == before
        places = [await tile(services, job.id, index) for index in range(24)]
    assert len({place.getpixel((0, 0)) for place in places}) > 15


async def test_a_cancelled_walk_ends_within_a_step_and_leaves_no_pictures(harness):
    async with harness.bot() as services:
        await walk(harness, "a fox --seed 5", "halfway --seed 9")
        status = await harness.server.wait_for(
            harness.channel, lambda message: "Walk by" in message.content and "%" in message.content
        )
        job = (await walk_job(services)).job
        await eventually(services.images.files.path(Tile(job.id, 5)).exists)
        await harness.person(harness.ada).press(status, "Cancel")
        await harness.server.wait_until(lambda: "Cancelled by" in status.content)
        await eventually(lambda: not services.queue.running)
        await eventually(lambda: not services.images.files.path(Tile(job.id, 5)).exists())
        assert (await walk_job(services)).state is JobState.CANCELLED


REFUSED = (
    ("a fox", "an owl --ar 3:2", "Put `--aspect` behind the first prompt"),
    ("a fox --repeat 2", "an owl", "A walk begins with one picture"),
    ("a {red, blue} fox", "an owl", "A walk begins with one picture"),
    ("a fox --seed 5", "a fox", "Both ends are the same picture"),
    ("a fox", "hot::2 dog::1", "the same number of parts"),
    ("a fox", "an owl --seed x", "`--seed` must be a whole number"),
    ("a fox --sed 4", "an owl", "Unrecognized parameter `--sed`"),
)


async def test_a_refused_walk_gives_both_prompts_back(harness):
    async with harness.bot():
        for start, end, words in REFUSED:
            answer = await (await walk(harness, start, end)).message()
            assert answer.ephemeral
            assert words in answer.content
            assert start in answer.content
            assert end in answer.content


async def test_a_walk_with_many_faults_is_refused_within_one_message(harness):
    unknown = " ".join(f"--{chr(97 + number % 26) * 30}{number // 26 * 'x'} 1" for number in range(60))
    async with harness.bot():
        refused = await (await walk(harness, f"a fox {unknown}", "an owl")).message()
        assert refused.ephemeral
        assert refused.content.startswith("• Unrecognized parameter `--aaa")
        (attachment,) = refused.attachments
        assert harness.server.core.files.get(attachment.id) == f"a fox {unknown}\nan owl".encode()


async def test_a_walk_is_refused_for_blocked_words_at_its_end(harness):
    async with harness.bot():
        await run_config(harness, "words block", words="owl")
        answer = await (await walk(harness, "a fox", "an owl")).message()
        assert "do not allow `owl`" in answer.content


async def test_a_walk_respects_the_limit_of_a_day(harness):
    async with harness.bot():
        await run_config(harness, "limits", role=harness.guild.roles[harness.guild.id], jobs_a_day=5)
        answer = await (await walk(harness, "a fox", "an owl")).message()
        assert "adds 6 more" in answer.content


async def test_drawn_again_a_walk_has_other_pictures(harness):
    async with harness.bot() as services:
        await walk(harness, "a fox --seed 5", "an owl --seed 9")
        posted = await harness.result(text="Walk by")
        await harness.person(harness.ada).press(posted, "🔄")
        await harness.result(text="Rerolled")
        rows = await services.db.connection.fetch_all("SELECT id FROM jobs ORDER BY rowid")
        again = (await services.db.jobs.get(rows[-1]["id"])).job
        assert again.params.film.to.seed - again.params.seed == 4
        assert again.params.seed != 5
