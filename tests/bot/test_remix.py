"""Other words for what a button does: by the person's setting, by the Remix button, and for a zoom of one's own."""

from __future__ import annotations

import pytest

from generation.params import Tile
from preview import UploadedFile
from tests.bot.conftest import picture, red, tile_of
from tests.bot.test_retry import prompt_of


async def grid_of(stage, prompt="a fox --seed 5"):
    await stage.imagine(prompt)
    return await stage.result()


async def picked_of(stage, prompt="a fox --seed 5"):
    await stage.person(stage.ada).press(await grid_of(stage, prompt), "U1")
    return await stage.result(text="Image #1")


async def record_of(studio, message):
    return await studio.store.get(tile_of(message).job_id)


def style(message, label):
    return next(button["style"] for button in message.buttons if button.get("label") == label)


async def test_with_remix_off_a_press_makes_the_job_at_once(stage):
    async with stage.bot():
        pressed = await stage.person(stage.ada).press(await grid_of(stage), "V1")
        await stage.result(text="Variations")
        assert (await pressed.response()).type == 7


@pytest.mark.parametrize(("label", "says"), [("V2", "Remix (Strong) by"), ("🔄", "Drawn again by"), ("U1", "Image #1")])
async def test_with_remix_on_the_grids_buttons_ask_for_words_except_u(stage, label, says):
    async with stage.bot() as studio:
        await studio.preferences.update(stage.ada.id, remix=True)
        grid = await grid_of(stage)
        pressed = await stage.person(stage.ada).press(grid, label)
        if label != "U1":
            assert prompt_of(await pressed.modal()) == "a fox"
            await stage.person(stage.ada).submit_modal(pressed, prompt="an owl --no fox")
            says = f"an owl --no fox** - {says}"
        result = await stage.result(text=says)
        assert result.reference["message_id"] == str(grid.id)
        await stage.server.wait_until(lambda: label == "🔄" or style(grid, label) == 1)


async def test_the_same_noise_is_proposed_only_where_it_does_not_draw_four_times_the_same(stage):
    async with stage.bot() as studio:
        await studio.preferences.update(stage.ada.id, remix=True)
        grid = await grid_of(stage, "a fox --sameseed 5")
        assert prompt_of(await (await stage.person(stage.ada).press(grid, "🔄")).modal()) == "a fox --sameseed"
        pressed = await stage.person(stage.ada).press(grid, "V2")
        assert prompt_of(await pressed.modal()) == "a fox"
        await stage.person(stage.ada).submit_modal(pressed, prompt="an owl --sameseed")
        result = await stage.result(text="Remix (Strong)")
        assert (await record_of(studio, result)).job.params.same_seed


async def test_unchanged_words_are_a_plain_variation(stage):
    async with stage.bot() as studio:
        await studio.preferences.update(stage.ada.id, remix=True)
        grid = await grid_of(stage)
        pressed = await stage.person(stage.ada).press(grid, "V2")
        await stage.person(stage.ada).submit_modal(pressed)
        result = await stage.result(text="Variations (Strong) of image #2")
        params = (await record_of(studio, result)).job.params
    assert params.source == Tile(tile_of(grid).job_id, 1)
    assert params.seed != 5


@pytest.mark.parametrize("label", ["Vary (Subtle)", "Zoom Out 2×", "⬅️"])
async def test_with_remix_on_a_pictures_buttons_ask_for_words_and_keep_the_place(stage, label):
    async with stage.bot() as studio:
        await studio.preferences.update(stage.ada.id, remix=True)
        picked = await picked_of(stage)
        pressed = await stage.person(stage.ada).press(picked, label)
        await stage.person(stage.ada).submit_modal(pressed, prompt="an owl --seed 9")
        result = await stage.result(text="an owl")
        params = (await record_of(studio, result)).job.params
    assert params.seed == 9
    assert params.source == tile_of(picked)
    assert (params.frame is None) == (label == "Vary (Subtle)")
    assert ("Remix (Subtle) by" in result.content) == (label == "Vary (Subtle)")


@pytest.mark.parametrize(("how_far", "says"), [(None, "Remix (Strong) by"), ("remix_subtle", "Remix (Subtle) by")])
async def test_the_remix_button_asks_how_far(stage, how_far, says):
    async with stage.bot():
        pressed = await stage.person(stage.ben).press(await picked_of(stage), "Remix")
        more = {"how_far": how_far} if how_far else {}
        await stage.person(stage.ben).submit_modal(pressed, prompt="an owl --ar 2:1", **more)
        result = await stage.result(text=says)
    assert picture(stage.server, result).size == (176, 96)
    assert f"after a picture by <@{stage.ada.id}>" in result.content


async def test_what_the_person_prefers_is_not_added_to_words_that_were_edited(stage):
    async with stage.bot() as studio:
        picked = await picked_of(stage)
        await studio.preferences.update(stage.ada.id, suffix="--ar 2:1")
        pressed = await stage.person(stage.ada).press(picked, "Remix")
        await stage.person(stage.ada).submit_modal(pressed, prompt="an owl")
        assert picture(stage.server, await stage.result(text="an owl")).size == (128, 128)


async def test_a_remix_that_is_refused_keeps_its_words_and_its_picture(stage):
    async with stage.bot():
        picked = await picked_of(stage)
        pressed = await stage.person(stage.ada).press(picked, "Remix")
        sent = await stage.person(stage.ada).submit_modal(
            pressed, prompt="an owl --aspct 2:1 --repeat 2", how_far="remix_subtle"
        )
        refusal = await sent.message()
        assert refusal.ephemeral
        assert "```\nan owl --aspct 2:1 --repeat 2\n```" in refusal.content
    async with stage.bot():
        pressed = await stage.person(stage.ada).press(refusal, "Edit and retry")
        await stage.person(stage.ada).submit_modal(pressed, prompt="an owl")
        result = await stage.result(text="Remix (Subtle) by")
    assert result.reference["message_id"] == str(picked.id)


@pytest.mark.parametrize(("words", "says"), [("--repeat 2", "--repeat"), ("https://a.example/b.png", "Links")])
async def test_what_makes_no_sense_in_a_remix_is_said(stage, words, says):
    async with stage.bot():
        pressed = await stage.person(stage.ada).press(await picked_of(stage), "Remix")
        prompt = f"{words} owl" if words.startswith("http") else f"owl {words}"
        assert says in (await (await stage.person(stage.ada).submit_modal(pressed, prompt=prompt)).message()).content


async def test_low_variation_makes_v_a_subtle_one(stage):
    async with stage.bot() as studio:
        await studio.preferences.update(stage.ada.id, high_variation=False)
        grid = await grid_of(stage)
        await stage.person(stage.ada).press(grid, "V1")
        await stage.result(text="Variations (Subtle) of image #1")
        assert style(grid, "V1") == 1


async def test_a_reroll_of_a_picture_that_was_brought_keeps_it(stage):
    async with stage.bot() as studio:
        await studio.preferences.update(stage.ada.id, remix=True)
        await stage.imagine("a fox --iw 2", image=UploadedFile("red.png", red(300, 300)))
        pressed = await stage.person(stage.ada).press(await stage.result(), "🔄")
        assert prompt_of(await pressed.modal()) == "a fox --iw 2"
        await stage.person(stage.ada).submit_modal(pressed, prompt="an owl --iw 3")
        params = (await record_of(studio, await stage.result(text="an owl"))).job.params
    assert params.source is not None
    assert params.strength < 0.3


async def zoomed(stage, message, prompt):
    pressed = await stage.person(stage.ada).press(message, "Custom Zoom")
    return pressed, await stage.person(stage.ada).submit_modal(pressed, prompt=prompt)


@pytest.mark.parametrize(
    ("typed", "size", "width"),
    [
        ("a fox --ar 1:1 --zoom 1.6", (128, 128), 40),
        ("a fox —zoom 2", (128, 128), 32),
        ("a fox --ar 2:1 --zoom 1", (256, 128), 64),
        ("a fox", (128, 128), 32),
    ],
)
async def test_a_zoom_of_ones_own(stage, typed, size, width):
    async with stage.bot() as studio:
        picked = await picked_of(stage)
        pressed, _ = await zoomed(stage, picked, typed)
        assert prompt_of(await pressed.modal()) == "a fox --ar 1:1 --zoom 2"
        result = await stage.result(text="Zoom Out by")
        params = (await record_of(studio, result)).job.params
    assert picture(stage.server, result).size == size
    assert params.frame.width == width
    assert "zoom" not in result.content


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("a fox --zoom much", "`--zoom`"),
        ("a fox --zoom 3", "between 1 and 2"),
        ("a fox --zoom nan", "between 1 and 2"),
        ("a fox --zoom 1.5 --zoom 2", "more than once"),
        ("a fox --ar 1:1 --zoom 1", "nothing to draw around"),
        ("a fox --steps 1000 --zoom 2", "`--steps`"),
    ],
)
async def test_a_zoom_that_cannot_be_is_refused_with_everything_kept(stage, typed, says):
    async with stage.bot():
        _, sent = await zoomed(stage, await picked_of(stage), typed)
        refusal = await sent.message()
        assert refusal.ephemeral
        assert says in refusal.content
        pressed = await stage.person(stage.ada).press(refusal, "Edit and retry")
        assert prompt_of(await pressed.modal()) == typed


async def test_a_long_panorama_is_remixed_in_its_own_shape(stage):
    async with stage.bot():
        newest = await picked_of(stage, "a fox --ar 3:1")
        for _ in range(2):
            before = len(stage.results())
            await stage.person(stage.ada).press(newest, "➡️")
            await stage.server.wait_until(lambda before=before: len(stage.results()) == before + 1, 20)
            await stage.person(stage.ada).press(stage.results()[-1], "U1")
            await stage.server.wait_until(lambda before=before: len(stage.results()) == before + 2, 20)
            newest = stage.results()[-1]
        pressed = await stage.person(stage.ada).press(newest, "Remix")
        await stage.person(stage.ada).submit_modal(pressed, prompt="an owl")
        size = picture(stage.server, await stage.result(text="an owl")).size
    assert size[0] > 4 * size[1]


async def test_a_prompt_too_long_for_a_form_is_varied_as_it_is_and_not_remixed(stage):
    async with stage.bot() as studio:
        await studio.preferences.update(stage.ada.id, remix=True)
        grid = await grid_of(stage, "fox " * 1100)
        await stage.person(stage.ada).press(grid, "V1")
        await stage.result(text="Variations (Strong)")
        await stage.person(stage.ada).press(grid, "U1")
        picked = await stage.result(text="Image #1")
        refused = await (await stage.person(stage.ada).press(picked, "Remix")).message()
        assert refused.ephemeral
        assert "4000 characters" in refused.content
        question = await (await stage.person(stage.ada).press(picked, "Vary (Region)")).message()
        assert prompt_of(await (await stage.person(stage.ada).press(question, "Go on")).modal()) == ""
