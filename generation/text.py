"""Sentences that the bot can translate; this package itself speaks English only."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


class Text(str):
    """An English sentence that keeps its template and values: the bot translates the template and fills it again.

    `python -m scripts.translations` extracts only literals, so the template must be one. A value may be a Text again.
    """

    __slots__ = ("number", "plural_template", "template", "values")

    template: str
    plural_template: str | None  # only with a `number`, which selects the form
    number: int
    values: Mapping[str, object]

    def __new__(cls, template: str, /, **values: object) -> Text:
        return _filled(cls, template, None, 0, values)

    @classmethod
    def plural(cls, singular: str, plural: str, n: int, /, **values: object) -> Text:
        """Return the form for `n`, with `{n}` and the other placeholders filled; both have the same placeholders."""
        return _filled(cls, singular, plural, n, values)

    def __str__(self) -> str:
        return self  # so that `str(error)` is the Text in the error

    def __reduce__(self) -> tuple[Any, ...]:
        return _filled, (type(self), self.template, self.plural_template, self.number, dict(self.values))


def _filled(
    cls: type[Text], template: str, plural_template: str | None, number: int, values: Mapping[str, object]
) -> Text:
    if plural_template is not None:
        sentence = (template if number == 1 else plural_template).format(n=number, **values)
    else:
        sentence = template.format(**values) if values else template
    text = str.__new__(cls, sentence)
    text.template, text.plural_template, text.number = template, plural_template, number
    text.values = MappingProxyType(dict(values))
    return text
