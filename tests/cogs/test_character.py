"""--cref, and pictures as a prompt by IP-Adapters: by option, link, menu or code, and what buttons keep."""

from __future__ import annotations

import re

import pytest

from generation.params import Upload
from preview import UploadedFile
from tests.cogs.test_context_menus import use_menu
from tests.cogs.test_privacy import delete_everything
from tests.cogs.test_prompt_modal import modal_prompt
from tests.cogs.test_stealth import wait_for_private_result
from tests.support.bot_harness import eventually, make_model, params_of, red_png, refusal
from tests.support.image_adapter_headers import plain, plus, write, write_encoder


@pytest.fixture
def settings(harness):
    """Return a model of 1.x, and two IP-Adapters for it."""
    folder = harness.folder / "images"
    write_encoder(folder / "image_encoder")
    write(folder / "ip-adapter_sd15.safetensors", plain())
    write(folder / "ip-adapter-plus-face_sd15.safetensors", plus())
    model = make_model(harness.folder / "first", name="First")
    (harness.folder / "first" / "unet").mkdir()
    (harness.folder / "first" / "unet" / "config.json").write_text('{"cross_attention_dim": 768}')
    return {"models": (model,), "image_adapters": folder}


def picture(side=80):
    return UploadedFile("mira.png", red_png(side, side))


def code_of(message):
    return re.search(r"--cref ([0-9a-f]{6})\b", message.content)[1]


async def details(harness, grid, number=1):
    ada = harness.person(harness.ada)
    await ada.press(grid, f"U{number}")
    single = await harness.result(text=f"Image #{number}")
    return (await (await ada.press(single, "Details")).message()).content


async def test_an_attached_character_is_drawn_and_kept_by_buttons_and_remixes(harness, settings):
    async with harness.bot(**settings) as services:
        await harness.imagine("a queen --cw 60", character=picture())
        grid = await harness.result(text="a queen --cref")
        params, ada = await params_of(services, grid), harness.person(harness.ada)
        assert grid.embeds[0]["description"] == "-# With the character of"
        assert (params.character_code, params.character_weight) == (code_of(grid), 60)
        assert params.character_adapter == "ip-adapter-plus-face_sd15" and params.source is None
        assert "character by ip-adapter-plus-face\\_sd15" in await details(harness, grid)
        await ada.press(grid, "🔄")
        again = await params_of(services, await harness.result(text="Rerolled"))
        await ada.press(grid, "V2")
        varied = await params_of(services, await harness.result(text="Variations"))
        await ada.press(await harness.result(text="Image #1"), "Zoom Out 2×")
        zoomed = await params_of(services, await harness.result(text="Zoom Out"))
        for child in (again, varied, zoomed):
            assert (child.character, child.character_adapter) == (params.character, params.character_adapter)
        asked = await use_menu(harness, "Remix this", grid, harness.ben)
        assert modal_prompt(await asked.modal()) == f"a queen --cref {code_of(grid)} --cw 60"
        await harness.person(harness.ben).submit_modal(asked, prompt=f"a king --cref {code_of(grid)}")
        remixed = await params_of(services, await harness.result(text="a king"))
        assert (remixed.character, remixed.character_weight) == (params.character, 100)


async def test_a_picture_in_front_of_the_text_is_a_prompt_and_stays_one(harness, settings):
    async with harness.bot(**settings) as services:
        await harness.imagine("a queen --iw 2", image=picture())
        grid = await harness.result(text="a queen --iw 2")
        params, ada = await params_of(services, grid), harness.person(harness.ada)
        assert isinstance(params.image_prompts[0], Upload) and params.source is None
        assert (params.image_adapter, params.image_weight) == ("ip-adapter_sd15", 2)
        assert grid.embeds[0]["description"] == "-# Drawn from"
        assert "picture as a prompt by ip-adapter\\_sd15" in await details(harness, grid)
        await ada.press(grid, "V1")
        varied = await harness.result(text="Variations")
        assert (await params_of(services, varied)).image_prompts == params.image_prompts
        asked = await use_menu(harness, "Remix this", varied, harness.ben)
        await harness.person(harness.ben).submit_modal(asked, prompt="a king --iw 0.5")
        remixed = await params_of(services, await harness.result(text="a king"))
        assert (remixed.image_prompts, remixed.image_weight) == (params.image_prompts, 0.5)
        assert remixed.source is not None
        owners = [(await services.db.personal_data.summary(each.id)).uploads for each in (harness.ada, harness.ben)]
    assert owners == [1, 0]
    async with harness.bot(**settings | {"image_adapters": None}) as services:
        answer = await (await harness.person(harness.ada).press(grid, "🔄")).message()
        assert "the IP-Adapter ip-adapter_sd15, which is no longer installed." in answer.content
        await harness.imagine("a knight", image=picture())
        started = await harness.result(text="a knight")
        assert (await params_of(services, started)).source is not None
        assert "starts from the picture (img2img)" in await details(harness, started, 2)


async def test_a_model_for_edits_changes_the_picture_that_was_a_prompt(harness, settings):
    editor = make_model(harness.folder / "editor", name="Editor")
    (harness.folder / "editor" / "unet").mkdir()
    (harness.folder / "editor" / "unet" / "config.json").write_text('{"cross_attention_dim": 768, "in_channels": 8}')
    async with harness.bot(**settings | {"models": (*settings["models"], editor)}) as services:
        await harness.imagine("a queen", image=picture())
        grid = await harness.result(text="a queen")
        asked = await use_menu(harness, "Remix this", grid, harness.ada)
        await harness.person(harness.ada).submit_modal(asked, prompt="make it winter --model Editor")
        edited = await params_of(services, await harness.result(text="make it winter"))
        assert (edited.original,) == (await params_of(services, grid)).image_prompts
        assert (edited.source, edited.image_prompts) == (None, ())


async def test_codes_are_shared_where_they_are_public_and_random_never_draws_them(harness, settings):
    async with harness.bot(**settings) as services:
        await harness.imagine("a queen", character=picture())
        first = await harness.result(text="a queen")
        assert "There is no style here yet" in await refusal(harness, "an owl --sref random")
        await harness.imagine(f"an owl --cref {code_of(first)}", harness.ben)
        second = await harness.result(text="an owl")
        assert (await params_of(services, second)).character == (await params_of(services, first)).character
        owners = [(await services.db.personal_data.summary(each.id)).uploads for each in (harness.ada, harness.ben)]
        assert owners == [1, 0]
        await harness.imagine("a secret --stealth", character=picture(90))
        code = code_of(await wait_for_private_result(harness, harness.ada, "a secret"))
        answer = await refusal(harness, f"a dog --cref {code}", harness.ben)
        assert f"There is no picture `{code}` that you can use here" in answer


async def test_the_menu_takes_a_character_and_its_picture_is_erased_with_its_person(harness, settings):
    async with harness.bot(**settings) as services:
        message = await harness.person(harness.ben).send(harness.channel, "look", picture())
        asked = await use_menu(harness, "Use this picture…", message)
        await asked.modal()
        await harness.person(harness.ada).submit_modal(asked, purpose="character", prompt="a fox")
        grid = await harness.result(text="a fox --cref")
        params, files = await params_of(services, grid), services.images.files
        assert files.path(params.character).exists()
        await delete_everything(harness)
        await eventually(lambda: not files.path(params.character).exists())
        assert await services.db.styles.find(code_of(grid), harness.ada.id, harness.guild.id) == []


async def test_a_server_without_adapters_refuses_a_character(harness, settings):
    async with harness.bot(**settings | {"image_adapters": None}):
        answer = await refusal(harness, "a queen", character=picture())
        assert "Cannot use `--cref`: no IP-Adapter is installed for First" in answer
        assert re.search(r"a queen --cref [0-9a-f]{6}", answer)  # and it is kept


async def test_a_canvas_shows_no_character_and_goes_without_a_preferred_one(harness, settings):
    async with harness.bot(**settings):
        await harness.imagine("a queen", character=picture())
        theme, ada = f"a sea --cref {code_of(await harness.result(text='a queen'))}", harness.person(harness.ada)
        refused = await (await ada.command("canvas start", harness.channel, theme=theme)).message()
        assert refused.ephemeral and "leave out `--cref`, or add `--cw 0`" in refused.content
        started = await ada.command("canvas start", harness.channel, theme=f"{theme} --cw 0")
        assert not (await started.message()).ephemeral
