"""Words that change while a picture is drawn, in AUTOMATIC1111's notation: `[red:blue:.4]`, `[a moon:10]`, `[fog::.5]`.

Brackets with colons are also prose: `[12:30]`, `[John 3:16]`, `[note: the sky is red]`. Only brackets that end in a
share or in a number of steps are an edit, and only if words change in them.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from generation.edited_text import EditedText, TextEdit, write_edits
from generation.params import PromptPart
from generation.prompt.characters import COLONS, COMMAS, DOUBLE_COLONS, PERCENT_SIGNS, STOPS, to_ascii
from generation.prompt.escaping import escape
from generation.prompt.syntax import escape_all, mask, unmask, unmask_escaped
from generation.text import Text

MAX_EDITS = 16
MAX_LENGTH_OF_WHEN = 10  # with the colon before it

# Private characters in place of an edit's brackets and colons; `remove_invisible` removes them from what people type,
# and no escaped character is replaced by one of them.
_OPEN, _THEN, _CLOSE = "\U0010fff0", "\U0010fff1", "\U0010fff2"
_MARKS = re.compile(rf"([()\[\]{re.escape(COLONS)}{re.escape(DOUBLE_COLONS)}])")
_SHARE = re.compile(
    rf"\s?(?:[0\uff10]?[{re.escape(STOPS + COMMAS)}]\d{{1,6}}|\d{{1,2}}\s?[{re.escape(PERCENT_SIGNS)}])\s?"
)
_STEPS = re.compile(r"(\s?)[1-9]\d{0,2}\s?")
_LETTER = re.compile(r"[^\W\d_]")
_LAST_LETTER = re.compile(r"[^\W\d_]\W*\Z")
_GROUP_OR_COLON = re.compile(rf"\([^()\[\]]*+\)|[{re.escape(COLONS)}{re.escape(DOUBLE_COLONS)}]")


@dataclass(slots=True)
class _Bracket:
    """An open bracket: its place and character, the places of the colons in it, and whether `::` divides it."""

    place: int
    mark: str
    colons: list[int]
    is_divided: bool = False


class _Span(NamedTuple):
    """The places of an edit's brackets and of its colons."""

    start: int
    colons: list[int]
    end: int


def mark_edits(text: str) -> str:
    """Return a masked text with private characters for the brackets and colons of its edits."""
    if "[" not in text:
        return text
    chars = list(text)
    for start, colons, end in _find_edits(text):
        chars[start], chars[end] = _OPEN, _CLOSE
        for place in colons:
            chars[place] = _THEN * (2 if text[place] in DOUBLE_COLONS else 1)
    return "".join(chars)


def count_edits(text: str) -> int:
    """Return how many edits a masked text has, or one whose edits are marked."""
    return mark_edits(text).count(_OPEN)


def edit_problems(text: str) -> list[Text]:
    """Return the problem of a masked text with too many edits."""
    if (number := count_edits(text)) <= MAX_EDITS:
        return []
    return [
        Text(
            "The words of a prompt can change at most {limit} times while it is drawn; this one has {number} changes",
            limit=MAX_EDITS,
            number=number,
        )
    ]


def read_part(marked: str, weight: float) -> PromptPart:
    """Return the part of a prompt that a text with marked edits is; too many edits are taken as plain text."""
    if not 0 < count_edits(marked) <= MAX_EDITS:
        return PromptPart(unmask(unmark_edits(marked)).strip(), weight)
    edited = _read_pieces(iter(re.split(f"([{_OPEN}{_THEN}{_CLOSE}])", marked.strip())))[0]
    part = PromptPart("", weight, edited)
    return PromptPart(part.texts[0], weight, edited)


def write_part(part: PromptPart) -> str:
    """Return a part's text so that parsing returns it again."""
    marked = write_edits(part.edited or (part.text,), _written, (_OPEN, _THEN, _CLOSE))
    return unmask_escaped(unmark_edits(_escaped_edits(marked)))


def unmark_edits(marked: str) -> str:
    """Return a text with the brackets and colons of its edits."""
    return marked.replace(_OPEN, "[").replace(_THEN, ":").replace(_CLOSE, "]")


def _read_pieces(tokens: Iterator[str]) -> tuple[EditedText, str]:
    """Return the pieces up to the next mark that ends them, and that mark."""
    pieces: list[str | TextEdit] = []
    for token in tokens:
        if token in (_THEN, _CLOSE):
            return tuple(pieces), token
        if token == _OPEN:
            pieces.append(_read_edit(tokens))
        elif token:
            pieces.append(unmask(token))
    return tuple(pieces), ""


def _read_edit(tokens: Iterator[str]) -> TextEdit:
    sides, mark = list[EditedText](), ""
    while mark != _CLOSE:
        side, mark = _read_pieces(tokens)
        sides.append(side)
    *words, when = sides
    before, after = words if len(words) == 2 else ((), *words)
    return TextEdit(before, after, _moment(str(when[0])))


def _moment(typed: str) -> float:
    number = to_ascii(typed).replace(",", ".").replace(" ", "")
    return float(number.removesuffix("%")) / 100 if number.endswith("%") else float(number)


def _find_edits(text: str) -> Iterator[_Span]:
    """Yield the edits of a text, the inner ones first; in time that grows with its length alone."""
    if "[" not in text:
        return
    opened, letters = list[_Bracket](), [match.start() for match in _LETTER.finditer(text)]
    for match in _MARKS.finditer(text):
        mark, place = match[0], match.start()
        if mark in "([":
            opened.append(_Bracket(place, mark, []))
        elif mark not in ")]":
            if opened:
                opened[-1].colons.append(place)
        elif opened and opened[-1].mark == {")": "(", "]": "["}[mark]:
            bracket = opened.pop()
            span = _Span(bracket.place, bracket.colons, place)
            if mark == "]" and not bracket.is_divided and _is_edit(text, span, letters):
                yield span
            elif opened and (bracket.is_divided or _has_double(text, bracket.colons)):
                opened[-1].is_divided = True  # `[(a::2):b:.5]`: each part has one of the brackets


def _has_double(text: str, colons: list[int]) -> bool:
    places = set(colons)
    return any(text[place] in DOUBLE_COLONS or place + 1 in places for place in colons)


def _is_edit(text: str, span: _Span, letters: list[int]) -> bool:
    if not span.colons or len(span.colons) > 2 or span.end - span.colons[-1] > MAX_LENGTH_OF_WHEN:
        return False
    start, first, last = span.start, span.colons[0], span.colons[-1]
    when, is_double = text[last + 1 : span.end], text[last] in DOUBLE_COLONS
    if is_double and len(span.colons) == 2:
        return False
    is_three = is_double or len(span.colons) == 2
    if _SHARE.fullmatch(when):
        return _has_letter(letters, start, last)
    if (steps := _STEPS.fullmatch(when)) is None:
        return False
    if is_three:  # `[12:30:45]`, `[t:12:30]`
        return _has_letter(letters, *((first, last) if last > first + 1 else (start, first)))
    before = text[max(start + 1, first - MAX_LENGTH_OF_WHEN) : first]
    return not steps[1] and _LAST_LETTER.search(before) is not None  # `[Exit: 3]`, `[John 3:16]`


def _has_letter(letters: list[int], start: int, end: int) -> bool:
    """Return whether one of the places of letters is in a range."""
    return bisect_left(letters, start) < bisect_left(letters, end)


def _escaped_edits(masked: str) -> str:
    """Mask the last colons of what would be read as an edit."""
    places = {span.colons[-1] for span in _find_edits(masked)}
    return (
        "".join(_masked(char) if place in places else char for place, char in enumerate(masked)) if places else masked
    )


def _written(text: str, inside: bool) -> str:
    """Return a text as it is escaped and masked; in an edit, colons mean something unless they are in parentheses."""
    masked = mask(escape(text))
    if not inside:
        return masked
    return _GROUP_OR_COLON.sub(lambda found: found[0] if found[0][0] == "(" else _masked(found[0]), masked)


def _masked(text: str) -> str:
    return mask(escape_all(text))
