"""/show, /favourites, /info and /help."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bot.ui import job_text
from bot.ui.i18n import CATALOGUES, ENGLISH, set_locale, tr
from bot.ui.text import escape_markdown
from cogs.help import PAGES
from cogs.info import MAX_LINE_LENGTH, MAX_LINES
from generation.models.adapters import Adapters
from generation.models.files.lora import Lora
from generation.models.files.textual_inversion import TextualInversion
from generation.models.model import EMBEDDED, Model, describe_model
from generation.models.registry import ModelRegistry
from generation.models.words.vocabulary import Vocabulary
from generation.params import Tile
from generation.prompt.parameters import PARAMETERS
from generation.queue.queue import QueuePosition
from preview.state import permissions
from preview.state.world import Overwrite
from tests.support.bot_harness import eventually, open_image
from tests.support.languages import run_in


async def autocomplete(harness, command, option, typed="", user=None):
    return await harness.person(user or harness.ada).autocomplete(command, harness.channel, option, typed)


async def run_command(harness, command, user=None, channel=None, **options):
    asked = await harness.person(user or harness.ada).command(command, channel or harness.channel, **options)
    return await asked.message()


async def generate_result(harness, prompt, user=None):
    await harness.imagine(prompt, user)
    return await harness.result(text=prompt.partition(" --")[0])


def job_id_from(message):
    return message.buttons[0]["custom_id"].partition(":")[2][:12]


async def test_an_earlier_result_is_found_by_its_words_and_reposted_with_buttons(harness):
    async with harness.bot():
        grid = await generate_result(harness, "a red fox --seed 5")
        await generate_result(harness, "an owl")
        await generate_result(harness, "a blue fox", harness.ben)
        (choice,) = await autocomplete(harness, "show", "job", "fox")
        assert choice["name"].startswith("a red fox")
        again = await run_command(harness, "show", job=choice["value"])
        assert not again.ephemeral
        assert again.content == grid.content
        assert again.labels == grid.labels
        assert open_image(harness.server, again).tobytes() == open_image(harness.server, grid).tobytes()
        assert harness.server.pinged_by(again) == []
        await harness.person(harness.ben).press(again, "V1")
        await harness.result(text="Variations (Strong) by")


async def test_the_newest_are_offered_before_anything_is_typed(harness):
    async with harness.bot():
        for prompt in ("first", "second"):
            await generate_result(harness, prompt)
        offered = await autocomplete(harness, "show", "job")
        assert [each["name"].partition(" ")[0] for each in offered] == ["second", "first"]
        assert await autocomplete(harness, "show", "job", "owl") == []


async def test_typed_words_without_a_choice_show_the_newest_match(harness):
    async with harness.bot():
        await generate_result(harness, "a red fox")
        assert "red fox" in (await run_command(harness, "show", job="fox")).content


async def test_a_long_or_odd_prompt_is_still_a_choice(harness):
    async with harness.bot():
        for prompt in ("word " * 300, "👩‍👩‍👧 " * 60, "مرحبا"):
            await harness.imagine(prompt)
        await harness.server.wait_until(lambda: len(harness.results()) == 3)
        assert len(await autocomplete(harness, "show", "job")) == 3


async def test_another_users_public_job_is_shown_by_id_only_where_it_was_public(harness):
    world = harness.server.world
    elsewhere = world.add_channel(world.add_guild("Elsewhere", harness.mod, harness.ben))
    async with harness.bot():
        job_id = job_id_from(await generate_result(harness, "a red fox"))
        assert "red fox" in (await run_command(harness, "show", harness.ben, job=job_id)).content
        refused = await run_command(harness, "show", harness.ben, elsewhere, job=job_id)
        assert refused.ephemeral
        assert "may see" in refused.content


@pytest.mark.parametrize("job", ["0123456789ab", "nothing of the kind", "'"])
async def test_an_unknown_job_is_reported_privately(harness, job):
    async with harness.bot():
        refused = await run_command(harness, "show", job=job)
    assert refused.ephemeral
    assert "may see" in refused.content


async def test_another_users_job_is_shown_only_to_readers_of_its_channel(harness):
    other, hidden = (harness.server.world.add_channel(harness.guild) for _ in range(2))
    hidden.overwrites.append(Overwrite(harness.ben.id, 1, deny=permissions.VIEW_CHANNEL))
    async with harness.bot():
        for channel in (other, hidden):
            await harness.imagine("a red fox", channel=channel)
        seen, unseen = [job_id_from(await harness.result(channel=channel)) for channel in (other, hidden)]
        assert (await run_command(harness, "show", harness.ben, job=seen)).ephemeral
        assert not (await run_command(harness, "show", harness.ben, other, job=seen)).ephemeral
        assert "may see" in (await run_command(harness, "show", harness.ben, job=unseen)).content
        assert not (await run_command(harness, "show", harness.ada, job=unseen)).ephemeral


async def test_a_result_is_reposted_only_in_allowed_channels(harness):
    elsewhere = harness.server.world.add_channel(harness.guild)
    async with harness.bot():
        await generate_result(harness, "a red fox")
        await run_command(harness, "config channels", harness.mod, add=harness.channel)
        refused = await run_command(harness, "show", channel=elsewhere, job="fox")
        assert refused.ephemeral
        assert f"<#{harness.channel.id}>" in refused.content
        assert not (await run_command(harness, "show", job="fox")).ephemeral


async def test_an_image_without_files_is_not_shown(harness):
    async with harness.bot() as services:
        job_id = job_id_from(await generate_result(harness, "a red fox"))
        await services.images.files.delete(job_id)
        asked = await harness.person(harness.ada).command("show", harness.channel, job=job_id)
        refused = await asked.wait_for(lambda message: "no longer stored" in message.content)
        assert refused.ephemeral


async def test_favourites_are_offered_and_posted_again(harness):
    async with harness.bot() as services:
        assert "no favourites yet" in (await run_command(harness, "favourites", picture="fox")).content
        fox, owl = await generate_result(harness, "a red fox"), await generate_result(harness, "an owl", harness.ben)
        for message in (fox, owl):
            await services.db.favourites.add(harness.ada.id, Tile(job_id_from(message), 0))
        offered = await autocomplete(harness, "favourites", "picture")
        assert [each["name"][:8] for each in offered] == ["an owl ·", "a red fo"]
        again = await run_command(harness, "favourites", picture=offered[0]["value"])
        assert again.content == owl.content
        assert not again.ephemeral
        assert "fox" in (await run_command(harness, "favourites", picture="red")).content


async def test_an_id_shows_a_hidden_result_only_if_it_is_a_favourite(harness):
    world = harness.server.world
    elsewhere = world.add_channel(world.add_guild("Elsewhere", harness.mod, harness.ben))
    async with harness.bot() as services:
        owl, fox = (
            job_id_from(await generate_result(harness, "an owl")),
            job_id_from(await generate_result(harness, "a red fox")),
        )
        await services.db.favourites.add(harness.ben.id, Tile(owl, 0))
        assert "owl" in (await run_command(harness, "favourites", harness.ben, elsewhere, picture=owl)).content
        refused = await run_command(harness, "favourites", harness.ben, elsewhere, picture=fox)
        assert refused.ephemeral
        assert "may see" in refused.content


async def test_a_favourite_without_files_can_be_removed(harness):
    async with harness.bot() as services:
        owl = job_id_from(await generate_result(harness, "an owl", harness.ben))
        await services.db.favourites.add(harness.ada.id, Tile(owl, 0))
        await services.images.files.delete(owl)
        asked = await harness.person(harness.ada).command("favourites", harness.channel, picture="owl")
        gone = await asked.wait_for(lambda message: "no longer stored" in message.content)
        assert gone.ephemeral
        said = await (await harness.person(harness.ada).press(gone, "Remove from your favourites")).message()
        assert "Removed from your favourites" in said.content
        assert await services.db.search.favourites(harness.ada.id, "") == []


async def test_info_shows_totals_and_cancels_the_chosen_job(harness):
    async with harness.bot(running_per_person=1) as services:
        await harness.imagine("slow fox")
        drawing = await harness.status_message("(25%)")
        second = await (await harness.imagine("second")).message()
        await harness.imagine("bens own", harness.ben)
        info = await run_command(harness, "info")
        assert info.ephemeral
        assert "**fast**" in info.content
        assert "slow fox" in info.content
        assert "second" in info.content
        assert "bens" not in info.content
        waiting = next(job for job in services.queue.waiting if job.requester.id == harness.ada.id)
        await harness.person(harness.ada).select(info, waiting.id)
        await harness.server.wait_until(lambda: "Cancelled" in second.content)
        await harness.server.wait_until(lambda: "second" not in info.content)
        (running,) = (job for job in services.queue.running if job.requester.id == harness.ada.id)
        await harness.person(harness.ada).select(info, running.id)
        await harness.server.wait_until(lambda: "Cancelled" in drawing.content)
        await harness.server.wait_until(lambda: "no jobs in the queue" in info.content)
        assert not any(part["type"] == 3 for row in info.components for part in row["components"])


async def test_info_reports_that_a_chosen_job_has_already_ended(harness):
    async with harness.bot() as services:
        await harness.imagine("slow fox")
        await harness.status_message("(25%)")
        info = await run_command(harness, "info")
        (job,) = services.queue.running
        harness.release_slow_jobs()
        await harness.result()
        await eventually(lambda: not services.queue.running)
        await harness.person(harness.ada).select(info, job.id)
        await harness.server.wait_until(lambda: "This picture is finished" in info.content)
        assert "4 pictures in 1 job," in info.content


def test_the_longest_list_of_jobs_leaves_room_for_the_rest_of_info():
    position = QueuePosition(position=199, seconds=9999.0)
    place = run_in("de", job_text.format_queue_position, position, is_ready=True)
    line = f"- **{escape_markdown('*' * MAX_LINE_LENGTH)}**: {place}\n"
    assert MAX_LINES * len(line) < 2000 - 450


async def test_info_shows_the_usage_where_a_server_sets_limits(harness):
    role = harness.server.world.add_role(harness.guild, "members")
    harness.guild.members[harness.ada.id].role_ids.append(role.id)
    async with harness.bot():
        assert "24 hours" not in (await run_command(harness, "info")).content
        await run_command(harness, "config limits", harness.mod, role=role, jobs_a_day=5, gpu_seconds_a_day=600)
        await generate_result(harness, "a fox")
        info = (await run_command(harness, "info")).content
    assert "Used here in the last 24 hours: ▰▰▱▱▱▱▱▱▱▱ 1 of 5 jobs · ▱▱▱▱▱▱▱▱▱▱ " in info
    assert "of 10 min of drawing" in info


async def test_help_turns_its_pages(harness):
    async with harness.bot() as services:
        message = await run_command(harness, "help")
        assert message.ephemeral
        for page in PAGES:
            text = PAGES[page](services.registry)
            await harness.person(harness.ada).select(message, page)
            await harness.server.wait_until(lambda text=text: message.content == text)


async def test_every_command_of_users_is_in_the_help(harness):
    async with harness.bot() as services:
        text = "".join(page(services.registry) for page in PAGES.values())
        offered = {each["name"] for each in harness.person(harness.ada).commands(harness.channel)}
        menus = {each["name"] for each in harness.person(harness.ada).commands(harness.channel, 3)}
    assert {name for name in offered - {"help"} if f"`/{name}" not in text} == set()
    assert {name for name in menus if f"*{name}*" not in text} == set()


@pytest.fixture(params=[ENGLISH, *CATALOGUES])
def language(request):
    set_locale(request.param)
    yield request.param
    set_locale(ENGLISH)


@pytest.mark.parametrize("page", PAGES)
def test_every_page_of_the_help_fits_into_a_message(page, language):
    models = [Model(name=f"{number}" + "*" * 60, ref="none", examples=("a" * 100,)) for number in range(30)]
    name = "n" * 60
    lora, word = Lora(name, Path(name), 2048, "*" * 60), TextualInversion(name, Path(name), ("k",), (2048,), 1)
    text = PAGES[page](ModelRegistry(tuple(models), Adapters((lora,) * 30, (word,) * 30)))
    assert len(text) <= 1900
    assert (tr(page) == page) == (language == ENGLISH or page == "Start")


def test_the_help_lists_the_words_of_a_small_model_only():
    small = describe_model(EMBEDDED)
    assert "castle, house, tree" in PAGES["Start"](ModelRegistry((small,)))
    assert "these words" not in PAGES["Start"](ModelRegistry((Model(name="none", ref="none"),)))
    many = Vocabulary.from_json({"things": ["_word_"] * 900}, {})
    assert len(PAGES["Start"](ModelRegistry((replace(small, name="*" * 90, vocabulary=many),)))) <= 1950


def test_a_parameter_that_no_model_supports_is_not_in_the_help():
    small, other = describe_model(EMBEDDED), Model(name="none", ref="none")
    for models, offered in ((small,), False), ((small, other), True):
        assert ("`--tile" in "".join(page(ModelRegistry(models)) for page in PAGES.values())) is offered


def test_every_parameter_is_in_the_help():
    text = "".join(page(ModelRegistry((Model(name="none", ref="none"),))) for page in PAGES.values())
    assert [each.name for each in PARAMETERS if f"`--{each.name}" not in text] == []
