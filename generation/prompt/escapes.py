r"""Backslashes: `\::` is two colons, `\--` two dashes, `\{` a brace, and `\\` a backslash.

While a prompt is read, an escaped character is one of Unicode's noncharacters, which are set aside for such inner use,
so that no rule takes it for a mark. A backslash before any other character is only a backslash: `\(` stays as it is.
"""

from __future__ import annotations

import re

COMMAS = ",，、،"  # of the Latin, Chinese, Japanese and Arabic keyboards
SYNTAX_CHARS = "\\-–—:：*<>{}@/" + COMMAS

_MASKED = {mark: chr(0xFDD0 + index) for index, mark in enumerate(SYNTAX_CHARS)}
_UNMASK = str.maketrans({hidden: mark for mark, hidden in _MASKED.items()})
_UNMASK_ESCAPED = str.maketrans({hidden: "\\" + mark for mark, hidden in _MASKED.items()})
_ESCAPED = re.compile(rf"\\([{re.escape(SYNTAX_CHARS)}])")
_SYNTAX_CHAR = re.compile(rf"[{re.escape(SYNTAX_CHARS)}]")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"  # controls that are not white space
    "\u200b\u2060\ufeff"  # pasted from web pages, and what hides a mention
    "\u200e\u200f\u202a-\u202e\u2066-\u2069"  # turn the direction of what follows
    "\ud800-\udfff\ufdd0-\ufdef]"
)


def normalize_text(text: str) -> str:
    """Drop what cannot be seen and make every stretch of white space one space."""
    return " ".join(_INVISIBLE.sub("", text).split())


def mask(text: str) -> str:
    """Put escaped characters out of the sight of every rule."""
    return _ESCAPED.sub(lambda match: _MASKED[match[1]], text) if "\\" in text else text


def unmask(text: str) -> str:
    """Show hidden characters again, without their backslashes."""
    return text.translate(_UNMASK)


def unmask_escaped(text: str) -> str:
    """Show hidden characters again, with their backslashes."""
    return text.translate(_UNMASK_ESCAPED)


def escape_all(text: str) -> str:
    """Put a backslash before each mark in `text`."""
    return _SYNTAX_CHAR.sub(r"\\\g<0>", text)
