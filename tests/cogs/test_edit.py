"""/edit: a picture changed as words say, by command, menu or prompt."""

from __future__ import annotations

import io
import shutil

import pytest
from PIL import Image

from db.lineage import Edge
from generation.job import Action
from generation.params import Tile, Upload
from preview import UploadedFile
from tests.cogs.config.test_config_commands import run_config
from tests.cogs.image_buttons.test_remix import load_record
from tests.cogs.test_context_menus import use_menu
from tests.cogs.test_prompt_modal import modal_prompt
from tests.support.bot_harness import eventually, first_tile, make_model


@pytest.fixture
def settings(harness):
    """Return a model that draws from words, and one that changes pictures."""
    folder = harness.folder / "editor"
    editor = make_model(folder, name="Editor")
    (folder / "unet").mkdir()
    (folder / "unet" / "config.json").write_text('{"cross_attention_dim": 768, "in_channels": 8}')
    return {"models": (make_model(harness.folder / "first", name="First"), editor)}


def wide_picture():
    file = io.BytesIO()
    Image.new("RGB", (90, 60), "red").save(file, "PNG")
    return UploadedFile("hills.png", file.getvalue())


async def edit(harness, instruction="make it winter", **more):
    return await harness.person(harness.ada).command("edit", harness.channel, instruction=instruction, **more)


async def edit_from_menu(harness, message, instruction):
    asked = await use_menu(harness, "Use this picture…", message, harness.ada)
    await asked.modal()
    return await harness.person(harness.ada).submit_modal(asked, purpose="edit", prompt=instruction)


async def params_of(services, message):
    return (await load_record(services, message)).job.params


async def test_an_attached_picture_is_changed_in_its_shape_by_the_first_model_for_edits(harness, settings):
    async with harness.bot(**settings) as services:
        await edit(harness, picture=wide_picture())
        result = await harness.result()
        job = (await load_record(services, result)).job
    assert result.content == f"**make it winter --ar 3:2 --model Editor** - Edited by <@{harness.ada.id}>"
    params = job.params
    assert (job.action, job.parent, params.aspect) == (Action.EDIT, None, (3, 2))
    assert isinstance(params.original, Upload)
    assert (params.source, params.strength, params.image_guidance) == (None, 1.0, 1.5)
    assert result.embeds[0]["description"] == "-# Changed from"


async def test_rerolls_and_variations_of_an_edit_keep_its_picture(harness, settings):
    async with harness.bot(**settings) as services:
        await edit(harness, "make it winter --iw 2", picture=wide_picture())
        grid = await harness.result()
        original = (await params_of(services, grid)).original
        ada = harness.person(harness.ada)
        await ada.press(grid, "🔄")
        again = await params_of(services, await harness.result(text="Rerolled by"))
        await ada.press(grid, "V2")
        varied = await params_of(services, await harness.result(text="Variations (Strong) by"))
        await ada.press(grid, "U1")
        picture = await harness.result(text="Image #1")
        pressed = await ada.press(picture, "Remix")
        assert modal_prompt(await pressed.modal()) == "make it winter --ar 3:2 --iw 2 --model Editor"
        await ada.submit_modal(pressed, prompt="make it spring --ar 3:2 --iw 0.5 --model Editor")
        remixed = await params_of(services, await harness.result(text="Remix (Strong) by"))
        await ada.submit_modal(await ada.press(picture, "Remix"), prompt="a hill --ar 3:2")
        drawn = await params_of(services, await harness.result(text="a hill"))
    assert (again.original, again.source, again.image_guidance) == (original, None, 2.0)
    assert (varied.original, varied.source) == (original, Tile(first_tile(grid).job_id, 1))
    assert (remixed.original, remixed.source, remixed.image_guidance) == (original, first_tile(picture), 1.25)
    assert (drawn.original, drawn.source, drawn.model) == (None, first_tile(picture), "First")
    assert not {"Zoom Out 2×", "Vary (Region)", "Walk"} & {*picture.labels, *grid.labels}


async def test_a_link_before_the_instruction_names_the_picture(harness, settings):
    posted = await harness.person(harness.ben).send(harness.channel, "look", wide_picture())
    address = harness.server.core.cdn_url(posted.attachments[0])
    async with harness.bot(**settings) as services:
        await edit(harness, f"{address} make it winter --ar 1:1")
        params = await params_of(services, await harness.result())
    assert isinstance(params.original, Upload)
    assert params.aspect == (1, 1)


async def test_a_picture_that_was_drawn_here_is_changed_by_the_menu_and_in_its_family(harness, settings):
    async with harness.bot(**settings) as services:
        await harness.imagine("a fox --ar 3:2")
        drawn = first_tile(await harness.result())
        await services.db.preferences.update(harness.ada.id, suffix="--repeat 2")  # is left out of it
        asked = await edit_from_menu(harness, await harness.result(), "make it winter --iw 9")
        refused = await asked.message()
        assert "`--iw` must be" in refused.content
        retried = await harness.person(harness.ada).press(refused, "Edit and retry")
        assert modal_prompt(await retried.modal()) == "make it winter --iw 9"
        await harness.person(harness.ada).submit_modal(retried, prompt="make it winter --iw 3")
        result = await harness.result(text="Edited by")
        job = (await load_record(services, result)).job
        edges = await services.db.lineage.parents([job.id])
    assert (job.parent, job.params.original, job.params.aspect) == (drawn, drawn, (3, 2))
    assert job.params.image_guidance == 2.5
    assert edges == [Edge(child=job.id, parent_job=drawn.job_id, parent_index=0, kind="made")]


async def test_the_chosen_model_is_used_if_it_changes_pictures_and_needs_one(harness, settings):
    async with harness.bot(models=settings["models"][::-1]):
        refused = await (await harness.imagine("a fox")).message()
        assert "Editor edits pictures: give it one with `/edit`, and say what to change." in refused.content
        await edit(harness, picture=wide_picture())
        assert (await harness.result()).content.startswith("**make it winter --ar 3:2** - Edited by")


async def test_what_is_missing_for_an_edit_is_said_with_the_instruction(harness, settings):
    async with harness.bot(**settings):
        alone = await (await edit(harness)).message()
        other = await (await edit(harness, "make it winter --model First", picture=wide_picture())).message()
        assert not harness.public_messages()
    assert "Editor edits pictures" in alone.content
    assert "Cannot use `/edit` with First: it cannot change a picture as words say" in other.content
    for refused in (alone, other):
        assert "make it winter" in refused.content
        assert (refused.ephemeral, refused.labels) == (True, ["Edit and retry"])


async def test_several_edits_of_a_picture_are_asked_about_and_made(harness, settings):
    async with harness.bot(**settings) as services:
        question = await (await edit(harness, "make it {winter, spring}", picture=wide_picture())).message()
        await harness.person(harness.ada).press(question, "Draw all")
        made = [await params_of(services, await harness.result(text=text)) for text in ("winter", "spring")]
    assert isinstance(made[0].original, Upload)
    assert made[0].original == made[1].original
    assert [each.aspect for each in made] == [(3, 2), (3, 2)]


async def test_without_a_model_for_edits_it_is_said_what_to_install_and_what_else_there_is(harness):
    async with harness.bot():
        refused = await (await edit(harness, picture=wide_picture())).message()
        assert "Whoever runs this bot can add one to `MODEL`: InstructPix2Pix" in refused.content
        assert refused.labels == ["Edit and retry"]
        await harness.imagine("a fox")
        drawn = await harness.result()
        offered = await (await edit_from_menu(harness, drawn, "make it winter")).message()
        assert offered.labels == ["Edit words", "Edit and retry"]
        form = await (await harness.person(harness.ada).press(offered, "Edit words")).modal()
        assert modal_prompt(form).startswith("a fox")


async def test_without_a_model_for_edits_the_picture_comes_back_with_the_instruction(harness, settings):
    async with harness.bot():
        refused = await (await edit(harness, picture=wide_picture())).message()
        assert "make it winter" in refused.content
    async with harness.bot(**settings) as services:  # a model was added
        form = await harness.person(harness.ada).press(refused, "Edit and retry")
        await form.modal()
        await harness.person(harness.ada).submit_modal(form)
        assert isinstance((await params_of(services, await harness.result())).original, Upload)


async def test_without_a_model_for_edits_the_instruction_comes_back_whatever_is_attached(harness):
    async with harness.bot():
        refused = await (await edit(harness, picture=UploadedFile("hills.png", b"no picture"))).message()
    assert "Whoever runs this bot" in refused.content and "make it winter" in refused.content


async def test_of_several_models_for_edits_the_first_that_the_server_allows_is_used(harness, settings):
    first, editor = settings["models"]
    other = harness.folder / "other"
    make_model(other, name="Other")
    shutil.copytree(harness.folder / "editor" / "unet", other / "unet")
    async with harness.bot(models=(first, editor, str(other))):
        for name in ("First", "Other"):
            await run_config(harness, "models", add=name)
        await edit(harness, picture=wide_picture())
        assert "--model Other" in (await harness.result()).content
        await run_config(harness, "models", remove="Other")
        refused = await (await edit(harness, picture=wide_picture())).message()
    assert "allow First only, not Editor" in refused.content


async def test_a_form_that_comes_twice_is_one_job_and_leaves_no_response_open(harness, settings, monkeypatch):
    monkeypatch.setattr("bot.jobs.deferrals.MOMENT_S", 0.0)  # the link takes longer
    posted = await harness.person(harness.ben).send(harness.channel, "look", wide_picture())
    address, ada = harness.server.core.cdn_url(posted.attachments[0]), harness.person(harness.ada)
    async with harness.bot(**settings) as services:
        refused = await (await edit(harness, "make it winter")).message()
        form = await ada.press(refused, "Edit and retry")
        await form.modal()
        for _ in range(2):
            submitted = await ada.submit_modal(form, prompt=f"{address} a slow winter")
            await submitted.response()
            await eventually(lambda: not any(each.loading for each in harness.server.messages(harness.channel)))
        rows = await services.db.connection.fetch_all("SELECT id FROM jobs")
    assert len(rows) == 1
    assert submitted.answer.type == 5
    assert not submitted.messages
