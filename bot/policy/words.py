"""Find blocked words in a prompt, also where somebody took pains to hide them, and not inside other words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from string import ascii_lowercase, digits

from bot.language import tr
from generation.errors import UserError
from generation.params import Params
from generation.prompt import PromptError

LONGEST_PHRASE = 100
MOST_WORDS = 10_000
LEAST_STEM = 3  # letters before the star of `word*`: `a*` would be half the language


class Mode(StrEnum):
    """What is done about a blocked word."""

    REFUSE = "refuse"
    WARN = "warn"
    EXCEPT_NO = "except_no"  # refused, unless it is named as something to keep out


@dataclass(frozen=True, slots=True)
class Found:
    """A blocked phrase that was found, as the owners wrote it."""

    phrase: str
    mode: Mode


# Letters of other scripts that are drawn like Latin ones (a choice from Unicode's confusables.txt).
_CYRILLIC, _GREEK, _ARMENIAN, _SMALL, _OTHERS = (
    ("авсԁеһіјкмнорԛѕтуѵԝхгп", "abcdehijkmhopqstyvwxrn"),
    ("αβεηικνορτυχωγ", "abenikvoptuxwy"),
    ("օսոհց", "ounhg"),
    ("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz"),
    ("ıłøđħŧɑɡɩ", "ilodhtagi"),
)
_EMOJI_OF_A = (0x1F150, 0x1F170, 0x1F1E6)  # in circles, in squares, for flags: each an alphabet
_LOOK_ALIKES = (
    str.maketrans(*map("".join, zip(_CYRILLIC, _GREEK, _ARMENIAN, _SMALL, _OTHERS, strict=True)))
    | {first + number: ascii_lowercase[number] for first in _EMOJI_OF_A for number in range(26)}
    | {ord("æ"): "ae", ord("œ"): "oe"}
)
_FILLERS = dict.fromkeys(map(ord, "\u115f\u1160\u3164\uffa0"))  # letters to Unicode, nothing to the eye
_LETTERS_OF_DIGITS = str.maketrans("01345789", "oieastbg")
_LETTERS_OF_SIGNS = str.maketrans("@$!|€+", "asiiet")
_TOKEN = re.compile(r"[^\W_]+")
_WITH_SIGNS = re.compile(r"[@$€]*[^\W_]+(?:[@$!|€+]+[^\W_]+)*[@$€]*")
_JOINED = tuple(
    re.compile(rf"(?<![^\W_])[^\W_]+(?:{between}[^\W_]+)+") for between in (r"[-._*']", r"(?:[^\w\s]|_){1,3}")
)
_SPELLED = re.compile(r"(?<![^\W_])[^\W_](?:[\W_]{1,3}[^\W_](?![^\W_])){2,}")
_LONG_RUN = re.compile(r"(.)\1{2,}")
_NOT_PLAIN = re.compile(r"[\\^$|()\[\]{}?+`]|\*(?!$)")
_UNSEEN = ("Cf", "Mn", "Me")  # formatting characters (zero width among them) and accents
MOST_NAMED = 10  # words in a refusal, which has to fit into a message
LONGEST_SPELLED = 60  # letters; more, one by one, are noise


class Words:
    """A guild's blocked words, made ready to be looked for: a prompt takes microseconds however many there are."""

    def __init__(self, phrases: Mapping[str, str]) -> None:
        self._whole: dict[tuple[str, ...], Found] = {}
        self._lengths: dict[str, set[int]] = {}  # of the phrases that begin with a word, in words
        self._squeezed: dict[str, Found] = {}
        self._stems: dict[str, Found] = {}
        for phrase, mode in phrases.items():
            self._add(_split(_folded(phrase)), Found(phrase, Mode(mode)))
        self._longest_stem = max(map(len, self._stems), default=0)

    def _add(self, tokens: tuple[str, ...], found: Found) -> None:
        if found.phrase.endswith("*"):
            self._stems["".join(tokens)] = found
        elif tokens:
            self._whole[tokens] = found
            self._lengths.setdefault(tokens[0], set()).add(len(tokens))
            self._squeezed["".join(tokens)] = found

    def find(self, text: str) -> list[Found]:
        """Give the blocked phrases in `text`, each once."""
        found: dict[str, Found] = {}
        folded = _folded(text)
        for tokens in _readings(folded):
            for match in self._matches(tokens):
                found.setdefault(match.phrase, match)
        for word in _spelled(folded):
            for match in (*filter(None, [self._squeezed.get(word)]), *self._beginnings(word)):
                found.setdefault(match.phrase, match)
        return list(found.values())

    def _matches(self, tokens: tuple[str, ...]) -> Iterator[Found]:
        for start, token in enumerate(tokens):
            for length in self._lengths.get(token, ()):
                if match := self._whole.get(tokens[start : start + length]):
                    yield match
            yield from self._beginnings(token)

    def _beginnings(self, token: str) -> Iterator[Found]:
        for end in range(LEAST_STEM, min(len(token), self._longest_stem) + 1):
            if match := self._stems.get(token[:end]):
                yield match


def check_phrase(phrase: str) -> str:
    """Give `phrase` as it is kept; raises Complaint for what is no plain word or phrase."""
    plain, shown = " ".join(phrase.casefold().split()), phrase[:40].replace("`", "'")
    if _NOT_PLAIN.search(plain):
        raise UserError(f"`{shown}` is no plain word: I take words, phrases, and `word*` for a beginning.")
    letters = "".join(_split(_folded(plain)))
    if not letters or len(plain) > LONGEST_PHRASE:
        raise UserError(f"`{shown}` cannot be blocked: a phrase has 1 to {LONGEST_PHRASE} letters or digits.")
    if plain.endswith("*") and len(letters) < LEAST_STEM:
        raise UserError(f"`{shown}` would block too much: give at least {LEAST_STEM} letters before the `*`.")
    return plain


def judge(words: Words, params: Params) -> str | None:
    """Give a warning about a prompt's words, or None; raises PromptFaults naming the words when it is refused."""
    wanted = words.find("\n".join(part.text for part in params.parts))
    unwanted = words.find("\n".join((*params.no, params.negative_prompt or "")))
    refused = [found for found in wanted if found.mode is not Mode.WARN]
    refused += [found for found in unwanted if found.mode is Mode.REFUSE]
    if refused:
        raise PromptError(tr("The owners of this server do not allow {words} in prompts", words=_quoted(refused)))
    warned = [found for found in (*wanted, *unwanted) if found.mode is Mode.WARN]
    if not warned:
        return None
    return tr("The owners of this server would rather not see {words} in prompts.", words=_quoted(warned))


def _quoted(found: list[Found]) -> str:
    phrases = dict.fromkeys(match.phrase for match in found)
    shown = ", ".join(f"`{phrase}`" for phrase in islice(phrases, MOST_NAMED))
    left_out = len(phrases) - MOST_NAMED
    return shown if left_out <= 0 else tr("{named} and {number} more", named=shown, number=left_out)


def _readings(folded: str) -> Iterator[tuple[str, ...]]:
    """Give the words of a text as they stand, and as somebody may have meant them to be read."""
    tokens = _split(folded)
    yield tokens
    yield tuple(_LONG_RUN.sub(r"\1", token) for token in tokens)
    yield tuple(_LONG_RUN.sub(r"\1\1", token) for token in tokens)
    yield tuple(token.strip(digits) for token in tokens)
    yield tuple(_unhidden(token) for token in _WITH_SIGNS.findall(folded))
    for pattern in _JOINED:
        for joined in pattern.findall(folded):
            yield ("".join(_split(joined)),)


def _spelled(folded: str) -> Iterator[str]:
    """Give what may have been meant where letters stand one by one."""
    for spelled in _SPELLED.findall(folded):
        letters = "".join(_split(spelled))[:LONGEST_SPELLED]
        yield from (_unhidden(part) for start in range(len(letters)) for part in _parts(letters[start:]))


def _parts(letters: str) -> Iterator[str]:
    return (letters[:end] for end in range(LEAST_STEM, len(letters) + 1))


def _unhidden(token: str) -> str:
    """Read the digits and signs in a word as the letters they look like; a number stays one."""
    letters = token if token.isdigit() else token.translate(_LETTERS_OF_SIGNS).translate(_LETTERS_OF_DIGITS)
    return _LONG_RUN.sub(r"\1", letters)


def _folded(text: str) -> str:
    """Give a text without what makes no difference to the eye: case, width, accents, invisible characters."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold()).translate(_FILLERS)
    seen = "".join(character for character in decomposed if unicodedata.category(character) not in _UNSEEN)
    return seen.translate(_LOOK_ALIKES)


def _split(folded: str) -> tuple[str, ...]:
    return tuple(_TOKEN.findall(folded))
