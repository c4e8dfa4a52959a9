"""What is translated is translated whole, and people hear the language of their server."""

from __future__ import annotations

import ast
import string
from pathlib import Path

import pytest

from bot.ui import job_text
from bot.ui.i18n import CATALOGUES

ROOT = Path(__file__).resolve().parents[3]


def translatable_texts():
    """Give every text in the code that is handed to `tr`, and the wording's labels, which are chosen by the action."""
    texts = set(job_text._ACTION_LABELS.values()) | set(job_text._SPEED_LABELS.values()) - {""}
    for path in (path for top in ("bot", "cogs") for path in (ROOT / top).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="tr"), args=[ast.Constant(value=str(text))]):
                    texts.add(text)
    return texts - {""}


def placeholders(text):
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name)


@pytest.mark.parametrize("language", CATALOGUES)
def test_every_text_is_translated_and_nothing_else(language):
    assert CATALOGUES[language].keys() == translatable_texts()


@pytest.mark.parametrize("language", CATALOGUES)
def test_a_translation_has_the_places_of_the_text_and_its_white_space(language):
    for english, other in CATALOGUES[language].items():
        assert placeholders(other) == placeholders(english)
        assert (other[:1] == " ", other[-1:] == " ") == (english[:1] == " ", english[-1:] == " ")


async def set_language(harness, language):
    await (await harness.person(harness.mod).command("config language", harness.channel, language=language)).message()


async def test_the_owners_choose_the_language_of_notices_and_refusals(harness):
    async with harness.bot(jobs_at_once=1):
        await set_language(harness, "Deutsch")
        await harness.imagine("a slow fox")
        await harness.status_message("(25%)")
        await harness.imagine("an owl")
        notice = await harness.status_message("Wartet auf den Start")
        assert "als Nächstes in der Warteschlange" in notice.content
        await harness.person(harness.ada).press(notice, "Cancel")
        await harness.server.wait_until(lambda: f"Abgebrochen von <@{harness.ada.id}>." in notice.content)
        await harness.person(harness.mod).command("config stealth", harness.channel, allowed=False)
        refused = await (await harness.imagine("an owl --stealth")).message()
        assert "auf diesem Server ausgeschaltet" in refused.content
        await set_language(harness, "English")
        refused = await (await harness.imagine("an owl --stealth")).message()
        assert "switched off" in refused.content


async def test_what_goes_on_after_a_restart_speaks_the_same_language(harness):
    async with harness.bot(jobs_at_once=1):
        await set_language(harness, "Deutsch")
        await harness.imagine("a slow fox", harness.ben)
        await harness.status_message("(25%)")
        await harness.imagine("an owl")
        notice = await harness.status_message("an owl")
    async with harness.bot(jobs_at_once=1):
        await harness.server.wait_until(lambda: "in der Warteschlange" in notice.content)
        harness.release_slow_jobs()
        await harness.result(text="an owl")


async def test_without_a_choice_the_locale_is_the_one_discord_reports(harness):
    harness.guild.locale = "de"
    harness.ben.locale = "de"
    direct = harness.server.world.dm_channel(harness.ben)
    elsewhere = harness.server.world.dm_channel(harness.ada)
    async with harness.bot():
        for user, channel, says in (
            (harness.ada, harness.channel, "Die Warteschlange ist leer"),
            (harness.ben, direct, "Die Warteschlange ist leer"),
            (harness.ada, elsewhere, "The queue is empty"),
        ):
            answer = await (await harness.person(user).command("queue", channel)).message()
            assert says in answer.content
