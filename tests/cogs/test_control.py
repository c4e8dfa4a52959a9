"""--control: ControlNets and the picture that they read, by option, link, menu or code."""

from __future__ import annotations

import re

import numpy as np
import pytest
from safetensors.numpy import save_file

from generation.params import ControlWeight
from preview import UploadedFile
from tests.cogs.test_context_menus import use_menu
from tests.cogs.test_privacy import delete_everything
from tests.cogs.test_prompt_modal import modal_prompt
from tests.cogs.test_stealth import wait_for_private_result
from tests.generation.models.files.test_controls import DIFFUSERS
from tests.support.bot_harness import eventually, first_tile, make_model, params_of, red_png, refusal


def write_control(folder, name, width=768):
    attention = next(key for key in DIFFUSERS if "attn2" in key)
    shapes = DIFFUSERS | {attention: (8, width)}
    folder.mkdir(exist_ok=True)
    save_file({key: np.zeros(shape, np.float16) for key, shape in shapes.items()}, folder / f"{name}.safetensors")


@pytest.fixture
def settings(harness):
    """Return a model of 1.x, two ControlNets for it, and one for XL."""
    folder = harness.folder / "controls"
    for name, width in (("control_sd15_canny", 768), ("control_sd15_depth", 768), ("control_xl_pose", 2048)):
        write_control(folder, name, width)
    model = make_model(harness.folder / "first", name="First")
    (harness.folder / "first" / "unet").mkdir()
    (harness.folder / "first" / "unet" / "config.json").write_text('{"cross_attention_dim": 768}')
    return {"models": (model,), "controls": folder}


def picture(side=80):
    return UploadedFile("house.png", red_png(side, side))


def code_of(message):
    return re.search(r"--control \S+ ([0-9a-f]{6})\b", message.content)[1]


async def test_an_attached_picture_is_read_by_the_named_controlnet(harness, settings):
    async with harness.bot(**settings) as services:
        await harness.imagine("a house", control=picture(), controlnet="depth:0.8")
        grid = await harness.result(text="a house --control depth:0.8")
        params = await params_of(services, grid)
        assert grid.embeds[0]["description"] == "-# Drawn over"
    assert params.controls == (ControlWeight("depth", 0.8),)
    assert (params.control_code, params.source) == (code_of(grid), None)


async def test_a_picture_alone_is_read_by_the_one_that_takes_any_picture(harness, settings):
    async with harness.bot(**settings) as services:
        await harness.imagine("a house", control=picture())
        params = await params_of(services, await harness.result(text="a house --control canny"))
    assert params.controls == (ControlWeight("canny"),)


async def test_buttons_keep_it_except_where_the_canvas_grows(harness, settings):
    async with harness.bot(**settings) as services:
        await harness.imagine("a house --control canny:0.8", control=picture())
        grid = await harness.result()
        parent, ada = await params_of(services, grid), harness.person(harness.ada)
        await ada.press(grid, "🔄")
        again = await params_of(services, await harness.result(text="Rerolled"))
        assert (again.controls, again.control) == (parent.controls, parent.control)
        await ada.press(grid, "V2")
        varied = await params_of(services, await harness.result(text="Variations"))
        assert (varied.controls, varied.control) == (parent.controls, parent.control)
        await ada.press(grid, "U1")
        single = await harness.result(text="Image #1")
        await ada.press(single, "Zoom Out 2×")
        zoomed = await params_of(services, await harness.result(text="Zoom Out"))
        assert (zoomed.controls, zoomed.control, zoomed.control_code) == ((), None, "")


async def test_names_are_completed_and_those_that_need_a_map_say_so(harness, settings):
    async with harness.bot(**settings):
        ada = harness.person(harness.ada)

        async def offered(typed):
            choices = await ada.autocomplete("imagine", harness.channel, "controlnet", typed)
            return {each["value"]: each["name"] for each in choices}

        assert await offered("") == {"canny": "canny", "depth": "depth · takes a finished map"}
        assert list(await offered("canny:0.5, de")) == ["canny:0.5, depth"]
        assert await offered("pose") == {}


async def test_the_code_can_be_used_by_others_where_it_is_public_and_random_never_draws_it(harness, settings):
    async with harness.bot(**settings) as services:
        await harness.imagine("a house --control canny", control=picture())
        first = await harness.result()
        code = code_of(first)
        assert "There is no style here yet" in await refusal(harness, "an owl --sref random")
        await harness.imagine(f"an owl --control depth:0.5 {code}", harness.ben)
        second = await harness.result(text="an owl")
        assert (await params_of(services, second)).control == (await params_of(services, first)).control
        owners = [(await services.db.personal_data.summary(each.id)).uploads for each in (harness.ada, harness.ben)]
    assert owners == [1, 0]


async def test_a_private_picture_is_refused_to_others(harness, settings):
    async with harness.bot(**settings):
        await harness.imagine("a house --stealth", control=picture())
        code = code_of(await wait_for_private_result(harness, harness.ada, "a house"))
        answer = await refusal(harness, f"an owl --control canny {code}", harness.ben)
        assert f"There is no picture `{code}` that you can use here" in answer


async def test_the_menu_lets_a_controlnet_read_any_picture(harness, settings):
    async with harness.bot(**settings) as services:
        message = await harness.person(harness.ben).send(harness.channel, "look", picture())
        asked = await use_menu(harness, "Use this picture…", message)
        await asked.modal()
        await harness.person(harness.ada).submit_modal(asked, purpose="control", prompt="a fox --control depth:0.5")
        params = await params_of(services, await harness.result(text="a fox --control"))
    assert params.source is None and params.control is not None
    assert params.controls == (ControlWeight("depth", 0.5),)


async def test_a_remix_keeps_the_picture_or_takes_another(harness, settings):
    async with harness.bot(**settings) as services:
        await harness.imagine("a house --control canny", control=picture())
        first = await harness.result()
        await harness.imagine("a cat --control canny", control=picture(90))
        other = code_of(await harness.result(text="a cat"))
        for prompt, code in (
            (f"an owl --control depth {code_of(first)}", code_of(first)),
            (f"a dog --control canny {other}", other),
        ):
            asked = await use_menu(harness, "Remix this", first, harness.ben)
            assert modal_prompt(await asked.modal()) == f"a house --control canny {code_of(first)}"
            await harness.person(harness.ben).submit_modal(asked, prompt=prompt)
            result = await harness.result(text=prompt)
            assert code_of(result) == code
            assert (await params_of(services, result)).control is not None


async def test_a_refused_prompt_keeps_its_attached_picture(harness, settings):
    async with harness.bot(**settings):
        asked = await harness.imagine("a house --nonsense", control=picture())
        answer = await asked.message()
        assert re.search(r"a house --nonsense --control [0-9a-f]{6}", answer.content)


async def test_a_waiting_job_is_drawn_along_its_picture_after_a_restart(harness, settings):
    async with harness.bot(**settings):
        await harness.imagine("a slow house --control canny", control=picture())
        await harness.status_message("a slow house")
    (harness.folder / "first" / "go").touch()
    async with harness.bot(**settings) as services:
        params = await params_of(services, await harness.result(text="a slow house --control canny"))
    assert params.control is not None


async def test_the_picture_of_an_erased_person_is_deleted(harness, settings):
    async with harness.bot(**settings) as services:
        await harness.imagine("a house --control canny", control=picture())
        grid = await harness.result()
        params, files = await params_of(services, grid), services.images.files
        assert files.path(params.control).exists()
        await delete_everything(harness)
        await eventually(lambda: not files.path(params.control).exists())
        assert await services.db.styles.find(code_of(grid), harness.ada.id, harness.guild.id) == []


async def test_a_deleted_picture_is_named_and_images_drawn_with_it_can_still_be_enlarged(harness, settings):
    async with harness.bot(**settings) as services:
        await harness.imagine("a house")
        followed = await harness.result(text="a house")
        asked = await use_menu(harness, "Use this picture…", followed, harness.ben)
        await asked.modal()
        ben = harness.person(harness.ben)
        await ben.submit_modal(asked, purpose="control", prompt="a fox --control canny")
        grid = await harness.result(text="a fox --control canny")
        assert (await params_of(services, grid)).control == first_tile(followed)
        await ben.press(grid, "U1")
        single = await harness.result(text="Image #1")
        await delete_everything(harness)
        await eventually(lambda: not services.images.files.path(first_tile(followed)).exists())
        await ben.press(grid, "🔄")
        await harness.status_message(f"The picture `{code_of(grid)}` is not kept any more.")
        await ben.press(single, "Upscale (Subtle)")
        await harness.result(text="Upscaled (Subtle)")


async def test_images_of_a_removed_controlnet_are_refused_with_the_reason(harness, settings):
    async with harness.bot(**settings):
        await harness.imagine("a house --control canny", control=picture())
        grid = await harness.result()
    async with harness.bot(**settings | {"controls": None}):
        answer = await (await harness.person(harness.ada).press(grid, "🔄")).message()
        assert "This was drawn with the ControlNet canny, which is no longer installed." in answer.content


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        ("a house --control canny", "`--control` needs a picture"),
        ("a house --control pose abcdef", "Cannot use the ControlNet `pose` with First"),
        ("a house --control canny abcdef", "There is no picture `abcdef` that you can use here"),
        ("a house --control canny https://x.test/page", "is not a direct link to a picture"),
    ],
)
async def test_what_cannot_be_read_is_refused_in_words(harness, settings, prompt, says):
    async with harness.bot(**settings):
        assert says in await refusal(harness, prompt)


async def test_without_controlnets_a_picture_is_refused(harness):
    async with harness.bot():
        assert "no ControlNet is installed for" in await refusal(harness, "a house", control=picture())


async def test_a_canvas_follows_no_picture(harness, settings):
    async with harness.bot(**settings):
        theme = "a sea --control canny abcdef"
        started = await harness.person(harness.ada).command("canvas start", harness.channel, theme=theme)
        answer = await started.message()
    assert answer.ephemeral and "would follow the whole picture: leave out `--control`" in answer.content
