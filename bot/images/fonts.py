"""A font for text in images: one of the system's, or Pillow's own, which has ASCII only."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from PIL import ImageFont

SYSTEM_FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "Arial.ttf", "arial.ttf")
MISSING = "·"  # for a character that the font cannot draw
_NOT_A_CHARACTER = "\ufffe"
_GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss"})

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@lru_cache
def load_font(size: int) -> Font:
    """Return the first font that the system has, else Pillow's own."""
    for name in SYSTEM_FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def printable(text: str, font: Font) -> str:
    """Return `text` with characters that the font has: without accents, or a dot, for those that it lacks."""
    return "".join(_substitute(char, font) for char in text)


@lru_cache(4096)
def _substitute(char: str, font: Font) -> str:
    for candidate in (char, char.translate(_GERMAN), _without_accents(char)):
        if candidate and all(_has(each, font) for each in candidate):
            return candidate
    return MISSING if _has(MISSING, font) else "."


def _without_accents(char: str) -> str:
    return "".join(each for each in unicodedata.normalize("NFKD", char) if not unicodedata.combining(each))


def _has(char: str, font: Font) -> bool:
    return char.isspace() or bytes(font.getmask(char)) != bytes(font.getmask(_NOT_A_CHARACTER))
