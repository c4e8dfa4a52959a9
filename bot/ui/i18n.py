"""Translate messages with gettext, into the language of the server's setting or else Discord's locale."""

from __future__ import annotations

import gettext
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import discord

from generation.errors import UserError
from generation.text import Text

DOMAIN = "atelier"
LOCALES = Path(__file__).with_name("locales")
ENGLISH = "en"  # the language of the texts in the code

CATALOGUES = {  # by Discord's language codes; without a catalogue or a translation, texts are English
    path.parents[1].name: gettext.translation(DOMAIN, LOCALES, [path.parents[1].name])
    for path in sorted(LOCALES.glob(f"*/LC_MESSAGES/{DOMAIN}.mo"))
}
_UNTRANSLATED = gettext.NullTranslations()

_locale: ContextVar[str] = ContextVar("language", default=ENGLISH)


def set_locale(locale: str) -> None:
    """Set the language of this task and of the tasks that it starts."""
    _locale.set(locale)


def tr(text: str, **values: object) -> str:
    """Return `text` in the current language, with its placeholders filled if there are any values.

    `python -m scripts.translations` extracts only literals.
    """
    # gettext keeps a catalogue's header under the empty text.
    translated = _catalogue().gettext(text) if text else ""
    return translated.format(**values) if values else translated


def trn(singular: str, plural: str, n: int, **values: object) -> str:
    """Return the form of a text that the current language uses for `n`, with `{n}` and the other placeholders filled.

    `singular` and `plural` have the same placeholders, since a language may use one form for both.
    """
    return _catalogue().ngettext(singular, plural, n).format(n=n, **values)


def render(text: str) -> str:
    """Return a sentence in the current language if it is a Text, and any other text as it is."""
    if not isinstance(text, Text):
        return text
    values = {name: render(value) if isinstance(value, Text) else value for name, value in text.values.items()}
    if text.plural_template is not None:
        return trn(text.template, text.plural_template, text.number, **values)
    return tr(text.template, **values)


def error_text(error: UserError) -> str:
    """Return the text of an error in the current language."""
    return error.translated(render)


def _catalogue() -> gettext.NullTranslations:
    return CATALOGUES.get(_locale.get(), _UNTRANSLATED)


async def use_interaction_locale(interaction: discord.Interaction[Any]) -> None:
    """Set the language of an interaction: the server's setting, or else Discord's locale for the server or user."""
    settings = await interaction.client.services.policy.settings(interaction.guild_id)
    locale = interaction.guild_locale if interaction.guild_id is not None else interaction.locale
    set_locale(settings.language or str(locale or ENGLISH).partition("-")[0])
