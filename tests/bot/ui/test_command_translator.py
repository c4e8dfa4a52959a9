"""Discord gets the descriptions, choices and context menus of commands in every language of the catalogues."""

from __future__ import annotations

import gettext
import io

import discord
import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from discord import app_commands

from bot.ui.command_translator import CommandTranslator
from bot.ui.i18n import CATALOGUES
from preview.validation.commands import check_commands
from scripts.commands_doc import offline_client

FIELDS = ("name_localizations", "description_localizations")


async def translated_payloads():
    async with offline_client() as client:
        translator = CommandTranslator()
        return [await command.get_translated_payload(client.tree, translator) for command in client.tree.get_commands()]


def parts(payload):
    """Yield a command and all its options."""
    yield payload
    for option in payload.get("options", []):
        yield from parts(option)


def catalogue(**texts):
    file = io.BytesIO()
    source = Catalog(locale="de", fuzzy=False)
    for english, german in texts.items():
        source.add(english, german)
    write_mo(file, source)
    file.seek(0)
    return gettext.GNUTranslations(file)


async def test_discord_accepts_the_commands_with_all_translations():
    payloads = await translated_payloads()
    assert check_commands(payloads) == []
    for part in (part for payload in payloads for part in parts(payload)):
        texts = [part, *part.get("choices", [])]
        assert {locale for text in texts for field in FIELDS for locale in text.get(field, {})} <= {"de"}


async def test_every_description_is_translated():
    for payload in await translated_payloads():
        for part in parts(payload):
            if part.get("description", "…") != "…":
                assert set(part["description_localizations"]) == set(CATALOGUES), part["description"]


async def test_the_names_of_commands_groups_and_options_stay_english():
    for payload in await translated_payloads():
        is_menu = payload["type"] != discord.AppCommandType.chat_input.value
        assert (set(payload.get("name_localizations", {})) == set(CATALOGUES)) is is_menu
        options = [part for part in parts(payload) if part is not payload]
        assert [option["name"] for option in options if option.get("name_localizations")] == []


@pytest.mark.parametrize(
    ("locale", "text", "expected"),
    [
        (discord.Locale.german, "square", "quadratisch"),
        (discord.Locale.german, "in no catalogue", None),
        (discord.Locale.german, "English", None),
        (discord.Locale.american_english, "square", None),
        (discord.Locale.japanese, "square", None),
    ],
)
async def test_without_a_translation_discord_shows_the_english_text(locale, text, expected):
    choice = app_commands.Choice(name=app_commands.locale_str(text), value="stored")
    context = app_commands.TranslationContext(app_commands.TranslationContextLocation.choice_name, choice)
    assert await CommandTranslator().translate(app_commands.locale_str(text), locale, context) == expected


async def test_a_changed_translation_is_sent_to_discord(harness, monkeypatch):
    def registered():
        found = [each for each in harness.server.world.commands.values() if each["name"] == "queue"]
        return [(each["version"], each["description_localizations"]["de"]) for each in found]

    async with harness.bot():
        before = registered()
    async with harness.bot():
        assert registered() == before
    english = next(each["description"] for each in harness.server.world.commands.values() if each["name"] == "queue")
    monkeypatch.setitem(CATALOGUES, "de", catalogue(**{english: "Die Warteschlange"}))
    async with harness.bot():
        assert [german for _, german in registered()] == ["Die Warteschlange"]
