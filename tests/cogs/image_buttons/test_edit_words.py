"""Edit words: the same picture with other words, from the same seed and at the same size."""

from __future__ import annotations

import pytest

from generation.job import Action
from generation.params import Tile
from tests.cogs.image_buttons.test_remix import generate_grid, load_record, pick_image
from tests.cogs.test_prompt_modal import modal_prompt
from tests.support.bot_harness import first_tile, make_model

LABEL = "Edit words"


async def edit(harness, picture, prompt):
    """Press the button, submit the form with a prompt and return the result."""
    pressed = await harness.person(harness.ada).press(picture, LABEL)
    await harness.person(harness.ada).submit_modal(pressed, prompt=prompt)
    return await harness.result(text="Words edited by")


async def test_a_picked_picture_is_drawn_with_other_words_from_its_seed(harness):
    async with harness.bot() as services:
        grid = await generate_grid(harness, "a red boat on the sea --seed 5 --ar 3:2")
        await harness.person(harness.ada).press(grid, "U2")
        picture = await harness.result(text="Image #2")
        pressed = await harness.person(harness.ada).press(picture, LABEL)
        assert modal_prompt(await pressed.modal()) == "a red boat on the sea --ar 3:2 --hold"
        await harness.person(harness.ada).submit_modal(pressed, prompt="a blue boat on the sea --ar 3:2 --keep 40")
        result = await harness.result(text="Words edited by")
        job = (await load_record(services, result)).job
        drawn = (await services.db.jobs.get(first_tile(grid).job_id)).job.params
    assert r"a \[red:blue:0.4\] boat on the sea" in result.content
    assert (job.action, job.parent) == (Action.EDIT_WORDS, first_tile(picture))
    assert (job.params.seed, job.params.count, job.params.source) == (6, 1, None)
    assert (job.params.width, job.params.height) == (drawn.width, drawn.height)
    assert LABEL in result.labels
    assert "🔄" in result.labels


@pytest.mark.parametrize("label", [LABEL, "Remix", "Custom Zoom"])
async def test_the_same_form_twice_is_one_job_and_other_words_are_another(harness, label):
    async with harness.bot() as services:
        picture, ada = await pick_image(harness), harness.person(harness.ada)
        before = await number_of_jobs(services)
        pressed = await ada.press(picture, label)
        for prompt in ("a slow owl", "a slow owl", "a slow whale"):  # as from two devices
            await (await ada.submit_modal(pressed, prompt=prompt)).response()
        assert await number_of_jobs(services) == before + 2


async def number_of_jobs(services):
    (row,) = await services.db.connection.fetch_all("SELECT count(*) AS number FROM jobs")
    return row["number"]


async def test_a_picture_is_held_until_others_are_made_from_it(harness):
    async with harness.bot() as services:
        result = await edit(harness, await pick_image(harness), "a blue fox --hold")
        held = (await load_record(services, result)).job.params
        pressed = await harness.person(harness.ada).press(result, LABEL)
        assert modal_prompt(await pressed.modal()) == "a blue fox --hold"
        await harness.person(harness.ada).submit_modal(pressed, prompt="a green fox --keep 20 --hold")
        again = (await load_record(services, await harness.result(text=":green:"))).job.params
        await harness.person(harness.ada).press(result, "Vary (Subtle)")
        varied = (await load_record(services, await harness.result(text="Variations (Subtle)"))).job.params
        pressed = await harness.person(harness.ada).press(result, LABEL)
        await harness.person(harness.ada).submit_modal(pressed, prompt="a blue fox --hold --keep 15")
        await harness.result(text=r"a \[:blue:0.15\] fox")
    assert r"a \[:blue:0.0\] fox" in result.content
    assert "--hold" in result.content
    assert (held.hold, held.seed, held.count) == (True, again.seed, 1)
    assert again.parts[0].texts == ("a fox", "a green fox")
    assert (again.hold, varied.hold) == (True, False)


async def test_an_unchanged_form_holds_nothing_of_words_that_change_themselves(harness):
    async with harness.bot():
        picture = await pick_image(harness, "a [red:blue:.2] fox --seed 5")
        pressed = await harness.person(harness.ada).press(picture, LABEL)
        assert modal_prompt(await pressed.modal()) == "a [red:blue:0.2] fox --hold"
        refused = await harness.person(harness.ada).submit_modal(pressed, prompt="a [red:blue:0.2] fox --hold")
        assert "This is the same picture" in (await refused.message()).content


async def test_a_remix_retouches_a_picture_and_its_words_are_edited_so(harness):
    async with harness.bot() as services:
        pressed = await harness.person(harness.ada).press(await pick_image(harness), "Remix")
        await harness.person(harness.ada).submit_modal(pressed, prompt="a [:blue:.0] fox --retouch")
        grid = await harness.result(text="Remix (Strong)")
        params = (await load_record(services, grid)).job.params
        await harness.person(harness.ada).press(grid, "U3")
        again = await harness.person(harness.ada).press(await harness.result(text="Image #3"), LABEL)
        assert modal_prompt(await again.modal()) == "a blue fox --retouch"
    assert (params.retouch, params.strength) == (True, 0.85)


async def test_an_upscaled_picture_is_edited_as_it_was_drawn(harness):
    async with harness.bot() as services:
        await harness.person(harness.ada).press(await pick_image(harness), "Upscale (Subtle)")
        upscaled = await harness.result(text="Upscaled (Subtle)")
        job = (await load_record(services, await edit(harness, upscaled, "an owl --keep 0"))).job
    assert job.params.source is None
    assert (job.params.seed, [part.text for part in job.params.parts]) == (5, ["an owl"])


async def test_a_variation_keeps_its_source_and_strength(harness):
    async with harness.bot() as services:
        picture = await pick_image(harness)
        await harness.person(harness.ada).press(picture, "Vary (Subtle)")
        await harness.person(harness.ada).press(await harness.result(text="Variations (Subtle)"), "U3")
        varied = await harness.result(text="Image #3")
        job = (await load_record(services, await edit(harness, varied, "an owl"))).job
    assert (job.params.source, job.params.strength) == (first_tile(picture), 0.45)
    assert job.params.parts[0].texts == ("a fox", "an owl")


@pytest.mark.parametrize(
    ("prompt", "problem"),
    [
        ("a fox", "This is the same picture"),
        ("a fox::2 owl", "parts and weights"),
        ("an owl --keep 101", "--keep"),
        ("an owl --repeat 2", "--repeat"),
    ],
)
async def test_what_cannot_be_edited_is_returned_with_the_reason(harness, prompt, problem):
    async with harness.bot():
        pressed = await harness.person(harness.ada).press(await pick_image(harness), LABEL)
        refused = await harness.person(harness.ada).submit_modal(pressed, prompt=prompt)
        message = await refused.message()
        assert problem in message.content
        again = await harness.person(harness.ada).press(message, "Edit and retry")
        assert modal_prompt(await again.modal()) == prompt


async def test_a_model_that_cannot_keep_is_asked_for_nothing_kept(harness):
    model = make_model(harness.folder / "plain", name="Plain", unsupported=["prompt_edits"])
    async with harness.bot(models=(model,)) as services:
        ada = harness.person(harness.ada)
        pressed = await ada.press(await pick_image(harness), LABEL)
        assert modal_prompt(await pressed.modal()) == "a fox"
        await ada.submit_modal(pressed, prompt="a huge fox")
        again = await ada.press(await harness.status_message("too large"), "Edit and retry")
        assert modal_prompt(await again.modal()) == "a huge fox"
        await ada.submit_modal(again, prompt="an owl")
        job = (await load_record(services, await harness.result(text="Words edited by"))).job
    assert (job.params.parts[0].text, job.params.seed) == ("an owl", 5)


async def test_keep_works_in_its_form_only(harness):
    async with harness.bot():
        refused = await harness.imagine("a fox --keep 40")
        assert "in the form of *Edit words*" in (await refused.message()).content


async def test_a_picture_whose_grid_is_forgotten_cannot_be_edited(harness):
    async with harness.bot() as services:
        picture = await pick_image(harness)
        source = (await load_record(services, picture)).job.params.source
        assert isinstance(source, Tile)
        await services.db.jobs._connection.write("DELETE FROM jobs WHERE id = :id", {"id": source.job_id})
        pressed = await harness.person(harness.ada).press(picture, LABEL)
        assert "I no longer know how this picture was drawn" in (await pressed.message()).content


async def test_the_button_of_an_old_canvas_says_that_its_words_cannot_be_edited(harness):
    async with harness.bot() as services:
        picture = await pick_image(harness)
        await services.db.jobs._connection.write(  # as a canvas, which no job drew at once
            "UPDATE jobs SET params = json_set(params, '$.source', NULL) WHERE id = :id",
            {"id": first_tile(picture).job_id},
        )
        pressed = await harness.person(harness.ada).press(picture, LABEL)
        assert "This cannot be done with this picture" in (await pressed.message()).content
