"""Letters that look like Latin ones, from Unicode's names and its table of confusable characters."""

from __future__ import annotations

import re
import unicodedata
from string import ascii_lowercase, ascii_uppercase

from confusable_homoglyphs.confusables import confusables_data

# Alphabets whose words are not harmed when single letters are read as Latin ones: those of words with a blocked word's
# shape are blocked anyway. Arabic or Indic letters resemble an `l` or an `o` and nothing else.
_ALPHABETS = re.compile(
    "LATIN|CYRILLIC|GREEK|ARMENIAN|CHEROKEE|COPTIC|LISU|DESERET|OSAGE|GOTHIC|TIFINAGH|OLD ITALIC|LYCIAN"
)
_LATIN_NAME = re.compile(r"LATIN (?:SMALL LETTER|LETTER SMALL CAPITAL) ([A-Z])(?: WITH .*)?")
_LATIN_BLOCKS = (*range(0x80, 0x250), *range(0x250, 0x2B0), *range(0x1D00, 0x1DC0), *range(0x2C60, 0x2C80))
_MORE_LATIN_BLOCKS = (*range(0xA720, 0xA800), *range(0xAB30, 0xAB70))
_EMOJI_ALPHABET_STARTS = (0x1F150, 0x1F170, 0x1F1E6)  # circled, squared and flag letters: 26 each
# Lower-case letters whose capitals alone are in Unicode's table, or that resemble a Latin letter only at a glance.
_AT_A_GLANCE = {"п": "n", "η": "n", "ω": "w", "в": "b", "н": "h", "м": "m", "к": "k", "т": "t", "ε": "e", "ц": "u"}
_DIGRAPHS = {"æ": "ae", "œ": "oe"}


def _confusables(letters: str) -> dict[int, str]:
    table: dict[int, str] = {}
    for letter in letters:
        for char in (each["c"] for each in confusables_data.get(letter, [])):
            folded = char.casefold()
            if len(folded) == 1 and not folded.isascii() and _ALPHABETS.match(unicodedata.name(folded, "")):
                table.setdefault(ord(folded), letter.lower())
    return table


def look_alikes() -> dict[int, str]:
    """Return the Latin letters by the code points of the case-folded letters that look like them."""
    table = _confusables(ascii_uppercase) | _confusables(ascii_lowercase)  # the shapes of small letters count more
    for code in (*_LATIN_BLOCKS, *_MORE_LATIN_BLOCKS):
        if name := _LATIN_NAME.fullmatch(unicodedata.name(chr(code), "")):
            table[code] = name[1].lower()
    for first in _EMOJI_ALPHABET_STARTS:
        table |= {first + number: letter for number, letter in enumerate(ascii_lowercase)}
    return table | {ord(char): letters for char, letters in (_AT_A_GLANCE | _DIGRAPHS).items()}
