"""Edited prompts of buttons: with the remix setting, the Remix button and Custom Zoom."""

from __future__ import annotations

import pytest

from generation.params import Tile
from preview import UploadedFile
from tests.cogs.test_prompt_modal import modal_prompt
from tests.support.bot_harness import first_tile, open_image, red_png


async def generate_grid(harness, prompt="a fox --seed 5"):
    await harness.imagine(prompt)
    return await harness.result()


async def pick_image(harness, prompt="a fox --seed 5"):
    await harness.person(harness.ada).press(await generate_grid(harness, prompt), "U1")
    return await harness.result(text="Image #1")


async def load_record(services, message):
    return await services.db.jobs.get(first_tile(message).job_id)


def button_style(message, label):
    return next(button["style"] for button in message.buttons if button.get("label") == label)


async def test_with_remix_off_a_press_submits_the_job_at_once(harness):
    async with harness.bot():
        pressed = await harness.person(harness.ada).press(await generate_grid(harness), "V1")
        await harness.result(text="Variations")
        assert (await pressed.response()).type == 7


async def test_with_remix_on_all_grid_buttons_but_u_open_the_modal(harness):
    async with harness.bot() as services:
        await services.db.preferences.update(harness.ada.id, remix=True)
        grid = await generate_grid(harness)
        for label, says in (("V2", "Remix (Strong) by"), ("🔄", "Rerolled by"), ("U1", "Image #1")):
            pressed = await harness.person(harness.ada).press(grid, label)
            if label != "U1":
                assert modal_prompt(await pressed.modal()) == "a fox"
                await harness.person(harness.ada).submit_modal(pressed, prompt="an owl --no fox")
                says = f"an owl --no fox** - {says}"
            result = await harness.result(text=says)
            assert result.reference["message_id"] == str(grid.id)
            await harness.server.wait_until(lambda label=label: label == "🔄" or button_style(grid, label) == 1)


async def test_the_same_seed_is_proposed_only_where_the_tiles_would_still_differ(harness):
    async with harness.bot() as services:
        await services.db.preferences.update(harness.ada.id, remix=True)
        grid = await generate_grid(harness, "a fox --sameseed 5")
        assert modal_prompt(await (await harness.person(harness.ada).press(grid, "🔄")).modal()) == "a fox --sameseed"
        pressed = await harness.person(harness.ada).press(grid, "V2")
        assert modal_prompt(await pressed.modal()) == "a fox"
        await harness.person(harness.ada).submit_modal(pressed, prompt="an owl --sameseed")
        result = await harness.result(text="Remix (Strong)")
        assert (await load_record(services, result)).job.params.same_seed


async def test_an_unchanged_prompt_is_a_plain_variation(harness):
    async with harness.bot() as services:
        await services.db.preferences.update(harness.ada.id, remix=True)
        grid = await generate_grid(harness)
        pressed = await harness.person(harness.ada).press(grid, "V2")
        await harness.person(harness.ada).submit_modal(pressed)
        result = await harness.result(text="Variations (Strong) by")
        params = (await load_record(services, result)).job.params
    assert params.source == Tile(first_tile(grid).job_id, 1)
    assert params.seed != 5


async def test_with_remix_on_image_buttons_open_the_modal(harness):
    async with harness.bot() as services:
        await services.db.preferences.update(harness.ada.id, remix=True)
        picked = await pick_image(harness)
        for label, words in (("Vary (Subtle)", "an owl"), ("Zoom Out 2×", "a hen"), ("⬅️", "an eel")):
            pressed = await harness.person(harness.ada).press(picked, label)
            await harness.person(harness.ada).submit_modal(pressed, prompt=f"{words} --seed 9")
            result = await harness.result(text=words)
            params = (await load_record(services, result)).job.params
            assert params.seed == 9
            assert params.source == first_tile(picked)
            assert (params.frame is None) == (label == "Vary (Subtle)")
            assert ("Remix (Subtle) by" in result.content) == (label == "Vary (Subtle)")


@pytest.mark.parametrize(("how_far", "says"), [(None, "Remix (Strong) by"), ("remix_subtle", "Remix (Subtle) by")])
async def test_the_remix_button_asks_for_the_strength(harness, how_far, says):
    async with harness.bot():
        pressed = await harness.person(harness.ben).press(await pick_image(harness), "Remix")
        more = {"how_far": how_far} if how_far else {}
        await harness.person(harness.ben).submit_modal(pressed, prompt="an owl --ar 2:1", **more)
        result = await harness.result(text=says)
    assert open_image(harness.server, result).size == (176, 96)
    assert f"after a picture by <@{harness.ada.id}>" in result.content


async def test_preferences_are_not_added_to_an_edited_prompt(harness):
    async with harness.bot() as services:
        picked = await pick_image(harness)
        await services.db.preferences.update(harness.ada.id, suffix="--ar 2:1")
        pressed = await harness.person(harness.ada).press(picked, "Remix")
        await harness.person(harness.ada).submit_modal(pressed, prompt="an owl")
        assert open_image(harness.server, await harness.result(text="an owl")).size == (128, 128)


async def test_a_refused_remix_keeps_its_prompt_and_its_image(harness):
    async with harness.bot():
        picked = await pick_image(harness)
        pressed = await harness.person(harness.ada).press(picked, "Remix")
        sent = await harness.person(harness.ada).submit_modal(
            pressed, prompt="an owl --aspct 2:1 --repeat 2", how_far="remix_subtle"
        )
        refusal = await sent.message()
        assert refusal.ephemeral
        assert "```\nan owl --aspct 2:1 --repeat 2\n```" in refusal.content
    async with harness.bot():
        pressed = await harness.person(harness.ada).press(refusal, "Edit and retry")
        await harness.person(harness.ada).submit_modal(pressed, prompt="an owl")
        result = await harness.result(text="Remix (Subtle) by")
    assert result.reference["message_id"] == str(picked.id)


@pytest.mark.parametrize(
    ("words", "says"),
    [("--repeat 2", "--repeat"), ("--iw 2", "in this form"), ("https://a.example/b.png", "Links")],
)
async def test_parameters_that_a_remix_cannot_use_are_refused(harness, words, says):
    async with harness.bot():
        pressed = await harness.person(harness.ada).press(await pick_image(harness), "Remix")
        prompt = f"{words} owl" if words.startswith("http") else f"owl {words}"
        assert (
            says in (await (await harness.person(harness.ada).submit_modal(pressed, prompt=prompt)).message()).content
        )


async def test_a_remix_is_filmed_if_its_prompt_says_so(harness):
    async with harness.bot() as services:
        ada = harness.person(harness.ada)
        await services.db.preferences.update(harness.ada.id, remix=True)
        pressed = await ada.press(await generate_grid(harness, "a fox --video"), "V2")
        assert modal_prompt(await pressed.modal()) == "a fox"
        await ada.submit_modal(pressed, prompt="an owl --video")
        assert (await load_record(services, await harness.result(text="an owl"))).job.params.video


async def test_a_variation_is_drawn_again_with_another_shape_and_size(harness):
    async with harness.bot() as services:
        ada = harness.person(harness.ada)
        grid = await generate_grid(harness, "a fox --ar 2:1 --draft")
        await ada.press(grid, "V2")
        varied = await harness.result(text="Variations (Strong) by")
        await services.db.preferences.update(harness.ada.id, remix=True)
        pressed = await ada.press(varied, "🔄")
        assert modal_prompt(await pressed.modal()) == "a fox --ar 2:1 --draft"
        await ada.submit_modal(pressed, prompt="a fox")
        params = (await load_record(services, await harness.result(text="Rerolled by"))).job.params
    assert (params.aspect, params.width, params.height, params.draft) == ((1, 1), 64, 64, False)
    assert (params.source, params.strength, params.count) == (Tile(first_tile(grid).job_id, 1), 0.75, 4)


async def test_low_variation_makes_v_subtle(harness):
    async with harness.bot() as services:
        await services.db.preferences.update(harness.ada.id, high_variation=False)
        grid = await generate_grid(harness)
        await harness.person(harness.ada).press(grid, "V1")
        await harness.result(text="Variations (Subtle) by")
        assert button_style(grid, "V1") == 1


async def test_a_reroll_keeps_the_uploaded_image(harness):
    async with harness.bot() as services:
        await services.db.preferences.update(harness.ada.id, remix=True)
        await harness.imagine("a fox --iw 2", image=UploadedFile("red.png", red_png(300, 300)))
        pressed = await harness.person(harness.ada).press(await harness.result(), "V1")  # starts from that picture
        assert modal_prompt(await pressed.modal()) == "a fox"
        pressed = await harness.person(harness.ada).press(await harness.result(), "🔄")
        assert modal_prompt(await pressed.modal()) == "a fox --iw 2"
        await harness.person(harness.ada).submit_modal(pressed, prompt="an owl --iw 3")
        params = (await load_record(services, await harness.result(text="an owl"))).job.params
    assert params.source is not None
    assert params.strength < 0.3


async def custom_zoom(harness, message, prompt):
    pressed = await harness.person(harness.ada).press(message, "Custom Zoom")
    return pressed, await harness.person(harness.ada).submit_modal(pressed, prompt=prompt)


@pytest.mark.parametrize(
    ("typed", "size", "width"),
    [
        ("a fox --ar 1:1 --zoom 1.6", (128, 128), 40),
        ("a fox —zoom 2", (128, 128), 32),
        ("a fox --ar 2:1 --zoom 1", (256, 128), 64),
        ("a fox", (128, 128), 32),
    ],
)
async def test_a_custom_zoom_uses_the_typed_factor_and_ratio(harness, typed, size, width):
    async with harness.bot() as services:
        picked = await pick_image(harness)
        pressed, _ = await custom_zoom(harness, picked, typed)
        modal = await pressed.modal()
        assert modal_prompt(modal) == "a fox --ar 1:1 --zoom 2"
        assert "1 to 2" in modal["components"][0]["description"]
        result = await harness.result(text="Zoom Out by")
        params = (await load_record(services, result)).job.params
    assert open_image(harness.server, result).size == size
    assert params.frame.width == width
    assert "zoom" not in result.content


async def test_an_invalid_zoom_is_refused_with_its_prompt(harness):
    async with harness.bot():
        picked = await pick_image(harness)
        for typed, says in (
            ("a fox --zoom much", "`--zoom`"),
            ("a fox --zoom 3", "between 1 and 2"),
            ("a fox --zoom nan", "between 1 and 2"),
            ("a fox --zoom 1.5 --zoom 2", "more than once"),
            ("a fox --ar 1:1 --zoom 1", "nothing to draw around"),
            ("a fox --steps 1000 --zoom 2", "`--steps`"),
        ):
            _, sent = await custom_zoom(harness, picked, typed)
            refusal = await sent.message()
            assert refusal.ephemeral
            assert says in refusal.content
            pressed = await harness.person(harness.ada).press(refusal, "Edit and retry")
            assert modal_prompt(await pressed.modal()) == typed


async def test_a_long_panorama_is_remixed_in_its_own_aspect_ratio(harness):
    async with harness.bot():
        newest = await pick_image(harness, "a fox --ar 3:1")
        for _ in range(2):
            before = len(harness.results())
            await harness.person(harness.ada).press(newest, "➡️")
            await harness.server.wait_until(lambda before=before: len(harness.results()) == before + 1)
            await harness.person(harness.ada).press(harness.results()[-1], "U1")
            await harness.server.wait_until(lambda before=before: len(harness.results()) == before + 2)
            newest = harness.results()[-1]
        pressed = await harness.person(harness.ada).press(newest, "Remix")
        await harness.person(harness.ada).submit_modal(pressed, prompt="an owl")
        size = open_image(harness.server, await harness.result(text="an owl")).size
    assert size[0] > 4 * size[1]


async def test_a_prompt_too_long_for_the_modal_is_varied_unchanged(harness):
    async with harness.bot() as services:
        await services.db.preferences.update(harness.ada.id, remix=True)
        grid = await generate_grid(harness, "fox " * 1100)
        await harness.person(harness.ada).press(grid, "V1")
        await harness.result(text="Variations (Strong)")
        await harness.person(harness.ada).press(grid, "U1")
        picked = await harness.result(text="Image #1")
        refused = await (await harness.person(harness.ada).press(picked, "Remix")).message()
        assert refused.ephemeral
        assert "4000 characters" in refused.content
        question = await (await harness.person(harness.ada).press(picked, "Vary (Region)")).message()
        assert modal_prompt(await (await harness.person(harness.ada).press(question, "Continue")).modal()) == ""


async def test_remix_mixes_another_idea_into_the_picture(harness):
    async with harness.bot() as services:
        picture = await pick_image(harness)
        pressed = await harness.person(harness.ada).press(picture, "Remix")
        await harness.person(harness.ada).submit_modal(pressed, prompt="a fox --mix a coffee machine --keep 70")
        grid = await harness.result(text="Remix (Strong)")
        params = (await load_record(services, grid)).job.params
        assert (params.mix, params.mix_keep, params.source) == ("a coffee machine", 70, first_tile(picture))
        await harness.person(harness.ada).press(grid, "U2")
        mixed = await harness.result(text="Image #2")
        assert "Edit words" not in mixed.labels
        pressed = await harness.person(harness.ada).press(mixed, "Remix")
        assert modal_prompt(await pressed.modal()) == "a fox --mix a coffee machine --keep 70"
        await harness.person(harness.ada).submit_modal(pressed, prompt="a wolf --mix a coffee machine --keep 70")
        varied = (await load_record(services, await harness.result(text="a wolf"))).job.params
    assert (params.strength, varied.strength, varied.mix) == (0.9, 0.75, "a coffee machine")
