"""/show, /favourites, /info and /help."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.ui import job_text
from bot.ui.i18n import set_locale
from bot.ui.text import escape_markdown
from cogs.help import PAGES
from cogs.info import MAX_LINE_LENGTH, MAX_LINES
from generation.models.adapters import Adapters
from generation.models.lora import Lora
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.models.textual_inversion import TextualInversion
from generation.params import Tile
from generation.prompt.parameters import PARAMETERS
from generation.queue.queue import QueuePosition
from preview.state import permissions
from preview.state.world import Overwrite
from tests.bot.conftest import eventually, picture


async def choices(stage, command, option, typed="", user=None):
    return await stage.person(user or stage.ada).autocomplete(command, stage.channel, option, typed)


async def answer(stage, command, user=None, channel=None, **options):
    asked = await stage.person(user or stage.ada).command(command, channel or stage.channel, **options)
    return await asked.message()


async def draw(stage, prompt, user=None):
    await stage.imagine(prompt, user)
    return await stage.result(text=prompt.partition(" --")[0])


def job_id_of(message):
    return message.buttons[0]["custom_id"].partition(":")[2][:12]


async def test_an_earlier_result_is_offered_by_its_words_and_posted_again_with_buttons_that_work(stage):
    async with stage.bot():
        grid = await draw(stage, "a red fox --seed 5")
        await draw(stage, "an owl")
        await draw(stage, "a blue fox", stage.ben)
        (choice,) = await choices(stage, "show", "job", "fox")
        assert choice["name"].startswith("a red fox")
        again = await answer(stage, "show", job=choice["value"])
        assert not again.ephemeral
        assert again.content == grid.content
        assert again.labels == grid.labels
        assert picture(stage.server, again).tobytes() == picture(stage.server, grid).tobytes()
        assert stage.server.pinged_by(again) == []
        await stage.person(stage.ben).press(again, "V1")
        await stage.result(text="Variations (Strong) of image #1")


async def test_the_newest_are_offered_before_anything_is_typed(stage):
    async with stage.bot():
        for prompt in ("first", "second"):
            await draw(stage, prompt)
        offered = await choices(stage, "show", "job")
        assert [each["name"].partition(" ")[0] for each in offered] == ["second", "first"]
        assert await choices(stage, "show", "job", "owl") == []


async def test_words_that_were_typed_and_not_chosen_show_the_newest_that_fits(stage):
    async with stage.bot():
        await draw(stage, "a red fox")
        assert "red fox" in (await answer(stage, "show", job="fox")).content


async def test_a_long_or_odd_prompt_is_still_a_choice(stage):
    async with stage.bot():
        for prompt in ("word " * 300, "👩‍👩‍👧 " * 60, "مرحبا"):
            await stage.imagine(prompt)
        await stage.server.wait_until(lambda: len(stage.results()) == 3, 20)
        assert len(await choices(stage, "show", "job")) == 3


async def test_somebody_elses_public_job_is_shown_by_its_id_where_it_was_public_and_nowhere_else(stage):
    world = stage.server.world
    elsewhere = world.add_channel(world.add_guild("Elsewhere", stage.mod, stage.ben))
    async with stage.bot():
        job_id = job_id_of(await draw(stage, "a red fox"))
        assert "red fox" in (await answer(stage, "show", stage.ben, job=job_id)).content
        refused = await answer(stage, "show", stage.ben, elsewhere, job=job_id)
        assert refused.ephemeral
        assert "may see" in refused.content


@pytest.mark.parametrize("job", ["0123456789ab", "nothing of the kind", "'"])
async def test_what_is_not_there_is_said_privately(stage, job):
    async with stage.bot():
        refused = await answer(stage, "show", job=job)
    assert refused.ephemeral
    assert "may see" in refused.content


async def test_somebody_elses_job_is_shown_to_who_can_read_its_channel_and_spread_no_further(stage):
    other, hidden = (stage.server.world.add_channel(stage.guild) for _ in range(2))
    hidden.overwrites.append(Overwrite(stage.ben.id, 1, deny=permissions.VIEW_CHANNEL))
    async with stage.bot():
        for channel in (other, hidden):
            await stage.imagine("a red fox", channel=channel)
        seen, unseen = [job_id_of(await stage.result(channel=channel)) for channel in (other, hidden)]
        assert (await answer(stage, "show", stage.ben, job=seen)).ephemeral
        assert not (await answer(stage, "show", stage.ben, other, job=seen)).ephemeral
        assert "may see" in (await answer(stage, "show", stage.ben, job=unseen)).content
        assert not (await answer(stage, "show", stage.ada, job=unseen)).ephemeral


async def test_a_result_is_shown_again_only_where_the_server_lets_it_be_drawn(stage):
    elsewhere = stage.server.world.add_channel(stage.guild)
    async with stage.bot():
        await draw(stage, "a red fox")
        await answer(stage, "config channels", stage.mod, add=stage.channel)
        refused = await answer(stage, "show", channel=elsewhere, job="fox")
        assert refused.ephemeral
        assert f"<#{stage.channel.id}>" in refused.content
        assert not (await answer(stage, "show", job="fox")).ephemeral


async def test_a_picture_whose_files_are_gone_is_not_shown(stage):
    async with stage.bot() as studio:
        job_id = job_id_of(await draw(stage, "a red fox"))
        await studio.images.delete(job_id)
        asked = await stage.person(stage.ada).command("show", stage.channel, job=job_id)
        refused = await asked.wait_for(lambda message: "not kept" in message.content)
        assert refused.ephemeral


async def test_favourites_are_offered_and_posted_again(stage):
    async with stage.bot() as studio:
        assert "no favourites yet" in (await answer(stage, "favourites", picture="fox")).content
        fox, owl = await draw(stage, "a red fox"), await draw(stage, "an owl", stage.ben)
        for message in (fox, owl):
            await studio.favourites.add(stage.ada.id, Tile(job_id_of(message), 0))
        offered = await choices(stage, "favourites", "picture")
        assert [each["name"][:8] for each in offered] == ["an owl ·", "a red fo"]
        again = await answer(stage, "favourites", picture=offered[0]["value"])
        assert again.content == owl.content
        assert not again.ephemeral
        assert "fox" in (await answer(stage, "favourites", picture="red")).content


async def test_what_is_no_favourite_is_not_shown_by_its_id_to_who_may_not_see_it(stage):
    world = stage.server.world
    elsewhere = world.add_channel(world.add_guild("Elsewhere", stage.mod, stage.ben))
    async with stage.bot() as studio:
        owl, fox = job_id_of(await draw(stage, "an owl")), job_id_of(await draw(stage, "a red fox"))
        await studio.favourites.add(stage.ben.id, Tile(owl, 0))
        assert "owl" in (await answer(stage, "favourites", stage.ben, elsewhere, picture=owl)).content
        refused = await answer(stage, "favourites", stage.ben, elsewhere, picture=fox)
        assert refused.ephemeral
        assert "may see" in refused.content


async def test_a_favourite_that_is_not_kept_any_more_can_be_taken_out(stage):
    async with stage.bot() as studio:
        owl = job_id_of(await draw(stage, "an owl", stage.ben))
        await studio.favourites.add(stage.ada.id, Tile(owl, 0))
        await studio.images.delete(owl)
        asked = await stage.person(stage.ada).command("favourites", stage.channel, picture="owl")
        gone = await asked.wait_for(lambda message: "not kept" in message.content)
        assert gone.ephemeral
        said = await (await stage.person(stage.ada).press(gone, "Take it out of your favourites")).message()
        assert "no longer among your favourites" in said.content
        assert await studio.search.favourites(stage.ada.id, "") == []


async def test_info_tells_how_somebody_stands_and_cancels_what_is_chosen(stage):
    async with stage.bot(running_per_person=1) as studio:
        await stage.imagine("slow fox")
        drawing = await stage.notice("(25%)")
        second = await (await stage.imagine("second")).message()
        await stage.imagine("bens own", stage.ben)
        info = await answer(stage, "info")
        assert info.ephemeral
        assert "**fast**" in info.content
        assert "slow fox" in info.content
        assert "second" in info.content
        assert "bens" not in info.content
        waiting = next(job for job in studio.queue.waiting if job.requester.id == stage.ada.id)
        await stage.person(stage.ada).select(info, waiting.id)
        await stage.server.wait_until(lambda: "Cancelled" in second.content)
        await stage.server.wait_until(lambda: "second" not in info.content)
        (running,) = (job for job in studio.queue.running if job.requester.id == stage.ada.id)
        await stage.person(stage.ada).select(info, running.id)
        await stage.server.wait_until(lambda: "Cancelled" in drawing.content)
        await stage.server.wait_until(lambda: "no jobs in the queue" in info.content)
        assert not any(part["type"] == 3 for row in info.components for part in row["components"])


async def test_info_sums_up_and_says_when_a_job_has_ended_meanwhile(stage):
    async with stage.bot() as studio:
        await stage.imagine("slow fox")
        await stage.notice("(25%)")
        info = await answer(stage, "info")
        (job,) = studio.queue.running
        stage.go()
        await stage.result()
        await eventually(lambda: not studio.queue.running)
        await stage.person(stage.ada).select(info, job.id)
        await stage.server.wait_until(lambda: "already ended" in info.content)
        assert "4 pictures in 1 job," in info.content


def test_the_longest_list_of_jobs_leaves_room_for_the_rest_of_info():
    set_locale("de")
    try:
        place = job_text.format_queue_position(QueuePosition(position=199, seconds=9999.0))
    finally:
        set_locale("en")
    line = f"- **{escape_markdown('*' * MAX_LINE_LENGTH)}**: {place}\n"
    assert MAX_LINES * len(line) < 2000 - 450


async def test_info_tells_what_is_left_where_a_server_sets_bounds(stage):
    role = stage.server.world.add_role(stage.guild, "members")
    stage.guild.members[stage.ada.id].role_ids.append(role.id)
    async with stage.bot():
        assert "24 hours" not in (await answer(stage, "info")).content
        await answer(stage, "config limits", stage.mod, role=role, jobs_a_day=5, gpu_seconds_a_day=600)
        await draw(stage, "a fox")
        info = (await answer(stage, "info")).content
    assert "Used here in the last 24 hours: 1 of 5 jobs · " in info
    assert "of 10 min of drawing" in info


async def test_help_turns_its_pages(stage):
    async with stage.bot() as studio:
        message = await answer(stage, "help")
        assert message.ephemeral
        for page in PAGES:
            text = PAGES[page](studio.registry)
            await stage.person(stage.ada).select(message, page)
            await stage.server.wait_until(lambda text=text: message.content == text)


async def test_every_command_that_people_have_is_in_the_help(stage):
    async with stage.bot() as studio:
        text = "".join(page(studio.registry) for page in PAGES.values())
        offered = {each["name"] for each in stage.person(stage.ada).commands(stage.channel)}
        menus = {each["name"] for each in stage.person(stage.ada).commands(stage.channel, 3)}
    assert {name for name in offered - {"help"} if f"`/{name}" not in text} == set()
    assert {name for name in menus if f"*{name}*" not in text} == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_page_of_the_help_fits_into_a_message(page):
    models = [Model(name=f"{number}" + "*" * 60, ref="none", examples=("a" * 100,)) for number in range(30)]
    name = "n" * 60
    lora, word = Lora(name, Path(name), 2048, "*" * 60), TextualInversion(name, Path(name), ("k",), (2048,), 1)
    text = PAGES[page](ModelRegistry(tuple(models), Adapters((lora,) * 30, (word,) * 30)))
    assert len(text) <= 1900


def test_every_parameter_is_in_the_help():
    text = "".join(page(ModelRegistry((Model(name="none", ref="none"),))) for page in PAGES.values())
    assert [each.name for each in PARAMETERS if f"`--{each.name}" not in text] == []
