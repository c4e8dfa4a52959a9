"""/describe: four prompts for a picture, the true one first if it is known and nobody may not see it."""

from __future__ import annotations

import io
import json

import pytest
from PIL import Image, PngImagePlugin

from db.jobs import JobState
from generation.planning.descriptions import Description, halvings, with_settings
from preview import UploadedFile
from tests.support.bot_harness import eventually, red_png

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


async def test_a_cancelled_description_ends(harness):
    async with harness.bot() as services:
        await describe(harness, png_with("a slow whale\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 5, Size: 96x64"))
        status = await harness.server.wait_for(harness.channel, lambda message: "Cancel" in message.labels)
        await harness.person(harness.ada).press(status, "Cancel")
        await harness.server.wait_until(lambda: "Cancelled by" in status.content)
        await eventually(lambda: not services.queue.running)


async def test_a_model_without_a_list_of_words_says_so(harness):
    set_words(harness, {})
    async with harness.bot():
        asked = await describe(harness, red_png(64, 64))
        assert "can describe pictures" in (await asked.message()).content


def test_candidates_are_halved_and_a_description_is_a_prompt():
    from generation.models.vocabulary import Vocabulary

    vocabulary = Vocabulary.from_json(KNOWN, {"sea": ["Meer", "on the sea"]})
    assert list(halvings(24, 5)) == [24, 12, 6, 3, 3]
    assert Description(thing="boat", colour="red", place="sea").text(vocabulary) == "a red boat on the sea"
    assert [each.text(vocabulary) for each in with_settings(Description(thing="fox"), vocabulary)] == [
        "a fox on the sea",
        "a fox on a red background",
    ]
