"""The language in which people are told things: what a server's owners chose, or else what Discord knows of it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import discord

from bot.german import GERMAN

CATALOGUES = {"de": GERMAN}  # by Discord's names of languages; what is in none is said in English
ENGLISH = "en"

_language: ContextVar[str] = ContextVar("language", default=ENGLISH)


def speak(language: str) -> None:
    """Speak a language from here on, in this task and in those that it begins."""
    _language.set(language)


def tr(text: str, **values: object) -> str:
    """Give `text` in the language that is spoken, with the values in its places, if there are any."""
    said = CATALOGUES.get(_language.get(), {}).get(text, text)
    return said.format(**values) if values else said


async def listen(interaction: discord.Interaction[Any]) -> None:
    """Speak the language of where an interaction comes from."""
    settings = await interaction.client.studio.policy.settings(interaction.guild_id)
    own = interaction.guild_locale if interaction.guild_id is not None else interaction.locale
    speak(settings.language or str(own or ENGLISH).partition("-")[0])
