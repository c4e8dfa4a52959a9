"""What is translated is translated whole, and people hear the language of their server."""

from __future__ import annotations

import ast
import string
from pathlib import Path

import pytest

from bot.ui import job_text
from bot.ui.i18n import CATALOGUES

ROOT = Path(__file__).resolve().parents[2]


def said():
    """Give every text in the code that is handed to `tr`, and the wording's labels, which are chosen by the action."""
    texts = set(job_text._ACTION_LABELS.values()) | set(job_text._SPEED_LABELS.values()) - {""}
    for path in (path for top in ("bot", "cogs") for path in (ROOT / top).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="tr"), args=[ast.Constant(value=str(text))]):
                    texts.add(text)
    return texts - {""}


def places(text):
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name)


@pytest.mark.parametrize("language", CATALOGUES)
def test_every_text_is_translated_and_nothing_else(language):
    assert CATALOGUES[language].keys() == said()


@pytest.mark.parametrize("language", CATALOGUES)
def test_a_translation_has_the_places_of_the_text_and_its_white_space(language):
    for english, other in CATALOGUES[language].items():
        assert places(other) == places(english)
        assert (other[:1] == " ", other[-1:] == " ") == (english[:1] == " ", english[-1:] == " ")


async def choose(stage, language):
    await (await stage.person(stage.mod).command("config language", stage.channel, language=language)).message()


async def test_the_owners_choose_the_language_of_notices_and_refusals(stage):
    async with stage.bot(jobs_at_once=1):
        await choose(stage, "Deutsch")
        await stage.imagine("a slow fox")
        await stage.notice("(25%)")
        await stage.imagine("an owl")
        notice = await stage.notice("Wartet auf den Start")
        assert "als Nächstes in der Warteschlange" in notice.content
        await stage.person(stage.ada).press(notice, "Cancel")
        await stage.server.wait_until(lambda: f"Abgebrochen von <@{stage.ada.id}>." in notice.content)
        await stage.person(stage.mod).command("config stealth", stage.channel, allowed=False)
        refused = await (await stage.imagine("an owl --stealth")).message()
        assert "auf diesem Server ausgeschaltet" in refused.content
        await choose(stage, "English")
        refused = await (await stage.imagine("an owl --stealth")).message()
        assert "switched off" in refused.content


async def test_what_goes_on_after_a_restart_speaks_the_same_language(stage):
    async with stage.bot(jobs_at_once=1):
        await choose(stage, "Deutsch")
        await stage.imagine("a slow fox", stage.ben)
        await stage.notice("(25%)")
        await stage.imagine("an owl")
        notice = await stage.notice("an owl")
    async with stage.bot(jobs_at_once=1):
        await stage.server.wait_until(lambda: "in der Warteschlange" in notice.content)
        stage.go()
        await stage.result(text="an owl")


async def test_where_nobody_has_chosen_it_is_the_language_that_discord_has_for_the_place(stage):
    stage.guild.locale = "de"
    stage.ben.locale = "de"
    direct = stage.server.world.dm_channel(stage.ben)
    elsewhere = stage.server.world.dm_channel(stage.ada)
    async with stage.bot():
        for user, channel, says in (
            (stage.ada, stage.channel, "Die Warteschlange ist leer"),
            (stage.ben, direct, "Die Warteschlange ist leer"),
            (stage.ada, elsewhere, "The queue is empty"),
        ):
            answer = await (await stage.person(user).command("queue", channel)).message()
            assert says in answer.content
