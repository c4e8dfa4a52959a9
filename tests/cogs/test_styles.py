"""--sref: the style of a picture, by link, attachment, menu or code."""

from __future__ import annotations

import re

import discord

from preview import UploadedFile
from preview.state.world import Overwrite
from tests.cogs.test_context_menus import use_menu
from tests.cogs.test_prompt_modal import modal_prompt
from tests.cogs.test_stealth import wait_for_private_result
from tests.support.bot_harness import first_tile, params_of, red_png, refusal


def picture(side=80):
    return UploadedFile("style.png", red_png(side, side))


def code_of(message):
    return re.search(r"--sref ([0-9a-f]{6})\b", message.content)[1]


async def test_an_attached_style_gets_a_code_that_others_can_use(harness):
    async with harness.bot() as services:
        await harness.imagine("a fox", style=picture())
        first = await harness.result(text="a fox")
        code = code_of(first)
        assert first.embeds[0]["description"] == "-# In the style of"
        await harness.imagine(f"an owl --sref {code.upper()} --sw 300", harness.ben)
        second = await harness.result(text=f"an owl --sref {code} --sw 300")
        mine, theirs = await params_of(services, first), await params_of(services, second)
    assert mine.style == theirs.style
    assert (theirs.style_code, theirs.style_weight, theirs.source) == (code, 300, None)


async def test_a_private_reference_is_refused_to_others(harness):
    async with harness.bot() as services:
        await harness.imagine("a fox --stealth", style=picture())
        code = code_of(await wait_for_private_result(harness, harness.ada, "a fox"))
        assert f"There is no style `{code}` that you can use here" in await refusal(
            harness, f"an owl --sref {code}", harness.ben
        )
        assert "There is no style here yet" in await refusal(harness, "an owl --sref random", harness.ben)
        await harness.imagine(f"a cat --sref {code}")  # its owner makes it public
        await harness.result(text="a cat")
        await harness.imagine(f"an owl --sref {code}", harness.ben)
        await harness.result(text="an owl")
        assert await services.db.styles.find(code, harness.ben.id, harness.guild.id)


async def test_a_code_from_a_channel_that_one_cannot_read_is_refused(harness):
    secret = harness.server.world.add_channel(harness.guild, "secret")
    secret.overwrites.append(Overwrite(harness.ben.id, 1, deny=discord.Permissions.view_channel.flag))
    async with harness.bot():
        await harness.imagine("a fox", channel=secret, style=picture())
        code = code_of(await harness.result(text="a fox", channel=secret))
        assert "that you can use here" in await refusal(harness, f"an owl --sref {code}", harness.ben)
        await harness.imagine(f"a cat --sref {code}")
        await harness.result(text="a cat")


async def test_random_draws_one_of_the_servers_styles_and_names_it(harness):
    async with harness.bot():
        await harness.imagine("a fox", style=picture())
        code = code_of(await harness.result(text="a fox"))
        await harness.imagine("an owl --sref random", harness.ben)
        assert code_of(await harness.result(text="an owl")) == code


async def test_the_menu_takes_the_style_of_any_picture(harness):
    async with harness.bot() as services:
        message = await harness.person(harness.ben).send(harness.channel, "look", picture())
        asked = await use_menu(harness, "Use this picture…", message)
        await asked.modal()
        await harness.person(harness.ada).submit_modal(asked, purpose="style", prompt="a fox --sw 50")
        params = await params_of(services, await harness.result(text="a fox --sref"))
    assert params.source is None and params.style is not None and params.style_weight == 50


async def test_the_style_of_a_result_is_that_of_its_first_tile_and_in_its_family(harness):
    async with harness.bot() as services:
        await harness.imagine("a fox")
        grid = await harness.result()
        asked = await use_menu(harness, "Use this picture…", grid, harness.ben)
        await asked.modal()
        await harness.person(harness.ben).submit_modal(asked, purpose="style", prompt="an owl")
        owl = await harness.result(text="an owl")
        assert (await params_of(services, owl)).style == first_tile(grid)
        (edge,) = await services.db.lineage.parents([first_tile(owl).job_id])
    assert (edge.parent_job, edge.kind) == (first_tile(grid).job_id, "style")


async def test_a_remix_keeps_the_style_or_takes_another(harness):
    async with harness.bot() as services:
        await harness.imagine("a fox", style=picture())
        first = await harness.result(text="a fox")
        await harness.imagine("a cat", style=picture(90))
        other = code_of(await harness.result(text="a cat"))
        for prompt, code in ((f"an owl --sref {code_of(first)}", code_of(first)), (f"a dog --sref {other}", other)):
            asked = await use_menu(harness, "Remix this", first, harness.ben)
            assert modal_prompt(await asked.modal()) == f"a fox --sref {code_of(first)}"
            await harness.person(harness.ben).submit_modal(asked, prompt=prompt)
            result = await harness.result(text=prompt)
            assert code_of(result) == code
            assert (await params_of(services, result)).style is not None


async def test_a_refused_prompt_keeps_its_attached_style(harness):
    async with harness.bot():
        asked = await harness.imagine("a fox --nonsense", style=picture())
        answer = await asked.message()
        assert re.search(r"a fox --nonsense --sref [0-9a-f]{6}", answer.content)


REFUSED = (
    ("a fox --sw 50", "Cannot use `--sw` without a style"),
    ("a fox --sref 123456789", "Midjourney's style codes such as `123456789` mean nothing here"),
    ("a fox --sref abcdef", "There is no style `abcdef` that you can use here"),
    ("a fox --sref https://x.test/page", "is not a direct link to a picture"),
    ("a fox --sref abcdef 123abc", "takes one picture"),
)


async def test_what_names_no_style_is_refused_in_words(harness):
    async with harness.bot():
        for prompt, says in REFUSED:
            assert says in await refusal(harness, prompt)
