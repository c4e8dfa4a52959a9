"""Run code in another language without changing the language of the test."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from typing import TypeVar

from bot.ui.i18n import set_locale

T = TypeVar("T")


def run_in(language: str, function: Callable[..., T], *args: object, **values: object) -> T:
    """Return what `function` returns in a language."""
    context = copy_context()
    context.run(set_locale, language)
    return context.run(function, *args, **values)
