r"""Backslashes: `\::` is two colons, `\--` two dashes, `\{` a brace, and `\\` a backslash.

While a prompt is read, an escaped character is one of Unicode's noncharacters, which are set aside for such inner use,
so that no rule takes it for a mark. A backslash before any other character is only a backslash: `\(` stays as it is.
"""

from __future__ import annotations

import re

COMMAS = ",，、،"  # of the Latin, Chinese, Japanese and Arabic keyboards
MARKS = "\\-–—:：*<>{}@/" + COMMAS

_HIDDEN = {mark: chr(0xFDD0 + index) for index, mark in enumerate(MARKS)}
_SHOWN = str.maketrans({hidden: mark for mark, hidden in _HIDDEN.items()})
_RESTORED = str.maketrans({hidden: "\\" + mark for mark, hidden in _HIDDEN.items()})
_ESCAPED = re.compile(rf"\\([{re.escape(MARKS)}])")
_MARK = re.compile(rf"[{re.escape(MARKS)}]")
_NOISE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"  # controls that are not white space
    "\u200b\u2060\ufeff"  # pasted from web pages, and what hides a mention
    "\u200e\u200f\u202a-\u202e\u2066-\u2069"  # turn the direction of what follows
    "\ud800-\udfff\ufdd0-\ufdef]"
)


def clean(text: str) -> str:
    """Drop what cannot be seen and make every stretch of white space one space."""
    return " ".join(_NOISE.sub("", text).split())


def hide(text: str) -> str:
    """Put escaped characters out of the sight of every rule."""
    return _ESCAPED.sub(lambda match: _HIDDEN[match[1]], text) if "\\" in text else text


def reveal(text: str) -> str:
    """Show hidden characters again, without their backslashes."""
    return text.translate(_SHOWN)


def restore(text: str) -> str:
    """Show hidden characters again, with their backslashes."""
    return text.translate(_RESTORED)


def escape_all(text: str) -> str:
    """Put a backslash before each mark in `text`."""
    return _MARK.sub(r"\\\g<0>", text)
