"""Find blocked words in a prompt, even when disguised, but never inside other words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from string import ascii_lowercase, digits

from bot.ui.i18n import tr
from generation.errors import UserError
from generation.params import Params
from generation.prompt import PromptError

MAX_PHRASE_LENGTH = 100
MAX_WORDS = 10_000
MIN_PREFIX_LENGTH = 3  # letters before the star of `word*`: `a*` would match far too much


class WordRule(StrEnum):
    """What happens to a prompt with a blocked word."""

    REFUSE = "refuse"
    WARN = "warn"
    EXCEPT_NO = "except_no"  # refused, except in `--no` and in the negative prompt


@dataclass(frozen=True, slots=True)
class WordMatch:
    """A blocked phrase that was found, as the owners wrote it."""

    phrase: str
    rule: WordRule


# Letters of other scripts that look like Latin ones (a selection from Unicode's confusables.txt).
_CYRILLIC, _GREEK, _ARMENIAN, _SMALL, _OTHERS = (
    ("авсԁеһіјкмнорԛѕтуѵԝхгп", "abcdehijkmhopqstyvwxrn"),
    ("αβεηικνορτυχωγ", "abenikvoptuxwy"),
    ("օսոհց", "ounhg"),
    ("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz"),
    ("ıłøđħŧɑɡɩ", "ilodhtagi"),
)
_EMOJI_ALPHABET_STARTS = (0x1F150, 0x1F170, 0x1F1E6)  # circled, squared and flag letters: 26 each
_CONFUSABLES = (
    str.maketrans(*map("".join, zip(_CYRILLIC, _GREEK, _ARMENIAN, _SMALL, _OTHERS, strict=True)))
    | {first + number: ascii_lowercase[number] for first in _EMOJI_ALPHABET_STARTS for number in range(26)}
    | {ord("æ"): "ae", ord("œ"): "oe"}
)
_FILLERS = dict.fromkeys(map(ord, "\u115f\u1160\u3164\uffa0"))  # Unicode counts them as letters, but they are invisible
_LETTERS_OF_DIGITS = str.maketrans("01345789", "oieastbg")
_LETTERS_OF_SIGNS = str.maketrans("@$!|€+", "asiiet")
_TOKEN = re.compile(r"[^\W_]+")
_WITH_SIGNS = re.compile(r"[@$€]*[^\W_]+(?:[@$!|€+]+[^\W_]+)*[@$€]*")
_JOINED = tuple(
    re.compile(rf"(?<![^\W_])[^\W_]+(?:{between}[^\W_]+)+") for between in (r"[-._*']", r"(?:[^\w\s]|_){1,3}")
)
_SPELLED_OUT = re.compile(r"(?<![^\W_])[^\W_](?:[\W_]{1,3}[^\W_](?![^\W_])){2,}")
_LONG_RUN = re.compile(r"(.)\1{2,}")
_INVALID_IN_PHRASE = re.compile(r"[\\^$|()\[\]{}?+`]|\*(?!$)")
_INVISIBLE_CATEGORIES = ("Cf", "Mn", "Me")  # formatting characters (zero width among them) and accents
MAX_LISTED_MATCHES = 10  # words named in a refusal, which has to fit into a message
MAX_SPELLED_LENGTH = 60  # letters; longer spelled-out runs are cut


class WordFilter:
    """A guild's blocked words, indexed: checking a prompt takes microseconds whatever their number."""

    def __init__(self, phrases: Mapping[str, str]) -> None:
        self._phrases: dict[tuple[str, ...], WordMatch] = {}
        self._phrase_lengths: dict[str, set[int]] = {}  # first word → lengths in words of the phrases it begins
        self._joined_phrases: dict[str, WordMatch] = {}
        self._prefixes: dict[str, WordMatch] = {}
        for phrase, rule in phrases.items():
            self._add(_tokenize(_normalize(phrase)), WordMatch(phrase, WordRule(rule)))
        self._longest_prefix = max(map(len, self._prefixes), default=0)

    def _add(self, tokens: tuple[str, ...], match: WordMatch) -> None:
        if match.phrase.endswith("*"):
            self._prefixes["".join(tokens)] = match
        elif tokens:
            self._phrases[tokens] = match
            self._phrase_lengths.setdefault(tokens[0], set()).add(len(tokens))
            self._joined_phrases["".join(tokens)] = match

    def find(self, text: str) -> list[WordMatch]:
        """Return the blocked phrases in `text`, each once."""
        found: dict[str, WordMatch] = {}
        normalized = _normalize(text)
        for tokens in _token_variants(normalized):
            for match in self._matches(tokens):
                found.setdefault(match.phrase, match)
        for word in _spelled_out_words(normalized):
            for match in (*filter(None, [self._joined_phrases.get(word)]), *self._prefix_matches(word)):
                found.setdefault(match.phrase, match)
        return list(found.values())

    def _matches(self, tokens: tuple[str, ...]) -> Iterator[WordMatch]:
        for start, token in enumerate(tokens):
            for length in self._phrase_lengths.get(token, ()):
                if match := self._phrases.get(tokens[start : start + length]):
                    yield match
            yield from self._prefix_matches(token)

    def _prefix_matches(self, token: str) -> Iterator[WordMatch]:
        for end in range(MIN_PREFIX_LENGTH, min(len(token), self._longest_prefix) + 1):
            if match := self._prefixes.get(token[:end]):
                yield match


def check_phrase(phrase: str) -> str:
    """Return `phrase` as it is stored; raises UserError unless it is a plain word or phrase."""
    plain, shown = " ".join(phrase.casefold().split()), phrase[:40].replace("`", "'")
    if _INVALID_IN_PHRASE.search(plain):
        raise UserError(
            tr(
                "`{phrase}` is not a plain word. Use words, phrases, or `word*` for anything that starts with it.",
                phrase=shown,
            )
        )
    letters = "".join(_tokenize(_normalize(plain)))
    if not letters or len(plain) > MAX_PHRASE_LENGTH:
        raise UserError(
            tr(
                "`{phrase}` cannot be blocked: use up to {limit} characters with at least one letter or digit.",
                phrase=shown,
                limit=MAX_PHRASE_LENGTH,
            )
        )
    if plain.endswith("*") and len(letters) < MIN_PREFIX_LENGTH:
        raise UserError(
            tr(
                "`{phrase}` would block too much: put at least {minimum} letters before the `*`.",
                phrase=shown,
                minimum=MIN_PREFIX_LENGTH,
            )
        )
    return plain


def check_prompt(word_filter: WordFilter, params: Params) -> str | None:
    """Return a warning about words in the prompt, or None; raises PromptError naming the words that are refused."""
    wanted = word_filter.find("\n".join(part.text for part in params.parts))
    unwanted = word_filter.find("\n".join((*params.no, params.negative_prompt or "")))
    refused = [found for found in wanted if found.rule is not WordRule.WARN]
    refused += [found for found in unwanted if found.rule is WordRule.REFUSE]
    if refused:
        raise PromptError(
            tr("The owners of this server do not allow {words} in prompts", words=_format_matches(refused))
        )
    warned = [found for found in (*wanted, *unwanted) if found.rule is WordRule.WARN]
    if not warned:
        return None
    return tr("The owners of this server would rather not see {words} in prompts.", words=_format_matches(warned))


def _format_matches(matches: list[WordMatch]) -> str:
    phrases = dict.fromkeys(match.phrase for match in matches)
    shown = ", ".join(f"`{phrase}`" for phrase in islice(phrases, MAX_LISTED_MATCHES))
    left_out = len(phrases) - MAX_LISTED_MATCHES
    return shown if left_out <= 0 else tr("{named} and {number} more", named=shown, number=left_out)


def _token_variants(normalized: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of a text as written, then with each kind of disguise undone."""
    tokens = _tokenize(normalized)
    yield tokens
    yield tuple(_LONG_RUN.sub(r"\1", token) for token in tokens)
    yield tuple(_LONG_RUN.sub(r"\1\1", token) for token in tokens)
    yield tuple(token.strip(digits) for token in tokens)
    yield tuple(_deobfuscate(token) for token in _WITH_SIGNS.findall(normalized))
    for pattern in _JOINED:
        for joined in pattern.findall(normalized):
            yield ("".join(_tokenize(joined)),)


def _spelled_out_words(normalized: str) -> Iterator[str]:
    """Yield the words that letters typed one by one may spell."""
    for spelled in _SPELLED_OUT.findall(normalized):
        letters = "".join(_tokenize(spelled))[:MAX_SPELLED_LENGTH]
        yield from (_deobfuscate(part) for start in range(len(letters)) for part in _all_prefixes(letters[start:]))


def _all_prefixes(letters: str) -> Iterator[str]:
    return (letters[:end] for end in range(MIN_PREFIX_LENGTH, len(letters) + 1))


def _deobfuscate(token: str) -> str:
    """Replace digits and signs by the letters they look like; a plain number stays a number."""
    letters = token if token.isdigit() else token.translate(_LETTERS_OF_SIGNS).translate(_LETTERS_OF_DIGITS)
    return _LONG_RUN.sub(r"\1", letters)


def _normalize(text: str) -> str:
    """Return a text without differences of case, width, accents, invisible characters and look-alike letters."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold()).translate(_FILLERS)
    visible = "".join(
        character for character in decomposed if unicodedata.category(character) not in _INVISIBLE_CATEGORIES
    )
    return visible.translate(_CONFUSABLES)


def _tokenize(normalized: str) -> tuple[str, ...]:
    return tuple(_TOKEN.findall(normalized))
