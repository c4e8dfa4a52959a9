"""A bot with several models: selection, permissions and removed models."""

from __future__ import annotations

import pytest

from preview import UploadedFile
from tests.cogs.config.test_config_commands import run_config
from tests.cogs.image_buttons.test_remix import pick_image
from tests.cogs.test_prompt_modal import modal_prompt
from tests.support.bot_harness import first_tile, make_model, open_image, red_png

SMALL, LARGE = (128, 128), (192, 192)  # the grids of the two models


@pytest.fixture
def models(harness):
    """Return Painter, the default model, and Engraver, which draws larger images."""
    engraver = make_model(harness.folder / "engraver", name="Engraver", native_size=96, trigger_words="in copper")
    return str(harness.model), engraver


async def load_record(services, message):
    return await services.db.jobs.get(first_tile(message).job_id)


async def run_command(harness, command, user=None, **options):
    answer = await (await harness.person(user or harness.ada).command(command, harness.channel, **options)).message()
    return answer.content


def selected(message):
    menus = [part for row in message.components for part in row["components"] if part["type"] == 3]
    return [option["label"] for menu in menus for option in menu["options"] if option.get("default")]


async def test_a_prompt_names_its_model_and_derived_jobs_keep_it(harness, models):
    async with harness.bot(models=models) as services:
        await harness.imagine("a fox --v engr --seed 5")
        grid = await harness.result(text="a fox --model Engraver** - <@")
        assert open_image(harness.server, grid).size == LARGE
        record = await load_record(services, grid)
        assert (record.job.params.model, record.job.params.house_style) == ("Engraver", "in copper")
        for label, says in [("V1", "Variations"), ("🔄", "Rerolled"), ("U1", "Image #1")]:
            await harness.person(harness.ben).press(grid, label)
            child = await load_record(services, await harness.result(text=says))
            assert child.job.params.model == "Engraver"
        picked = await harness.result(text="Image #1")
        pressed = await harness.person(harness.ada).press(picked, "Details")
        assert "96 × 96 · Engraver" in (await pressed.message()).content


async def test_a_remix_may_change_the_model_and_its_size(harness, models):
    async with harness.bot(models=models) as services:
        picked = await pick_image(harness, "a fox --model engraver")
        pressed = await harness.person(harness.ada).press(picked, "Remix")
        assert modal_prompt(await pressed.modal()) == "a fox --model Engraver"
        await harness.person(harness.ada).submit_modal(pressed, prompt="an owl")
        remixed = await harness.result(text="an owl** - Remix")
        assert open_image(harness.server, remixed).size == SMALL
        assert (await load_record(services, remixed)).job.params.model == "Painter"
        await services.db.preferences.update(harness.ada.id, remix=True)
        pressed = await harness.person(harness.ada).press(picked, "Zoom Out 2×")
        await harness.person(harness.ada).submit_modal(pressed, prompt="a barn --model painter")
        zoomed = (await load_record(services, await harness.result(text="a barn"))).job.params
        assert (zoomed.width, zoomed.height, zoomed.frame.width, zoomed.frame.left) == (64, 64, 32, 16)


async def test_a_model_is_chosen_by_option_setting_or_command_and_autocompleted(harness, models):
    async with harness.bot(models=models) as services:
        ada = harness.person(harness.ada)
        offered = await ada.autocomplete("imagine", harness.channel, "model", "grav")
        assert [choice["value"] for choice in offered] == ["Engraver"]
        await harness.imagine("a fox - @bob (fast)", model="Engraver")
        await harness.result(text="a fox --model Engraver** - <@")
        refused = await (await harness.imagine("a fox --model painter", model="Engraver")).message()
        assert "`--model` is given more than once" in refused.content
        panel = await (await ada.command("settings", harness.channel)).message()
        assert "Model: **Painter**" in panel.content
        assert selected(panel) == ["Model: not set", "Stylize: not set"]
        await ada.select(panel, "Model: Engraver")
        await harness.server.wait_until(lambda: "Model: **Engraver**" in panel.content)
        assert selected(panel) == ["Model: Engraver", "Stylize: not set"]
        await harness.imagine("an owl")
        await harness.result(text="an owl --model Engraver** - <@")
        await harness.imagine("an owl --model painter")
        await harness.result(text="an owl** - <@")
        assert "Model: **Engraver**" in await run_command(harness, "info")
        assert "Your prompts use **Engraver**." in await run_command(harness, "prefer model")
        assert (await services.db.preferences.get(harness.ada.id)).model == "Engraver"
        assert "server's model" in await run_command(harness, "prefer model", clear=True)
        assert (await services.db.preferences.get(harness.ada.id)).model is None
        assert "Your prompts use **Engraver** from now on." in await run_command(harness, "prefer model", name="engr")
        assert (await services.db.preferences.get(harness.ada.id)).model == "Engraver"
        assert "There is no model `nonsense`. Available: Painter, Engraver." in await run_command(
            harness, "prefer model", name="nonsense"
        )


async def test_a_disallowed_model_is_refused_when_typed_and_skipped_as_a_default(harness, models):
    async with harness.bot(models=models) as services:
        await services.db.preferences.update(harness.ada.id, model="Engraver")
        await run_command(harness, "config models", harness.mod, add="Painter")
        refused = await (await harness.imagine("a fox --model engraver")).message()
        assert refused.ephemeral
        assert "The owners of this server allow Painter only, not Engraver." in refused.content
        await harness.imagine("a fox")
        grid = await harness.result(text="a fox** - <@")
        panel = await (await harness.person(harness.ada).command("settings", harness.channel)).message()
        assert "Model: **Painter** (you prefer Engraver, which is not available here)" in panel.content
        assert selected(panel) == ["Stylize: not set"]
        await run_command(harness, "config models", harness.mod, add="Engraver")
        await run_command(harness, "config models", harness.mod, remove="Painter")
        await harness.imagine("an owl", harness.ben)
        await harness.result(text="an owl --model Engraver** - <@")
        refused = await (await harness.person(harness.ben).press(grid, "V1")).message()
        assert "allow Engraver only, not Painter." in refused.content


async def test_images_of_a_removed_model_remain_and_can_be_remixed_with_another(harness, models):
    async with harness.bot(models=models, running_per_person=1):
        await harness.imagine("a fox --model engraver")
        grid = await harness.result()
        await harness.imagine("slow fox")
        await harness.status_message("(25%)")
        await (await harness.imagine("a barn --model engraver")).message()
    harness.release_slow_jobs()
    async with harness.bot():
        ended = await harness.status_message("which is no longer installed. Available: Painter.")
        assert "a barn --model Engraver" in ended.content
        ada = harness.person(harness.ada)
        answer = await (await ada.press(grid, "V1")).message()
        assert "drawn with Engraver, which is no longer installed. Available: Painter." in answer.content
        await ada.press(grid, "U2")
        picked = await harness.status_message("Image #2")
        assert picked.labels == ["❤️", "Remix", "Details", "Delete"]
        shown = await (await ada.press(picked, "Details")).message()
        assert "Engraver" in shown.content
        pressed = await ada.press(picked, "Remix")
        assert "--model Engraver" in modal_prompt(await pressed.modal())
        await ada.submit_modal(pressed, prompt="an owl")
        remixed = await harness.result(text="an owl")
        assert open_image(harness.server, remixed).size == SMALL
        again = await (await ada.command("show", harness.channel, job=first_tile(grid).job_id)).message()
        assert again.labels == ["U1", "U2", "U3", "U4"]


async def test_server_defaults_that_name_a_removed_model_are_ignored(harness, models):
    async with harness.bot(models=models):
        await run_command(harness, "config defaults", harness.mod, parameters=r"--model engraver --no \--x, people")
        await harness.imagine("a fox")
        await harness.result(text=r"a fox --no \\-\\-x, people --model Engraver** - <@")
    async with harness.bot():
        await harness.imagine("an owl")
        await harness.result(text=r"an owl --no \\-\\-x, people** - <@")


async def test_allowing_only_a_removed_model_is_reported_and_can_be_fixed(harness, models):
    async with harness.bot(models=models):
        await run_command(harness, "config models", harness.mod, add="Engraver")
    async with harness.bot():
        refused = await (await harness.imagine("a fox")).message()
        assert "allow Engraver only, not Painter." in refused.content
        asked_for = await run_command(harness, "prefer model", name="`odd`")
        assert asked_for == "There is no model `ˋoddˋ`, and no other is allowed here."
        offered = await harness.person(harness.mod).autocomplete("config models", harness.channel, "remove", "")
        assert [choice["value"] for choice in offered] == ["Engraver"]
        assert "Models: remove Engraver." in await run_command(harness, "config models", harness.mod, remove="engraver")
        await harness.imagine("a fox")
        await harness.result(text="a fox** - <@")


async def test_blend_and_describe_choose_a_model_that_the_server_allows(harness):
    def model(name, **own):
        return make_model(harness.folder / name, name=name, **own)

    known = {"things": ["boat", "fox"], "colours": ["red"], "places": ["sea"]}
    models = model("First", unsupported=["blend"]), model("Second", known=known), model("Third", known=known)
    async with harness.bot(models=models) as services:
        for name in ("First", "Third"):
            await run_config(harness, "models", add=name)
        picture = UploadedFile("red.png", red_png(64, 64))
        await run_command(harness, "blend", image1=picture, image2=picture)
        assert (await load_record(services, await harness.result())).job.params.model == "Third"
        await run_command(harness, "describe", image=picture)
        await harness.server.wait_for(harness.channel, lambda message: "1\\." in message.content)
        (row,) = await services.db.connection.fetch_all("SELECT id FROM jobs WHERE action = 'describe'")
        assert (await services.db.jobs.get(row["id"])).job.params.model == "Third"
