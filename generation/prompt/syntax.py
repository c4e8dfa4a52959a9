r"""The special characters of a prompt: escapes, and the start of a parameter.

A backslash escapes: `\::` is two colons, `\--` two dashes, `\{` a brace, `\\` a backslash. During parsing an escaped
character is replaced by one of Unicode's private planes, so that no rule treats it as syntax. A backslash before any
other character is a plain backslash: `\(` stays as it is.
"""

from __future__ import annotations

import re

from generation.prompt.characters import (
    ANGLES_CLOSE,
    ANGLES_OPEN,
    COLONS,
    COMMAS,
    DASHES,
    DOUBLE_COLONS,
    LONG_DASHES,
    PERCENT_SIGNS,
    QUOTES,
    remove_invisible,
)

SYNTAX_CHARS = "".join(
    dict.fromkeys(
        rf"\*{{}}@/#&_|~•={PERCENT_SIGNS}{ANGLES_OPEN}{ANGLES_CLOSE}{DASHES}{COLONS}{DOUBLE_COLONS}{COMMAS}{QUOTES}"
    )
)

# The two private planes have room for every character of the two planes that have syntax; `remove_invisible` removes
# them from what people type.
_MASKED = {mark: chr(ord(mark) + 0xF0000) for mark in SYNTAX_CHARS}
MASKED = "\U000f0000-\U0010ffff"
_UNMASK = str.maketrans({hidden: mark for mark, hidden in _MASKED.items()})
_UNMASK_ESCAPED = str.maketrans({hidden: "\\" + mark for mark, hidden in _MASKED.items()})
_ESCAPED = re.compile(rf"\\([{re.escape(SYNTAX_CHARS)}])")
_ESCAPE = str.maketrans({mark: f"\\{mark}" for mark in SYNTAX_CHARS})


def normalize_text(text: str) -> str:
    """Remove invisible characters and collapse white space to single spaces."""
    return " ".join(remove_invisible(text).split())


def is_link(text: str) -> bool:
    """Return whether a text is a link."""
    return re.match(r"https?://", text, re.IGNORECASE) is not None


def mask(text: str) -> str:
    """Replace escaped characters by private ones, which no rule matches."""
    return _ESCAPED.sub(lambda match: _MASKED[match[1]], text) if "\\" in text else text


def unmask(text: str) -> str:
    """Restore masked characters without their backslashes."""
    return text.translate(_UNMASK)


def unmask_escaped(text: str) -> str:
    """Restore masked characters with their backslashes."""
    return text.translate(_UNMASK_ESCAPED)


def escape_all(text: str) -> str:
    """Put a backslash before each special character in `text`."""
    return text.translate(_ESCAPE)


DASH = rf"[{re.escape(DASHES)}]"
LONG_DASH = rf"[{re.escape(LONG_DASHES)}]"
HYPHEN = rf"[{re.escape(''.join(char for char in DASHES if char not in LONG_DASHES and not char.isalpha()))}]"
LATIN = "[A-Za-zＡ-Ｚａ-ｚ]"
COLON = rf"[{re.escape(COLONS)}]"
DOUBLE_COLON = rf"(?:{COLON}{{2}}|[{DOUBLE_COLONS}])"
# Phones turn `--` into a dash. In prose a dash is between spaces or between words, so there it stays text.
START = rf"(?<!\S)(?:--+(?=\w)|{DASH}{{2,}}(?={LATIN})|{LONG_DASH}(?={LATIN}))"
PARAMETER_START = re.compile(START)
HYPHENS_IN_WORD = rf"(?<=[^\s{re.escape(DASHES)}]){HYPHEN}{{2,}}"


def loose_start(names: str) -> re.Pattern[str]:
    """Return the pattern of dashes that start a parameter only because a name and a number follow them.

    These are a dash with a space after it, one that looks like a single hyphen but is none, and one before a ratio.
    """
    spaced, hyphen = rf"(?:{DASH}{{2,}}|{LONG_DASH})\s(?=(?:{names})\s[.\d])", rf"(?!-){HYPHEN}(?=(?:{names})\s?[.\d])"
    ratio = rf"-\s?-?(?=(?:ar|aspect)\s?\d{{1,6}}{COLON}\d)"  # no word with a hyphen has such a value
    return re.compile(rf"(?<!\S)(?:{spaced}|{hyphen}|{ratio})", re.IGNORECASE)


# A phone turns `fox--ar 3:2` into `fox—ar 3:2`; after one such dash only a ratio is certain to be no prose.
GLUED_PARAMETER = (
    rf"(?<=[^\s{re.escape(DASHES)}])"
    rf"(?:{LONG_DASH}{{2,}}(?={LATIN}+\s?[.\d])|{LONG_DASH}(?=(?:ar|aspect)\s?\d+{COLON}\d))"
)
MISSING_SPACE = re.compile(rf"(?:{HYPHENS_IN_WORD}|{GLUED_PARAMETER})([^\W\d_]+)", re.IGNORECASE)
PERMUTATION_GROUP = re.compile(rf"\{{([^{{}}{re.escape(COMMAS)}]*+)[^{{}}]*+\}}")
# What people write in front of a link: `1.`, `•`, `image 2:`.
LINK_LABEL = rf"(?:[#>•*]|\d{{1,2}}[.)]|(?:images?|img|picture|reference|ref|url|link)(?:\s?\d)?\s?{COLON})"
LINK_WEIGHT = re.compile(rf"{DOUBLE_COLON}[-\d.,]*$")  # Midjourney's, of one picture beside others
IMAGE_LINK = re.compile(r"https?://[^\s/?#]+/[^\s?#]*\.(?:png|jpe?g|webp|gif)(?:[?#]\S*)?", re.IGNORECASE)
