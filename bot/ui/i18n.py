"""The language in which people are told things: what a server's owners chose, or else what Discord knows of it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import discord

from bot.ui.german import GERMAN

CATALOGUES = {"de": GERMAN}  # by Discord's names of languages; what is in none is said in English
ENGLISH = "en"

_locale: ContextVar[str] = ContextVar("language", default=ENGLISH)


def set_locale(locale: str) -> None:
    """Speak a language from here on, in this task and in those that it begins."""
    _locale.set(locale)


def tr(text: str, **values: object) -> str:
    """Give `text` in the language that is spoken, with the values in its places, if there are any."""
    translated = CATALOGUES.get(_locale.get(), {}).get(text, text)
    return translated.format(**values) if values else translated


async def use_interaction_locale(interaction: discord.Interaction[Any]) -> None:
    """Speak the language of where an interaction comes from."""
    settings = await interaction.client.services.policy.settings(interaction.guild_id)
    locale = interaction.guild_locale if interaction.guild_id is not None else interaction.locale
    set_locale(settings.language or str(locale or ENGLISH).partition("-")[0])
