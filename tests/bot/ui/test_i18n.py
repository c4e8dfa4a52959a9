"""Every text is translated, and messages are in the language of the server."""

from __future__ import annotations

import ast
import asyncio
import gettext
import io
import re
import string
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo, write_mo

from bot.ui import i18n
from bot.ui.errors import user_message
from bot.ui.i18n import CATALOGUES, error_text, render, tr, trn
from generation.errors import UserError
from generation.models.capabilities import Capability
from generation.prompt import PromptError
from generation.text import Text
from scripts.commands_doc import offline_client
from scripts.translations import (
    KEYWORDS,
    TABLES,
    TEMPLATE,
    catalogue_path,
    extract,
    extract_calls,
    is_translated,
    languages,
    main,
    messages,
    read,
)
from tests.support.languages import run_in

ROOT = Path(__file__).resolve().parents[3]
SINGLE = frozenset({"tr", "Text"})
PLURAL = frozenset({"trn", "Text.plural"})


@cache
def all_calls():
    """Return every call in the code, with its file and the name of the function."""
    return [
        (path.relative_to(ROOT).as_posix(), dotted_name(node.func), node)
        for path in (path for top in ("bot", "cogs", "generation") for path in sorted((ROOT / top).rglob("*.py")))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]


def dotted_name(function):
    """Return the name of a function: `tr`, `Text.plural`."""
    match function:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=owner, attr=name):
            return f"{dotted_name(owner)}.{name}"
    return ""


@cache
def calls(names):
    """Return every call of the functions `names` in the code, with its file and the name."""
    return [call for call in all_calls() if call[1] in names]


@cache
def command_texts():
    """Return the descriptions, choices and context menus that Discord shows."""

    async def payloads():
        async with offline_client() as client:
            return [command.to_dict(client.tree) for command in client.tree.get_commands()]

    def texts(part):
        yield part.get("description") or part["name"]  # a context menu has no description
        yield from (choice["name"] for choice in part.get("choices", []))
        for option in part.get("options", []):
            yield from texts(option)

    return {text for payload in asyncio.run(payloads()) for text in texts(payload)} - {"…"}


@cache
def translatable_texts():
    """Return every text in the code that is translated, with those in tables and those of commands."""
    texts = {text for tables in TABLES.values() for table in tables for text in table.values()} | command_texts()
    for _, name, node in calls(SINGLE | PLURAL):
        match node.args:
            case [ast.Constant(value=str(text))] if name in SINGLE:
                texts.add(text)
            case [ast.Constant(value=str(one)), ast.Constant(value=str(many)), *_] if name in PLURAL:
                texts.add((one, many))
    return texts - {""}


def placeholders(text):
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name)


def forms(text):
    return [text] if isinstance(text, str) else list(text)


@cache
def shipped(language):
    """Return a catalogue as it is in the repository."""
    return read(catalogue_path(language), language)


@pytest.fixture
def catalogue_with_plural(monkeypatch):
    """Install a language whose catalogue has one plural text and one fuzzy text."""
    catalogue = Catalog(locale="pl", fuzzy=False)
    catalogue.add(
        ("{n} job of {of}", "{n} jobs of {of}"), ("{n} zadanie z {of}", "{n} zadania z {of}", "{n} zadań z {of}")
    )
    catalogue.add("next", "guessed", flags=["fuzzy"])
    file = io.BytesIO()
    write_mo(file, catalogue)
    file.seek(0)
    monkeypatch.setitem(CATALOGUES, "pl", gettext.GNUTranslations(file))


def test_there_is_a_german_catalogue():
    assert list(CATALOGUES) == languages()
    assert "de" in CATALOGUES


def test_the_template_has_every_text_of_the_code_and_nothing_else():
    texts = translatable_texts()
    assert messages(extract()).keys() == texts
    assert messages(read(TEMPLATE)).keys() == texts


@pytest.mark.parametrize("language", CATALOGUES)
def test_every_text_is_translated_and_nothing_else(language):
    catalogue = shipped(language)
    assert messages(catalogue).keys() == translatable_texts()
    assert [message.id for message in messages(catalogue).values() if not is_translated(message)] == []
    assert not catalogue.obsolete


@pytest.mark.parametrize("language", CATALOGUES)
def test_a_translation_keeps_the_placeholders_and_outer_spaces(language):
    catalogue = shipped(language)
    for message in messages(catalogue).values():
        english = forms(message.id)[-1]
        for other in forms(message.id) + forms(message.string):
            assert placeholders(other) == placeholders(english)
            assert (other[:1] == " ", other[-1:] == " ") == (english[:1] == " ", english[-1:] == " ")


@pytest.mark.parametrize("language", CATALOGUES)
def test_the_compiled_catalogue_is_current(language):
    with catalogue_path(language, "mo").open("rb") as file:
        compiled = read_mo(file)
    source = shipped(language)
    assert compiled.plural_forms == source.plural_forms
    assert {key: forms(message.string) for key, message in messages(compiled).items()} == {
        key: forms(message.string) for key, message in messages(source).items()
    }


def test_only_listed_tables_are_translated_besides_literals():
    not_literal = [
        (path, text)
        for path, name, node in calls(SINGLE | PLURAL)
        for text in (node.args[:1] if name in SINGLE else node.args[:2])
        if not isinstance(text, ast.Constant)
    ]
    assert [ast.unparse(text) for _, text in not_literal if isinstance(text, ast.JoinedStr | ast.BinOp)] == []
    assert {path for path, _ in not_literal} - {"bot/ui/i18n.py"} == TABLES.keys()  # `render` translates any Text


def test_texts_inside_f_strings_and_of_modules_are_extracted():
    code = b"""f"- {tr('one')} {i18n.tr('two')}"\ntrn("a job", "jobs", count)\ntr(label)\nother("three")
Text("{a} b", a=Text.plural("{n} c", "{n} d", n))"""
    found = [(name, texts) for _, name, texts, _ in extract_calls(io.BytesIO(code), KEYWORDS, (), {})]
    assert found == [
        ("tr", ["one"]),
        ("tr", ["two"]),
        ("trn", ["a job", "jobs", None]),
        ("tr", [None]),
        ("Text", ["{a} b"]),
        ("plural", ["{n} c", "{n} d", None]),
    ]


def test_an_update_keeps_translations_and_a_second_one_changes_nothing(tmp_path, monkeypatch):
    for name in ("LOCALES", "TEMPLATE"):
        monkeypatch.setattr(f"scripts.translations.{name}", tmp_path / ("atelier.pot" if name == "TEMPLATE" else ""))
    source = catalogue_path("de")
    source.parent.mkdir(parents=True)
    source.write_bytes((i18n.LOCALES / "de" / "LC_MESSAGES" / "atelier.po").read_bytes())
    main(["fr"])
    first = {path: path.read_bytes() for path in tmp_path.rglob("atelier.*")}
    assert len(first) == 5
    assert messages(read(source, "de"))["waiting"].string == "wartet"
    assert not any(map(is_translated, messages(read(catalogue_path("fr"), "fr")).values()))
    with catalogue_path("fr", "mo").open("rb") as file:
        assert not messages(read_mo(file))
    main()
    assert {path: path.read_bytes() for path in first} == first


def test_a_text_is_english_where_there_is_no_translation():
    assert run_in("de", tr, "waiting") == "wartet"
    assert run_in("en", tr, "waiting") == "waiting"
    assert run_in("xx", tr, "waiting") == "waiting"
    assert run_in("de", tr, "in no catalogue") == "in no catalogue"
    assert run_in("xx", trn, "{n} job", "{n} jobs", 1) == "1 job"
    assert run_in("xx", trn, "{n} job", "{n} jobs", 0) == "0 jobs"


def test_placeholders_are_filled_only_where_there_are_values():
    assert run_in("de", tr, "{number}th in line", number=4) == "Platz 4 in der Warteschlange"
    assert run_in("de", tr, "after a picture by {whom}") == "nach einem Bild von {whom}"
    assert run_in("de", tr, "{not a placeholder") == "{not a placeholder"


def test_an_empty_text_stays_empty():
    assert run_in("de", tr, "") == ""
    assert run_in("de", tr, "", number=1) == ""


@pytest.mark.parametrize(("n", "expected"), [(1, "1 zadanie z 9"), (3, "3 zadania z 9"), (5, "5 zadań z 9")])
def test_a_plural_has_the_forms_of_its_language(catalogue_with_plural, n, expected):
    assert run_in("pl", trn, "{n} job of {of}", "{n} jobs of {of}", n, of=9) == expected


def test_a_guessed_translation_is_not_used(catalogue_with_plural):
    assert run_in("pl", tr, "next") == "next"


def test_a_text_from_generation_is_rendered_with_the_texts_in_it():
    inner = Text("must be between {low} and {high}", low=1, high=4)
    text = Text("In {option}: {problem}", option="`--mine`", problem=inner)
    assert run_in("de", render, text) == "In `--mine`: muss zwischen 1 und 4 liegen"
    assert run_in("en", render, text) == text == "In `--mine`: must be between 1 and 4"
    assert run_in("de", render, str.__str__(inner)) == "must be between 1 and 4"


@pytest.mark.parametrize(("n", "expected"), [(1, "1 zadanie z 9"), (3, "3 zadania z 9"), (5, "5 zadań z 9")])
def test_a_plural_text_from_generation_has_the_forms_of_its_language(catalogue_with_plural, n, expected):
    assert run_in("pl", render, Text.plural("{n} job of {of}", "{n} jobs of {of}", n, of=9)) == expected


def test_an_error_is_shown_in_the_language_of_its_reader_and_logged_in_english():
    problem = Text("Put a space before `--{parameter}`", parameter="ar")
    error, several = UserError(problem), PromptError(problem, Text("only parameters are allowed"), "not translatable")
    assert run_in("de", user_message, error) == "Setz ein Leerzeichen vor `--ar`"
    assert run_in("de", error_text, PromptError(problem)) == "Setz ein Leerzeichen vor `--ar`"
    assert run_in("de", user_message, several).splitlines() == [
        "• Setz ein Leerzeichen vor `--ar`",
        "• Erlaubt sind nur Parameter",
        "• not translatable",
    ]
    assert str(several).splitlines()[:2] == ["• Put a space before `--ar`", "• only parameters are allowed"]


@pytest.mark.parametrize("capability", Capability)
def test_what_a_model_cannot_do_is_negated_in_german(capability):
    text = run_in("de", render, Text("{model} cannot {capability}.", model="Flux", capability=capability.text))
    assert re.fullmatch(r"Flux kann .*\b(nicht|nichts|keine|keinen|kein)\b.*\.", text)


async def set_language(harness, language):
    await (await harness.person(harness.mod).command("config language", harness.channel, language=language)).message()


async def test_the_server_setting_is_the_language_of_messages_and_errors(harness):
    async with harness.bot(jobs_at_once=1):
        await set_language(harness, "Deutsch")
        await harness.imagine("a slow fox")
        await harness.status_message("(25%)")
        await harness.imagine("an owl")
        status_message = await harness.status_message("Wartet auf den Start")
        assert "als Nächstes in der Warteschlange" in status_message.content
        await harness.person(harness.ada).press(status_message, "Abbrechen")
        await harness.server.wait_until(lambda: f"Abgebrochen von <@{harness.ada.id}>." in status_message.content)
        await harness.person(harness.mod).command("config stealth", harness.channel, allowed=False)
        refused = await (await harness.imagine("an owl --stealth")).message()
        assert "auf diesem Server ausgeschaltet" in refused.content
        refused = await (await harness.imagine("an owl --chaos 900 --public")).message()
        assert "`--chaos` muss zwischen 0 und 100 liegen" in refused.content
        await set_language(harness, "English")
        refused = await (await harness.imagine("an owl --stealth")).message()
        assert "switched off" in refused.content


async def test_a_resumed_job_keeps_the_language_of_its_server(harness):
    async with harness.bot(jobs_at_once=1):
        await set_language(harness, "Deutsch")
        await harness.imagine("a slow fox", harness.ben)
        await harness.status_message("(25%)")
        await harness.imagine("an owl")
        status_message = await harness.status_message("an owl")
    async with harness.bot(jobs_at_once=1):
        await harness.server.wait_until(lambda: "in der Warteschlange" in status_message.content)
        harness.release_slow_jobs()
        await harness.result(text="an owl")


async def test_without_a_setting_the_locale_is_the_one_discord_reports(harness):
    harness.guild.locale = "de"
    harness.ben.locale = "de"
    direct = harness.server.world.dm_channel(harness.ben)
    elsewhere = harness.server.world.dm_channel(harness.ada)
    async with harness.bot():
        for user, channel, says in (
            (harness.ada, harness.channel, "The queue is empty"),
            (harness.ben, harness.channel, "Die Warteschlange ist leer"),
            (harness.ben, direct, "Die Warteschlange ist leer"),
            (harness.ada, elsewhere, "The queue is empty"),
        ):
            answer = await (await harness.person(user).command("queue", channel)).message()
            assert says in answer.content


async def test_everyone_reads_the_servers_language_and_a_private_answer_is_in_the_persons(harness):
    harness.ben.locale = "de"
    ben = harness.person(harness.ben)
    async with harness.bot(jobs_at_once=1):
        await harness.imagine("a slow fox", harness.ben)
        status = await harness.status_message("(25%)")
        await harness.imagine("an owl", harness.ben)
        waiting = await harness.status_message("next in line")
        refused = await (await harness.imagine("a --chaos 900", harness.ben)).message()
        assert "`--chaos` muss zwischen" in refused.content
        assert "Ändern und" in refused.labels[0]
        refused = await (await harness.imagine("a --chaos 900")).message()
        assert "`--chaos` must be between" in refused.content
        for command, says in (("settings", "Deine Einstellungen"), ("help", "Etwas zeichnen"), ("info", "Übersicht")):
            assert says in (await (await ben.command(command, harness.channel)).message()).content
        await ben.press(waiting, "Cancel")
        await harness.server.wait_until(lambda: f"Cancelled by <@{harness.ben.id}>" in waiting.content)
        assert status.labels == ["Cancel"]
        secret = await (await harness.imagine("an eel --stealth", harness.ben)).message()
        assert secret.labels == ["Abbrechen"]
        harness.release_slow_jobs()
        grid = await harness.result(text="a slow fox")
        details = await (await ben.press(await pick(harness, ben, grid), "Details")).message()
        assert "Auftrag `" in details.content


async def pick(harness, person, grid):
    await person.press(grid, "U1")
    return await harness.result(text="Image #1")


async def test_a_job_in_direct_messages_keeps_the_persons_language_after_a_restart(harness):
    harness.ben.locale = "de"
    direct = harness.server.world.dm_channel(harness.ben)
    async with harness.bot(jobs_at_once=1):
        await harness.imagine("a slow fox", harness.ben, direct)
        status = await harness.status_message("(25%)", direct)
        await harness.imagine("an owl", harness.ben, direct)
        waiting = await harness.status_message("an owl", direct)
    async with harness.bot(jobs_at_once=1):
        await harness.server.wait_until(lambda: "in der Warteschlange" in waiting.content)
        await harness.person(harness.ben).react(status, "❌")
        await harness.server.wait_until(lambda: f"Abgebrochen von <@{harness.ben.id}>" in status.content)


async def test_a_public_job_keeps_the_servers_language_after_a_restart(harness):
    harness.guild.locale = "de"
    async with harness.bot(jobs_at_once=1):
        await harness.imagine("a slow fox")
        await harness.status_message("(25%)")
        await harness.imagine("an owl")
        waiting = await harness.status_message("an owl")
    async with harness.bot(jobs_at_once=1):
        await harness.server.wait_until(lambda: "in der Warteschlange" in waiting.content)
