"""--colour: a grey picture gets colours, by prompt, menu or remix."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from generation.params import Tile
from generation.planning.colouring import DEFAULT_WORDS
from preview import UploadedFile
from tests.cogs.config.test_config_commands import run_config
from tests.cogs.test_context_menus import use_menu
from tests.cogs.test_prompt_modal import modal_prompt
from tests.cogs.test_styles import params_of
from tests.support.bot_harness import first_tile


def grey_picture():
    file = io.BytesIO()
    Image.fromarray(np.tile(np.arange(150, dtype=np.uint8), (100, 1))).save(file, "PNG")
    return UploadedFile("grey.png", file.getvalue())


async def colour_from(harness, message, prompt="", user=None):
    asked = await use_menu(harness, "Use this picture…", message, user)
    await asked.modal()
    return await harness.person(user or harness.ada).submit_modal(asked, purpose="colour", prompt=prompt)


async def test_the_menu_colours_a_picture_in_its_shape_without_words(harness):
    async with harness.bot() as services:
        message = await harness.person(harness.ben).send(harness.channel, "look", grey_picture())
        await colour_from(harness, message)
        grid = await harness.result(text="--colour")
        params = await params_of(services, grid)
        await harness.person(harness.ada).press(grid, "🔄")
        again = await params_of(services, await harness.result(text="Rerolled by"))
        await harness.person(harness.ada).press(grid, "V2")
        varied = await params_of(services, await harness.result(text="Variations (Strong) by"))
        await harness.person(harness.ada).press(grid, "U1")
        picture = await harness.result(text="Image #1")
        await harness.person(harness.ada).press(picture, "Zoom Out 2×")
        zoomed = await params_of(services, await harness.result(text="Zoom"))
    assert (params.colourise, params.aspect, params.strength) == (True, (3, 2), 0.75)
    assert (again.colourise, again.source) == (True, params.source)
    assert (varied.colourise, varied.source) == (True, Tile(first_tile(grid).job_id, 1))
    assert (zoomed.colourise, zoomed.parts[0].text) == (False, DEFAULT_WORDS)


async def test_a_result_is_coloured_by_the_menu_and_in_its_family(harness):
    async with harness.bot() as services:
        await harness.imagine("a fox, black and white --ar 2:1")
        grid = await harness.result()
        await colour_from(harness, grid, "a red fox --ar 2:1", harness.ben)
        coloured = await harness.result(text="a red fox")
        params = await params_of(services, coloured)
        (edge,) = await services.db.lineage.parents([first_tile(coloured).job_id])
    assert (params.colourise, params.source, params.strength) == (True, first_tile(grid), 0.75)
    assert edge.parent_job == first_tile(grid).job_id


async def test_a_picture_that_was_drawn_grey_has_a_button_for_it(harness):
    async with harness.bot() as services:
        ada = harness.person(harness.ada)
        await harness.imagine("a fox, black and white --ar 2:1")
        await ada.press(await harness.result(), "U3")
        picture = await harness.result(text="Image #3")
        await ada.press(picture, "Colour")
        grid = await harness.result(text="Coloured by")
        params = await params_of(services, grid)
        await ada.press(grid, "U1")
        assert "Colour" not in (await harness.result(text="Image #1")).labels
    assert params.parts[0].text == "a fox"
    assert (params.colourise, params.strength, params.aspect) == (True, 0.75, (2, 1))
    assert params.source == Tile(first_tile(picture).job_id, 0)


async def test_with_remix_its_words_can_say_which_colours(harness):
    async with harness.bot() as services:
        ada = harness.person(harness.ada)
        await services.db.preferences.update(harness.ada.id, remix=True)
        await harness.imagine("a fox, black and white")
        await ada.press(await harness.result(), "U1")
        pressed = await ada.press(await harness.result(text="Image #1"), "Colour")
        assert modal_prompt(await pressed.modal()) == "a fox --colour"
        await ada.submit_modal(pressed, prompt="a red fox --colour")
        params = await params_of(services, await harness.result(text="a red fox --colour"))
    assert (params.colourise, params.strength) == (True, 0.75)
    assert params.parts[0].text == "a red fox"


async def test_remix_colours_a_picture_and_edit_words_keeps_its_lightness(harness):
    async with harness.bot() as services:
        await harness.imagine("a fox")
        await harness.person(harness.ada).press(await harness.result(), "U1")
        pressed = await harness.person(harness.ada).press(await harness.result(text="Image #1"), "Remix")
        await harness.person(harness.ada).submit_modal(pressed, prompt="a red fox --colour")
        await harness.person(harness.ada).press(await harness.result(text="a red fox"), "U2")
        pressed = await harness.person(harness.ada).press(await harness.result(text="Image #2"), "Edit words")
        assert modal_prompt(await pressed.modal()) == "a red fox --colour --hold"
        await harness.person(harness.ada).submit_modal(pressed, prompt="a blue fox --colour --hold")
        edited = await params_of(services, await harness.result(text="Words edited by"))
    assert edited.colourise and edited.hold
    assert edited.parts[0].texts == ("a red fox", "a blue fox")


async def test_the_words_are_checked_and_a_picture_is_needed(harness):
    async with harness.bot():
        answer = await (await harness.imagine("a fox --colour")).message()
        assert "without a picture" in answer.content
        await run_config(harness, "words block", words="pumpkin")
        message = await harness.person(harness.ben).send(harness.channel, "look", grey_picture())
        refused = await (await colour_from(harness, message, "a pumpkin")).message()
    assert "do not allow" in refused.content
    assert "a pumpkin --colour --ar 3:2" in refused.content
