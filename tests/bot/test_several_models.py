"""A studio with several models: who draws what, who may choose, and what becomes of those that have gone."""

from __future__ import annotations

import pytest

from tests.bot.conftest import make_model, picture, tile_of
from tests.bot.test_remix import picked_of
from tests.bot.test_retry import prompt_of

SMALL, LARGE = (128, 128), (192, 192)  # the sheets of the two models


@pytest.fixture
def models(stage):
    """Give Painter, who draws where nothing is said, and Engraver, who draws larger."""
    engraver = make_model(stage.folder / "engraver", name="Engraver", native_size=96, trigger_words="in copper")
    return str(stage.model), engraver


async def record_of(studio, message):
    return await studio.store.get(tile_of(message).job_id)


async def said(stage, command, user=None, **options):
    answer = await (await stage.person(user or stage.ada).command(command, stage.channel, **options)).message()
    return answer.content


def selected(message):
    menus = [part for row in message.components for part in row["components"] if part["type"] == 3]
    return [option["label"] for menu in menus for option in menu["options"] if option.get("default")]


async def test_a_prompt_names_its_model_and_all_that_follows_is_drawn_by_the_same(stage, models):
    async with stage.bot(models=models) as studio:
        await stage.imagine("a fox --v engr --seed 5")
        grid = await stage.result(text="a fox --model Engraver** - <@")
        assert picture(stage.server, grid).size == LARGE
        record = await record_of(studio, grid)
        assert (record.job.params.model, record.job.params.house_style) == ("Engraver", "in copper")
        for label, says in [("V1", "Variations"), ("🔄", "Drawn again"), ("U1", "Image #1")]:
            await stage.person(stage.ben).press(grid, label)
            child = await record_of(studio, await stage.result(text=says))
            assert child.job.params.model == "Engraver"
        picked = await stage.result(text="Image #1")
        pressed = await stage.person(stage.ada).press(picked, "Details")
        assert "96 × 96 · Engraver" in (await pressed.message()).content


async def test_a_remix_may_change_the_model_and_with_it_the_size(stage, models):
    async with stage.bot(models=models) as studio:
        picked = await picked_of(stage, "a fox --model engraver")
        pressed = await stage.person(stage.ada).press(picked, "Remix")
        assert prompt_of(await pressed.modal()) == "a fox --model Engraver"
        await stage.person(stage.ada).submit_modal(pressed, prompt="an owl")
        remixed = await stage.result(text="an owl** - Remix")
        assert picture(stage.server, remixed).size == SMALL
        assert (await record_of(studio, remixed)).job.params.model == "Painter"
        await studio.preferences.update(stage.ada.id, remix=True)
        pressed = await stage.person(stage.ada).press(picked, "Zoom Out 2×")
        await stage.person(stage.ada).submit_modal(pressed, prompt="a barn --model painter")
        zoomed = (await record_of(studio, await stage.result(text="a barn"))).job.params
        assert (zoomed.width, zoomed.height, zoomed.frame.width, zoomed.frame.left) == (64, 64, 32, 16)


async def test_a_model_is_chosen_by_an_option_a_setting_or_a_command_and_offered_by_name(stage, models):
    async with stage.bot(models=models) as studio:
        ada = stage.person(stage.ada)
        offered = await ada.autocomplete("imagine", stage.channel, "model", "grav")
        assert [choice["value"] for choice in offered] == ["Engraver"]
        await stage.imagine("a fox - @bob (fast)", model="Engraver")
        await stage.result(text="a fox --model Engraver** - <@")
        refused = await (await stage.imagine("a fox --model painter", model="Engraver")).message()
        assert "`--model` is given more than once" in refused.content
        panel = await (await ada.command("settings", stage.channel)).message()
        assert "Model: **Painter**" in panel.content
        assert selected(panel) == ["Model: not set", "Stylize: not set"]
        await ada.select(panel, "Model: Engraver")
        await stage.server.wait_until(lambda: "Model: **Engraver**" in panel.content)
        assert selected(panel) == ["Model: Engraver", "Stylize: not set"]
        await stage.imagine("an owl")
        await stage.result(text="an owl --model Engraver** - <@")
        await stage.imagine("an owl --model painter")
        await stage.result(text="an owl** - <@")
        assert "Model: **Engraver**" in await said(stage, "info")
        assert "server's model draws" in await said(stage, "prefer model")
        assert (await studio.preferences.get(stage.ada.id)).model is None
        assert "**Engraver** draws for you" in await said(stage, "prefer model", name="engr")
        assert (await studio.preferences.get(stage.ada.id)).model == "Engraver"
        assert "I know no model `nonsense`. There is Painter, Engraver." in await said(
            stage, "prefer model", name="nonsense"
        )


async def test_what_the_owners_do_not_allow_is_refused_where_it_was_asked_for_and_else_passed_over(stage, models):
    async with stage.bot(models=models) as studio:
        await studio.preferences.update(stage.ada.id, model="Engraver")
        await said(stage, "config models", stage.mod, add="Painter")
        refused = await (await stage.imagine("a fox --model engraver")).message()
        assert refused.ephemeral
        assert "The owners of this server allow Painter only, not Engraver." in refused.content
        await stage.imagine("a fox")
        grid = await stage.result(text="a fox** - <@")
        panel = await (await stage.person(stage.ada).command("settings", stage.channel)).message()
        assert "Model: **Painter** (you prefer Engraver, which does not draw here)" in panel.content
        assert selected(panel) == ["Stylize: not set"]
        await said(stage, "config models", stage.mod, add="Engraver")
        await said(stage, "config models", stage.mod, remove="Painter")
        await stage.imagine("an owl", stage.ben)
        await stage.result(text="an owl --model Engraver** - <@")
        refused = await (await stage.person(stage.ben).press(grid, "V1")).message()
        assert "allow Engraver only, not Painter." in refused.content


async def test_pictures_of_a_model_that_has_gone_are_still_there_and_can_be_remixed_with_another(stage, models):
    async with stage.bot(models=models, running_per_person=1):
        await stage.imagine("a fox --model engraver")
        grid = await stage.result()
        await stage.imagine("slow fox")
        await stage.notice("(25%)")
        await (await stage.imagine("a barn --model engraver")).message()
    stage.go()
    async with stage.bot():
        ended = await stage.notice("which is not here any more. There is Painter.")
        assert "a barn --model Engraver" in ended.content
        ada = stage.person(stage.ada)
        answer = await (await ada.press(grid, "V1")).message()
        assert "drawn with Engraver, which is not here any more. There is Painter." in answer.content
        await ada.press(grid, "U2")
        picked = await stage.notice("Image #2")
        assert picked.labels == ["❤️", "Remix", "Details", "Delete"]
        shown = await (await ada.press(picked, "Details")).message()
        assert "Engraver" in shown.content
        pressed = await ada.press(picked, "Remix")
        assert "--model Engraver" in prompt_of(await pressed.modal())
        await ada.submit_modal(pressed, prompt="an owl")
        remixed = await stage.result(text="an owl")
        assert picture(stage.server, remixed).size == SMALL
        again = await (await ada.command("show", stage.channel, job=tile_of(grid).job_id)).message()
        assert again.labels == ["U1", "U2", "U3", "U4"]


async def test_defaults_of_a_server_that_name_what_has_gone_keep_nobody_from_drawing(stage, models):
    async with stage.bot(models=models):
        await said(stage, "config defaults", stage.mod, parameters=r"--model engraver --no \--x, people")
        await stage.imagine("a fox")
        await stage.result(text=r"a fox --no \\-\\-x, people --model Engraver** - <@")
    async with stage.bot():
        await stage.imagine("an owl")
        await stage.result(text=r"an owl --no \\-\\-x, people** - <@")


async def test_where_only_a_model_that_has_gone_is_allowed_that_is_said_and_can_be_mended(stage, models):
    async with stage.bot(models=models):
        await said(stage, "config models", stage.mod, add="Engraver")
    async with stage.bot():
        refused = await (await stage.imagine("a fox")).message()
        assert "allow Engraver only, not Painter." in refused.content
        asked_for = await said(stage, "prefer model", name="`odd`")
        assert asked_for == "I know no model `ˋoddˋ`. There is none that may draw here."
        offered = await stage.person(stage.mod).autocomplete("config models", stage.channel, "remove", "")
        assert [choice["value"] for choice in offered] == ["Engraver"]
        assert "Models: remove Engraver." in await said(stage, "config models", stage.mod, remove="engraver")
        await stage.imagine("a fox")
        await stage.result(text="a fox** - <@")
