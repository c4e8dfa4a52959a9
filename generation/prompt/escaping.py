"""Escape text, so that parsing returns it unchanged."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from generation.prompt.characters import ANGLES_OPEN, COMMAS, QUOTES, lone_quote, to_narrow
from generation.prompt.copied_markup import ENTITY, TAG_NAMES
from generation.prompt.copied_text import COMMANDS, PREFACE, message_patterns
from generation.prompt.infotext.keys import MARKERS
from generation.prompt.infotext.labels import PROMPT_LABEL
from generation.prompt.syntax import (
    COLON,
    DASH,
    DOUBLE_COLON,
    GLUED_PARAMETER,
    HYPHEN,
    HYPHENS_IN_WORD,
    LATIN,
    LINK_LABEL,
    LONG_DASH,
    START,
    SYNTAX_CHARS,
    escape_all,
)

_LOOSE_START = (
    rf"(?<!\S)(?:(?!-){HYPHEN}(?={LATIN})|(?:{DASH}{{2,}}|{LONG_DASH})(?=\s\w+\s[.\d])|-(?=\s?-?(?:ar|aspect)\s?\d))"
)

_MARKERS = re.compile(MARKERS, re.IGNORECASE)


@cache
def _special(signature_start: str, in_list: bool) -> re.Pattern[str]:
    item_end = rf"|[{re.escape(COMMAS)}]|[{re.escape(QUOTES)}]\Z" if in_list else ""
    return re.compile(
        rf"\A{COMMANDS}|\A[\W\d_]*+(?:imagine\s)?{PROMPT_LABEL}[\s*_`\"#\d]*{COLON}|\A{PREFACE}|%(?=[0-9A-Fa-f]{{2}})"
        rf"|\A\W*+(?:{LINK_LABEL}|[^\[\]]*+\]\()?\W*+https?:|\A[>*#_~|•-][>*#_~|-]*|\A[{re.escape(QUOTES)}]"
        rf"|\A[^()]{{0,60}}\(?\s?(?:positive_?)?prompt\s?=\s?[\"'“]|\*\*|(?<!\w)\*(?=\S|\Z)|(?<!\w)__+(?=\S|\Z)|\|\|"
        rf"|{ENTITY}|</?{TAG_NAMES}\b|\\(?=[rnt])"
        rf"|{START}|{_LOOSE_START}|{HYPHENS_IN_WORD}(?=\w)|(?<=\S)--(?!\w)|{DOUBLE_COLON}|[{{}}]"
        rf"|[{ANGLES_OPEN}](?=\s?(?:https?:|\w+\s?{COLON}))|{signature_start}"
        rf"|(?<!\S)[`\"“](?=--)|{GLUED_PARAMETER}|\\(?=[{re.escape(SYNTAX_CHARS)}]|\Z){item_end}",
        re.IGNORECASE,
    )


def escape(text: str, *, in_list: bool = False) -> str:
    """Escape `text` so that parsing returns it unchanged, also as an item of a list if `in_list`."""
    return _escaped(text, message_patterns().signature_start, in_list)


def forget_texts() -> None:
    """Forget the texts that were escaped: they may be erased."""
    _escaped.cache_clear()


@lru_cache(maxsize=1024)  # a job's prompt is shown again and again while it is generated
def _escaped(text: str, signature_start: str, in_list: bool) -> str:
    special = _special(signature_start, in_list).finditer(text)
    spans = [match.span() for match in (*special, *_MARKERS.finditer(to_narrow(text)))]
    places: set[int | None] = {place for span in spans for place in range(*span)}
    places.add(lone_quote("".join(" " if place in places else char for place, char in enumerate(text))))
    return "".join(escape_all(char) if place in places else char for place, char in enumerate(text))
