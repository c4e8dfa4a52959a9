r"""Undo the markup of a copied source: HTML's tags and characters, and line breaks that are written as `\n`."""

from __future__ import annotations

import html
import re
from html.entities import html5
from urllib.parse import unquote

from generation.prompt.characters import to_narrow
from generation.prompt.infotext.keys import NEGATIVE, SETTING
from generation.prompt.infotext.labels import PROMPT_LABEL
from generation.prompt.syntax import COLON

_BLOCKS = "p|div|li|ul|ol|h[1-6]|tr|table|pre|blockquote"
TAG_NAMES = rf"(?:br|{_BLOCKS}|span|b|strong|i|em|u|code|td)"
ENTITY = r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});"
# A backslash makes each of these plain text.
_ENTITY = re.compile(rf"(?<!\\){ENTITY}", re.IGNORECASE)
_BREAK_TAG = re.compile(rf"(?<!\\)<(?:br\s?/?|/(?:{_BLOCKS}))\s?>", re.IGNORECASE)
_TAG = re.compile(rf"(?<!\\)</?{TAG_NAMES}(?:\s[^<>]*+)?>", re.IGNORECASE)
_ADDRESS_CODES = re.compile(r"(?<!\\)(?:%[0-9A-F]{2})+", re.IGNORECASE)
_WRITTEN_BREAK = re.compile(r"(?<!\\)(?:\\r)?\\n")
_LABEL_LINE = re.compile(rf"^[^\w\n]*+(?:{NEGATIVE}|{SETTING}|{PROMPT_LABEL}\s?{COLON})", re.IGNORECASE | re.MULTILINE)
# One `\n` before a word may be a part of a path.
_CERTAIN_BREAK = re.compile(r"(?<!\\)(?<!\\n)(?:(?:(?:\\r)?\\n){2,}+|\\r\\n|\\n(?=\s|$|--)|\\t(?=--))")


def undo_markup(text: str) -> str:
    """Return a copied text as a page shows it, with its line breaks."""
    if "%20" in text and "://" not in text and not re.search(r"\s", text):  # a part of an address
        text = _ADDRESS_CODES.sub(lambda match: unquote(match[0], errors="replace"), text)
    return _write_characters(_break_lines(_remove_tags(text)))


def _remove_tags(text: str) -> str:
    broken = _BREAK_TAG.sub("\n", text) if "<" in text else text
    return _TAG.sub("", broken) if "</" in text else broken  # `<b>` alone may be an embedding


def _break_lines(text: str) -> str:
    if "\\" not in text:
        return text
    broken = _WRITTEN_BREAK.sub("\n", text)
    return broken if _LABEL_LINE.search(to_narrow(broken)) else _CERTAIN_BREAK.sub("\n", text)


def _character(entity: str) -> str:
    """Return what a whole entity stands for; `html.unescape` also takes the beginning of an unknown one."""
    return html.unescape(entity) if entity[1] == "#" else html5.get(entity[1:], entity)


def _write_characters(text: str) -> str:
    return _ENTITY.sub(lambda match: _character(match[0]), text) if "&" in text else text
