"""Translate messages with gettext: into the server's language, or the person's where only that person reads them."""

from __future__ import annotations

import gettext
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
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

MIN_FIXED_CHARACTERS = 10  # of a template that is recognised by its words
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")

_locale: ContextVar[str] = ContextVar("language", default=ENGLISH)
_audiences: ContextVar[Audiences | None] = ContextVar("audiences", default=None)


@dataclass(frozen=True, slots=True)
class Audiences:
    """The languages of an interaction: for the person alone, and for everyone in the channel."""

    person: str
    everyone: str


def set_locale(locale: str) -> None:
    """Set the language of this task and of the tasks that it starts, whoever reads what they send."""
    _audiences.set(None)
    _locale.set(locale)


def audience_locale(*, private: bool) -> str:
    """Return the language of the person alone, or of everyone; without an interaction it is the current one."""
    languages = _audiences.get()
    if languages is None:
        return _locale.get()
    return languages.person if private else languages.everyone


@contextmanager
def audience(*, private: bool) -> Iterator[None]:
    """Use the language of those who read what the block and its tasks send: the person alone, or everyone."""
    token = _locale.set(audience_locale(private=private))
    try:
        yield
    finally:
        _locale.reset(token)


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


def find_template(text: str) -> str | None:
    """Return the English template of a translated or English sentence that was filled in; None if none fits."""
    if text in _templates():
        return _templates()[text]
    fitting = (each for each in _patterns() if each.pattern.fullmatch(text))
    best = max(fitting, key=lambda each: each.letters, default=None)
    return None if best is None else best.template


@dataclass(frozen=True, slots=True)
class _FilledPattern:
    """A template with placeholders as a pattern, and how many of its characters are fixed."""

    pattern: re.Pattern[str]
    template: str
    letters: int


@cache
def _templates() -> dict[str, str]:
    """Return the English template of each text without values, in every language."""
    return {text: template for text, template in _all_texts() if not _PLACEHOLDER.search(text)}


@cache
def _patterns() -> tuple[_FilledPattern, ...]:
    found = []
    for text, template in _all_texts():
        fixed = _PLACEHOLDER.split(text)
        letters = sum(map(len, fixed))
        if len(fixed) > 1 and letters >= MIN_FIXED_CHARACTERS:
            pattern = re.compile(".*?".join(map(re.escape, fixed)), re.DOTALL)
            found.append(_FilledPattern(pattern, template, letters))
    return tuple(found)


def _all_texts() -> Iterator[tuple[str, str]]:
    """Yield every text of every catalogue, and the English text itself, each with its English template."""
    for catalogue in CATALOGUES.values():
        for key, text in catalogue._catalog.items():  # type: ignore[attr-defined]
            template = key[0] if isinstance(key, tuple) else key
            if template:
                yield text, template
                yield template, template


def _catalogue() -> gettext.NullTranslations:
    return CATALOGUES.get(_locale.get(), _UNTRANSLATED)


async def use_interaction_locale(interaction: discord.Interaction[Any]) -> None:
    """Set the languages of an interaction: the server's setting, or else Discord's locales of person and server.

    The language is the person's; `audience` switches to the server's for what everyone reads.
    """
    settings = await interaction.client.services.policy.settings(interaction.guild_id)
    person = _language(interaction.locale)
    everyone = person if interaction.guild_id is None else _language(interaction.guild_locale)
    set_locale(settings.language or person)
    _audiences.set(Audiences(settings.language or person, settings.language or everyone))


def _language(locale: discord.Locale | None) -> str:
    return str(locale or ENGLISH).partition("-")[0]
