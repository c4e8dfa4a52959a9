"""The characters that keyboards and word processors put in place of plain ASCII ones, found in Unicode's own data."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import islice

import regex

_PUNCTUATION = regex.compile(r"[\p{P}\p{S}]")
# The planes that have punctuation, without the large blocks of Chinese and Korean letters in between.
_BLOCKS = "".join(map(chr, [*range(0x3400), *range(0xA000, 0xAC00), *range(0xFE00, 0x20000)]))
_KEYWORDS = re.compile(
    "COLON|RATIO|PROPORTION|COMMA|STOP|DECIMAL|LEADER|DASH|HYPHEN|MINUS|BAR|BOX|QUOT|APOS|ACCENT|CORNER"
)
_NAMED = [
    (char, name)
    for char in _PUNCTUATION.findall(_BLOCKS)
    if _KEYWORDS.search(name := unicodedata.name(char, "")) or unicodedata.category(char) == "Pd"
]


def _with_name(pattern: str, *, also: str = "") -> str:
    """Return the punctuation marks whose names match, in the order of their code points, and those of `also`."""
    matches = re.compile(pattern).search
    return "".join(dict.fromkeys([*also, *(char for char, name in _NAMED if matches(name))]))


# The keys for `-` of a Japanese and a Korean keyboard give letters.
_DASH_LETTERS = "ーｰㅡ"
_HYPHENS = _with_name(
    r"^(?:HEAVY |MODIFIER LETTER )?MINUS SIGN$|SCRIPT MINUS$|^HYPHEN BULLET$|^BOX DRAWINGS (?:LIGHT|HEAVY) HORIZONTAL$",
    also="-" + "".join(char for char, _ in _NAMED if unicodedata.category(char) == "Pd"),
)
DASHES = _HYPHENS + _DASH_LETTERS
# One of these alone may stand for `--`: word processors and phones make it of two hyphens.
LONG_DASHES = "".join(
    char
    for char, name in _NAMED
    if unicodedata.category(char) == "Pd" and re.search(r"\b(?:DASH|BAR)$", name) and not name.startswith("WAV")
)
COLONS = _with_name(r"^RATIO$|^(?!CUNEIFORM|.*(?:APL|EQUALS|TYPE)\b).*\bCOLON$")
DOUBLE_COLONS = _with_name(r"^PROPORTION$")
COMMAS = "".join(char for char in _with_name(r"\bCOMMA$") if unicodedata.category(char) == "Po")
STOPS = "".join(
    char
    for char in _with_name(r"\b(?:FULL STOP|DECIMAL SEPARATOR|ONE DOT LEADER)$")
    if unicodedata.category(char) == "Po"
)
_SINGLE_QUOTES = _with_name(r"\bAPOSTROPHE$|^(?:SINGLE .*|LEFT SINGLE |RIGHT SINGLE |HEAVY .*SINGLE .*)QUOTATION MARK")
DOUBLE_QUOTES = "".join(char for char in _with_name(r"QUOTATION MARK") if char not in _SINGLE_QUOTES)
_CODE_MARKS = _with_name(r"^(?:FULLWIDTH )?GRAVE ACCENT$|^ACUTE ACCENT$")
_CORNERS = _with_name(r"CORNER BRACKET$")
_DOUBLE_QUOTE = re.compile(f"[{re.escape(DOUBLE_QUOTES)}]")
QUOTE_FAMILIES = (_SINGLE_QUOTES, DOUBLE_QUOTES, _CODE_MARKS, _CORNERS)
QUOTES = "".join(QUOTE_FAMILIES)
NOT_APOSTROPHES = DOUBLE_QUOTES + _CODE_MARKS + _CORNERS
ANGLES_OPEN, ANGLES_CLOSE = "<＜﹤", ">＞﹥"
SEPARATORS = f" ;；؛{COMMAS}{STOPS}"  # what people put between parameters
OPENING_MARKS = f"([（【{ANGLES_OPEN}"
PERCENT_SIGNS = "%％﹪\u066a"
CLOSING_MARKS = f"{SEPARATORS}!?…！？)]）】|&{PERCENT_SIGNS}{ANGLES_CLOSE}"  # after a value

_ASCII = str.maketrans(
    dict.fromkeys(PERCENT_SIGNS, "%")
    | dict.fromkeys(DASHES, "-")
    | dict.fromkeys(COLONS, ":")
    | dict.fromkeys(COMMAS, ",")
    | dict.fromkeys(STOPS, ".")
)


def to_ascii(value: str) -> str:
    """Return a number, a ratio or a name with plain digits, letters, signs and decimal marks."""
    return value if value.isascii() else unicodedata.normalize("NFKC", value.translate(_ASCII)).translate(_ASCII)


# What Chinese and Japanese keyboards give for ASCII's characters, one for one.
_NARROW = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | str.maketrans("、。【】〔〕", ",.[][]")


def to_narrow(text: str) -> str:
    """Return the text with ASCII's characters for full-width ones, each in its place."""
    return text if text.isascii() else text.translate(_NARROW)


# Of these, a blank of the same width is seen.
_BLANK = regex.compile("[\u2800\u3164\uffa0]")
_HIDDEN = regex.compile(
    r"(?P<kept>\p{Prepended_Concatenation_Mark}|\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f)"
    r"|[\p{Cf}\p{Default_Ignorable_Code_Point}\p{Cs}\p{Noncharacter_Code_Point}\U000f0000-\U0010ffff"
    r"\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"  # control characters that are not white space
    r"--\u200c\u200d\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]",
    regex.V1,
)
_PICTURE = r"\p{Extended_Pictographic}\p{So}\p{Sk}"
_STRAY_SELECTOR = regex.compile(
    rf"(?<![{_PICTURE}\p{{Lo}}])(?<![0-9#*](?=\ufe0f\u20e3))[\ufe00-\ufe0f\U000e0100-\U000e01ef]"
    r"|(?<!\p{Mongolian})[\u180b-\u180f]|\u180e(?!\p{Mongolian})",
    regex.V1,
)
_JOINABLE = rf"[[{_PICTURE}\p{{L}}\p{{M}}]--\p{{Latin}}]"
# After a virama a joiner makes a letter of its own, also at the end of a word.
_STRAY_JOINER = regex.compile(
    rf"(?<!{_JOINABLE})[\u200c\u200d]|(?<!\p{{CCC=Virama}})[\u200c\u200d](?!{_JOINABLE})", regex.V1
)


def remove_invisible(text: str) -> str:
    """Remove what nobody sees, and turn what looks like a blank into one; emoji and joined letters stay whole."""
    if text.isascii() and text.isprintable():
        return text
    text = _HIDDEN.sub(lambda match: match["kept"] or "", _BLANK.sub(" ", text))
    shown: str = _STRAY_JOINER.sub("", _STRAY_SELECTOR.sub("", text))
    return shown


def unquote(text: str) -> str:
    """Return `text` without the quotation or code marks around the whole of it."""
    while (inner := _inside_quotes(text)) is not None:
        text = inner
    return text


def lone_quote(text: str) -> int | None:
    """Return where `text` has its only quotation mark, if that is at an end and not a number's (`5"`)."""
    marks = [match.start() for match in islice(_DOUBLE_QUOTE.finditer(text), 2)]
    if len(marks) != 1 or len(text) == 1:
        return None
    (place,) = marks
    return place if place == 0 or (place == len(text) - 1 and not text[-2].isdigit()) else None


def _inside_quotes(text: str) -> str | None:
    family = next((family for family in QUOTE_FAMILIES if len(text) > 1 and text[0] in family), None)
    if family is None or text[-1] not in family:
        return None
    inner = text[1:-1]
    first = next(_quotes_in(inner, family), None)
    # Otherwise the first quotation ends before the text does: `"hot" and "cold"`.
    is_opening = first is None or first == 0 or inner[first - 1].isspace()
    return inner.strip() if is_opening and inner.strip() else None


def _quotes_in(text: str, family: str) -> Iterator[int]:
    """Yield where `text` has quotation marks of a family; an apostrophe inside a word is none."""
    for place, char in enumerate(text):
        if char in family and not (text[place - 1 : place].isalnum() and text[place + 1 : place + 2].isalnum()):
            yield place
