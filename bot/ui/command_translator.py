"""Translate the descriptions, choices and context menus that Discord shows, by each user's client language."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.app_commands import TranslationContextLocation as Location

from bot.ui.i18n import CATALOGUES

# Help pages, error messages and prompts quote these names, so they are the same in every language.
FIXED_NAMES = (Location.command_name, Location.group_name, Location.parameter_name)


def is_translatable(context: app_commands.TranslationContextTypes) -> bool:
    """Return whether a text is translated: every text except the names of slash commands, groups and options."""
    return context.location not in FIXED_NAMES or isinstance(context.data, app_commands.ContextMenu)


class CommandTranslator(app_commands.Translator):
    """Look up the texts of commands in the same catalogues as the bot's messages."""

    async def translate(
        self, string: app_commands.locale_str, locale: discord.Locale, context: app_commands.TranslationContextTypes
    ) -> str | None:
        """Return the translation, or None where Discord should show the English text."""
        catalogue = CATALOGUES.get(locale.value.partition("-")[0])
        if catalogue is None or not is_translatable(context):
            return None
        translated = catalogue.gettext(string.message)
        return translated if translated != string.message else None
