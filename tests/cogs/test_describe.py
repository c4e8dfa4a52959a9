"""/describe: four prompts for a picture, the true one first if it is known and nobody may not see it."""

from __future__ import annotations

import asyncio
import io
import json
from functools import partial

import pytest
from PIL import Image, PngImagePlugin

from bot.jobs.describing import describe_for
from db.jobs import JobState
from generation.errors import WorkerLost
from generation.messages import Offered
from generation.params import Tile, from_dict
from generation.planning.descriptions import Description, halvings, with_settings
from generation.prompt import format_prompt
from generation.worker.offer import covers
from generation.worker.worker import LocalWorker
from preview import UploadedFile
from tests.cogs.config.test_config_commands import run_config
from tests.cogs.test_find import make, png
from tests.cogs.test_stealth import generate_stealth
from tests.support.bot_harness import eventually, first_tile, red_png

KNOWN = {"things": ["boat", "fox"], "colours": ["red"], "places": ["sea"]}


def set_words(harness, known):
    """Let the harness's model list these words as those that it knows."""
    file = harness.model / "atelier.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"known": known}))


@pytest.fixture(autouse=True)
def _model_with_words(harness):
    set_words(harness, KNOWN)


async def describe(harness, png, user=None):
    return await harness.person(user or harness.ada).command(
        "describe", harness.channel, image=UploadedFile("picture.png", png)
    )


async def result(harness):
    return await harness.server.wait_for(harness.channel, lambda message: "1\\." in message.content)


def png_with(text):
    info, file = PngImagePlugin.PngInfo(), io.BytesIO()
    info.add_text("parameters", text)
    Image.new("RGB", (96, 64), "red").save(file, "PNG", pnginfo=info)
    return file.getvalue()


async def test_again_and_the_form_of_a_prompt_count_once_when_they_come_twice(harness):
    async with harness.bot() as services:
        await describe(harness, png_with("a slow fox\nSteps: 20, Seed: 1"))
        harness.release_slow_jobs()
        shown, ben = await result(harness), harness.person(harness.ben)
        (harness.model / "go").unlink()
        for _ in range(2):
            await (await ben.press(shown, "🔄")).response()
        form = await ben.press(shown, "2")
        for prompt in ("a slow fox", "a slow fox", "a slow owl"):
            await (await ben.submit_modal(form, prompt=prompt)).response()
        rows = await services.db.connection.fetch_all("SELECT action, prompt FROM jobs ORDER BY asked_at, rowid")
        assert [row["action"] for row in rows].count("describe") == 2
        assert sorted(row["prompt"].partition(" --")[0] for row in rows if row["action"] == "imagine") == [
            "a slow fox",
            "a slow owl",
        ]


async def test_describe_gives_four_prompts_in_the_shape_of_the_picture(harness):
    async with harness.bot() as services:
        await describe(harness, red_png(96, 64))
        shown = await result(harness)
        assert shown.content.startswith(f"Described for <@{harness.ada.id}>\n1\\. a boat ff0000 --ar 3:2\n2\\. a fox")
        assert "the prompt that the picture was drawn with" not in shown.content
        assert shown.labels[:4] == ["1", "2", "3", "4"]

        opened = await harness.person(harness.ben).press(shown, "2")
        await harness.person(harness.ben).submit_modal(opened, {})
        drawn = await harness.result()
        assert f"**a fox --ar 3:2** - <@{harness.ben.id}>" in drawn.content

        asked = await harness.person(harness.ben).press(shown, "All")
        assert "This makes 4 jobs" in (await asked.message()).content

        rows = await services.db.connection.fetch_all("SELECT id, state, suffix FROM jobs WHERE action = 'describe'")
        assert [(row["state"], row["suffix"]) for row in rows] == [(JobState.POSTED, None)]


async def test_the_prompt_in_the_file_comes_first(harness):
    async with harness.bot():
        await describe(harness, png_with("a teal whale\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 5, Size: 96x64"))
        shown = await result(harness)
        assert "1\\. a teal whale" in shown.content
        assert "2\\. a boat" in shown.content
        assert "1 is the prompt that the picture was drawn with." in shown.content


async def test_half_of_an_emoji_in_the_prompt_of_a_file_is_left_out(harness):
    async with harness.bot():
        await describe(harness, png_with(r'{"prompt": "a teal whale\ud83d", "steps": 20}'))
        assert "1\\. a teal whale --steps 20\n" in (await result(harness)).content


async def test_a_cancelled_description_ends(harness):
    async with harness.bot() as services:
        await describe(harness, png_with("a slow whale\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 5, Size: 96x64"))
        status = await harness.server.wait_for(harness.channel, lambda message: "Cancel" in message.labels)
        await harness.person(harness.ada).press(status, "Cancel")
        await harness.server.wait_until(lambda: "Cancelled by" in status.content)
        await eventually(lambda: not services.queue.running)


async def test_a_restart_finishes_a_description(harness):
    async with harness.bot():
        await describe(harness, png_with("a slow whale\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 5, Size: 96x64"))
        await harness.server.wait_for(harness.channel, lambda message: "Cancel" in message.labels)
    harness.release_slow_jobs()
    async with harness.bot():
        shown = await result(harness)
        assert "1\\. a slow whale" in shown.content
        assert len([message for message in harness.public_messages() if "1\\." in message.content]) == 1


@pytest.mark.parametrize("asker", ["ada", "ben"])
async def test_the_prompt_of_a_private_picture_is_not_told_in_public(harness, asker):
    async with harness.bot() as services:
        await generate_stealth(harness, "a secret fox")
        (row,) = await services.db.connection.fetch_all("SELECT id FROM jobs WHERE private")
        png = await services.images.files.read(Tile(row["id"], 0))
        while await services.db.picture_index.pending(1):
            await harness.client.finder.update()
        await describe(harness, png, getattr(harness, asker))
        assert "secret" not in (await result(harness)).content


async def test_the_prompt_of_ones_own_picture_is_told_in_direct_messages(harness):
    direct = harness.server.world.dm_channel(harness.ada, harness.server.world.bot)
    async with harness.bot() as services:
        drawn = await make(harness, services, "an own fox", harness.ada)
        picture = png(Image.open(io.BytesIO(await services.images.files.read(first_tile(drawn)))))
        await harness.person(harness.ada).command("describe", direct, image=picture)
        shown = await harness.server.wait_for(direct, lambda message: "1\\." in message.content)
        assert "1\\. an own fox" in shown.content


async def test_a_blocked_word_of_the_model_is_not_shown(harness):
    async with harness.bot():
        assert "fox" in await run_config(harness, "words block", words="fox")
        await describe(harness, red_png(96, 64))
        shown = await result(harness)
        assert "fox" not in shown.content
        assert shown.labels[:3] == ["1", "2", "3"]


async def unasked(harness, services):
    """Return a job and the picture that is to be described in its name."""
    await harness.imagine("a fox")
    record = await services.db.jobs.get(first_tile(await harness.result()).job_id)
    return record.job, await services.images.files.save_upload(red_png(96, 64))


async def test_lost_workers_leave_nothing_in_the_queue(harness, monkeypatch):
    async def lose(*_):
        raise WorkerLost("the machine was lost")

    async with harness.bot() as services:
        job, upload = await unasked(harness, services)
        monkeypatch.setattr(LocalWorker, "read", lose)
        with pytest.raises(WorkerLost):
            await describe_for(services, job, upload)
        assert services.queue.waiting == []
        assert services.queue.running == []


async def test_an_unasked_description_survives_a_lost_worker(harness, monkeypatch):
    read, losses = LocalWorker.read, [WorkerLost("the machine was lost")]

    async def lose_once(*args):
        if losses:
            raise losses.pop()
        return await read(*args)

    async with harness.bot() as services:
        job, upload = await unasked(harness, services)
        monkeypatch.setattr(LocalWorker, "read", lose_once)
        texts = await describe_for(services, job, upload)
        assert texts[:2] == ["a boat ff0000", "a fox"]
        assert not losses


async def test_two_unasked_descriptions_for_one_job_do_not_collide(harness):
    async with harness.bot() as services:
        job, upload = await unasked(harness, services)
        both = await asyncio.gather(*(describe_for(services, job, upload) for _ in range(2)))
        assert both[0] == both[1] != []


async def test_an_unasked_description_has_no_blocked_words(harness):
    async with harness.bot() as services:
        assert "boat" in await run_config(harness, "words block", words="boat")
        texts = await describe_for(services, *await unasked(harness, services))
        assert texts[0] == "a fox"


async def asked_for_all(harness):
    """Describe a picture, and return the question that *All* asks."""
    await describe(harness, red_png(96, 64))
    asked = await harness.person(harness.ben).press(await result(harness), "All")
    return await asked.message()


async def test_all_draws_each_prompt_as_its_button_does(harness):
    prompts = ["a fox --no red, blue", "狐狸，森林", r"a \{red, blue\} fox --no red\, dark", "a, b::2 c"]
    async with harness.bot() as services:
        await describe(harness, red_png(96, 64))
        shown = await result(harness)
        await services.db.connection.write("UPDATE readings SET prompts = :prompts", {"prompts": json.dumps(prompts)})
        question = await (await harness.person(harness.ben).press(shown, "All")).message()
        assert "This makes 4 jobs" in question.content
        await harness.person(harness.ben).press(question, "Draw all")
        await harness.server.wait_until(lambda: "4 jobs are on their way" in question.content)
        await eventually(lambda: not services.queue.running and not services.queue.waiting)
        rows = await services.db.connection.fetch_all("SELECT params FROM jobs WHERE action = 'imagine'")
        drawn = [format_prompt(from_dict(json.loads(row["params"])), services.registry) for row in rows]
        assert sorted(drawn) == sorted(prompts)


async def test_all_is_confirmed_once(harness):
    async with harness.bot() as services:
        question = await asked_for_all(harness)
        await asyncio.gather(*(harness.person(harness.ben).press(question, "Draw all") for _ in range(2)))
        await harness.server.wait_until(lambda: "4 jobs are on their way" in question.content)
        await eventually(lambda: not services.queue.running and not services.queue.waiting)
        rows = await services.db.connection.fetch_all("SELECT id FROM jobs WHERE action = 'imagine'")
        assert len(rows) == 4


async def test_a_model_without_a_list_of_words_says_so(harness):
    set_words(harness, {})
    async with harness.bot():
        asked = await describe(harness, red_png(64, 64))
        assert "can describe pictures" in (await asked.message()).content


def test_candidates_are_halved_and_a_description_is_a_prompt():
    from generation.models.words.vocabulary import Vocabulary

    vocabulary = Vocabulary.from_json(KNOWN, {"sea": ["Meer", "on the sea"]})
    assert list(halvings(24, 5)) == [24, 12, 6, 3, 3]
    assert Description(thing="boat", colour="red", place="sea").text(vocabulary) == "a red boat on the sea"
    assert [each.text(vocabulary) for each in with_settings(Description(thing="fox"), vocabulary)] == [
        "a fox on the sea",
        "a fox on a red background",
    ]


async def test_with_a_captioner_any_model_will_do_where_a_machine_has_it(harness, monkeypatch):
    set_words(harness, {"style": ["ink"]})
    async with harness.bot(describer="some/captioner") as services:
        (worker,) = services.fleet.workers
        with monkeypatch.context() as as_on_a_node:
            offered = Offered(frozenset({worker.registry.default.name}), frozenset(), frozenset())
            as_on_a_node.setattr(worker, "can_draw", partial(covers, offered, worker.registry))
            refused = await (await describe(harness, red_png(96, 64))).message()
            assert "None of the models here can describe pictures" in refused.content
        await describe(harness, red_png(96, 64))
        shown = await result(harness)
    assert "Prompts that no file tells are guesses from the picture itself." in shown.content
