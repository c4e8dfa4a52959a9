"""Find blocked words in a prompt, even when disguised, but never inside other words."""

from __future__ import annotations

import html
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, islice, pairwise
from string import digits

import regex

from bot.policy.look_alikes import look_alikes
from bot.policy.phrase_search import PhraseSearch
from bot.ui.i18n import tr
from generation.errors import UserError
from generation.params import Params, PromptPart
from generation.planning.emphasis import without_emphasis
from generation.planning.film_pictures import film_texts
from generation.prompt import PromptError

MAX_PHRASE_LENGTH = 100
MAX_WORDS = 10_000
MAX_EXPANSION = 4  # characters that one may stand for
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


_LOOK_ALIKES = look_alikes()
# Fillers and the stretcher of Arabic letters are letters to Unicode, but change nothing. A word is not spelled with
# characters that stand for whole sentences, and their expansion would take long.
_IGNORED = dict.fromkeys(map(ord, "\u115f\u1160\u3164\uffa0\u0640")) | {
    code: " "
    for code in (*range(0x3300, 0x3400), *range(0xFDF0, 0xFE00))
    if len(unicodedata.normalize("NFKD", chr(code))) > MAX_EXPANSION
}
_INVISIBLE = regex.compile(r"[\p{Cf}\p{Mn}\p{Me}]+")  # formatting characters (zero width among them) and accents
_LETTERS_OF_DIGITS = str.maketrans("01345789", "oieastbg")
_LETTERS_OF_SIGNS = str.maketrans("@$!|€+", "asiiet")
_TOKEN = re.compile(r"[^\W_]+")
_WITH_SIGNS = re.compile(r"(?<![@$€])[@$€]*+[^\W_]++(?:[@$!|€+]++[^\W_]++)*[@$€]*")
_STARRED = re.compile(r"(?<![^\W_])[^\W_]++(?:[*#%•]{1,2}[^\W_]++)+")
_STAR = re.compile(r"[*#%•]")
_DOUBLED = re.compile(r"(?:([^\W\d_])\1)+")
_PAIRS = re.compile(r"(?<![^\W_])[^\W\d_]{2}(?:\s[^\W\d_]{2}(?![^\W_]))+")
# Words of two letters: beside one another they spell no other word.
_SHORT_WORDS = frozenset(
    [
        "ad",
        "ah",
        "al",
        "am",
        "an",
        "as",
        "at",
        "be",
        "by",
        "da",
        "de",
        "di",
        "do",
        "du",
        "el",
        "em",
        "en",
        "er",
        "es",
        "et",
        "eu",
        "go",
        "he",
        "hi",
        "id",
        "if",
        "il",
        "im",
        "in",
        "is",
        "it",
        "ja",
        "je",
        "la",
        "le",
        "lo",
        "ma",
        "me",
        "mi",
        "my",
        "na",
        "ne",
        "no",
        "nu",
        "of",
        "oh",
        "ok",
        "on",
        "or",
        "ou",
        "ox",
        "pa",
        "pi",
        "qu",
        "se",
        "si",
        "so",
        "su",
        "ta",
        "te",
        "to",
        "tu",
        "tv",
        "uk",
        "um",
        "un",
        "up",
        "us",
        "va",
        "we",
        "wo",
        "ya",
        "zu",
    ]
)
_UNSPACED = regex.compile(r"[\p{Han}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]+")  # written without blanks between words
_JOINED = tuple(
    re.compile(rf"(?<![^\W_])[^\W_]+(?:{between}[^\W_]+)+") for between in (r"[-._*']", r"(?:[^\w\s]|_){1,3}")
)
_SPELLED_OUT = re.compile(r"(?<![^\W_])[^\W_](?:[\W_]{1,10}[^\W_](?![^\W_])){2,}")
_LONG_RUN = re.compile(r"(.)\1{2,}")
_INVALID_IN_PHRASE = re.compile(r"[\\^$|()\[\]{}?+`]|\*(?!$)")
AROUND = 200  # characters of a text before and after words that change, which may be parts of a blocked phrase
MAX_LISTED_MATCHES = 10  # words named in a refusal, which has to fit into a message
MIN_DISGUISED_LENGTH = 4  # letters of a word that is recognised with stars in it, or in pairs of letters


class WordFilter:
    """A guild's blocked words, indexed: checking a prompt takes microseconds whatever their number."""

    def __init__(self, phrases: Mapping[str, str]) -> None:
        self._phrases: dict[tuple[str, ...], WordMatch] = {}
        self._joined_phrases: dict[str, WordMatch] = {}
        self._starred: dict[str, WordMatch] = {}  # with `*` in place of one or two letters
        self._unspaced: dict[str, WordMatch] = {}
        self._prefixes: dict[str, WordMatch] = {}
        for phrase, rule in phrases.items():
            self._add(_tokenize(_normalize(phrase)), WordMatch(phrase, WordRule(rule)))
        self._longest_prefix = max(map(len, self._prefixes), default=0)
        spelled = {word: self._written_together(word) for word in (*self._joined_phrases, *self._prefixes)}
        self._by_words = PhraseSearch(self._phrases)
        self._by_letters = PhraseSearch(
            {word: found for word, found in spelled.items() if len(word) >= MIN_PREFIX_LENGTH}
        )
        self._by_pairs = PhraseSearch(
            {_pairs(word): found for word, found in spelled.items() if _is_told_by_pairs(word)}
        )
        self._by_signs = PhraseSearch(self._unspaced)

    def _add(self, tokens: tuple[str, ...], match: WordMatch) -> None:
        joined = "".join(tokens)
        if _UNSPACED.fullmatch(joined):
            self._unspaced[joined] = match
        if match.phrase.endswith("*"):
            self._prefixes[joined] = match
        elif tokens:
            self._phrases[tokens] = match
            self._joined_phrases[joined] = match
            self._starred |= dict.fromkeys(_with_stars(joined), match)

    def _written_together(self, word: str) -> list[WordMatch]:
        return [*filter(None, (self._joined_phrases.get(word), self._prefixes.get(word)))]

    def find(self, text: str) -> list[WordMatch]:
        """Return the blocked phrases in `text`, each once."""
        if not self._phrases and not self._prefixes:
            return []
        normalized = _normalize(text)
        found: dict[str, WordMatch] = {}
        for tokens in dict.fromkeys(_token_variants(normalized)):
            for match in self._matches(tokens):
                found.setdefault(match.phrase, match)
        for match in (*self._spelled_out(normalized), *self._in_unspaced(normalized), *self._with_stars(normalized)):
            found.setdefault(match.phrase, match)
        return list(found.values())

    def _with_stars(self, normalized: str) -> Iterator[WordMatch]:
        words = (_STAR.sub("*", word) for word in _STARRED.findall(normalized))
        yield from filter(None, map(self._starred.get, words))

    def _spelled_out(self, normalized: str) -> Iterator[WordMatch]:
        """Yield the phrases that letters typed one by one or in pairs spell."""
        for spelled in _SPELLED_OUT.findall(normalized):
            for letters in _with_and_without_signs("".join(_tokenize(spelled))):
                yield from chain.from_iterable(self._by_letters.find(letters))
        for pairs in _PAIRS.findall(normalized):
            for letters in _with_and_without_signs("".join(pairs.split())):
                yield from chain.from_iterable(self._by_pairs.find(_pairs(letters)))

    def _in_unspaced(self, normalized: str) -> Iterator[WordMatch]:
        """Yield the phrases in scripts without blanks, wherever they stand."""
        if not self._unspaced:
            return
        for run in _UNSPACED.findall("".join(_tokenize(normalized))):
            yield from self._by_signs.find(run)

    def _matches(self, tokens: tuple[str, ...]) -> Iterator[WordMatch]:
        yield from self._by_words.find(tokens)
        for token in tokens if self._prefixes else ():
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
    texts = (*(text for part in params.parts for text in _readings(part)), params.mix)
    wanted = word_filter.find(_as_read((*texts, *film_texts(params))))
    unwanted = word_filter.find(_as_read((*params.no, params.negative_prompt or "")))
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


def _readings(part: PromptPart) -> Iterator[str]:
    """Yield excerpts of a part's texts as typed, and as the model reads them where words have weights.

    A weight may stand far from its opening bracket, so weights are removed from whole texts.
    """
    yield from _excerpts(part.texts)
    yield from _excerpts([without_emphasis(text) for text in part.texts])


def _excerpts(texts: Sequence[str]) -> Iterator[str]:
    """Yield the first text, and of each other one what differs from the one before, with the words around it."""
    yield from texts[:1]
    for before, text in pairwise(texts):
        start = _shared(before, text)
        end = len(text) - _shared(before[start:][::-1], text[start:][::-1])
        left, right = text[:start], text[end:]
        if len(left) > AROUND:  # a word that is cut might be another one
            left = left[-AROUND:].partition(" ")[2] or left[-AROUND:]
        if len(right) > AROUND:
            right = right[:AROUND].rpartition(" ")[0] or right[:AROUND]
        yield f"{left}{text[start:end]}{right}"


def _shared(one: str, other: str) -> int:
    """Return with how many characters both begin."""
    most = min(len(one), len(other))
    return bisect_left(range(most), True, key=lambda place: one[: place + 1] != other[: place + 1])


def _as_read(texts: Iterable[str]) -> str:
    """Return texts as typed and, where words have weights, also as the model reads them."""
    return "\n".join(dict.fromkeys(form for text in texts for form in (text, without_emphasis(text))))


def check_text(word_filter: WordFilter, text: str) -> None:
    """Raise PromptError naming the words of a text that are refused."""
    refused = [found for found in word_filter.find(_as_read([text])) if found.rule is not WordRule.WARN]
    if refused:
        raise PromptError(tr("The owners of this server do not allow {words}.", words=_format_matches(refused)))


def _format_matches(matches: list[WordMatch]) -> str:
    phrases = dict.fromkeys(match.phrase for match in matches)
    shown = ", ".join(f"`{phrase}`" for phrase in islice(phrases, MAX_LISTED_MATCHES))
    left_out = len(phrases) - MAX_LISTED_MATCHES
    return shown if left_out <= 0 else tr("{named} and {number} more", named=shown, number=left_out)


def _token_variants(normalized: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of a text as written, then with each kind of disguise undone."""
    tokens = _tokenize(normalized)
    yield tokens
    yield _tokenize(_LONG_RUN.sub(r"\1", normalized))
    yield _tokenize(_LONG_RUN.sub(r"\1\1", normalized))
    yield tuple(token[::2] for token in tokens if _DOUBLED.fullmatch(token))
    yield tuple(token.strip(digits) for token in tokens)
    yield tuple(_deobfuscate(token) for token in _WITH_SIGNS.findall(normalized))
    for pattern in _JOINED:
        for joined in pattern.findall(normalized):
            yield ("".join(_tokenize(joined)),)


def _with_and_without_signs(written: str) -> dict[str, None]:
    return dict.fromkeys((written, _with_letters(written)))


def _pairs(letters: str) -> tuple[str, ...]:
    return tuple(letters[place : place + 2] for place in range(0, len(letters), 2))


def _is_told_by_pairs(word: str) -> bool:
    """Return whether pairs of letters that spell a word are no other words."""
    return len(word) >= MIN_DISGUISED_LENGTH and len(word) % 2 == 0 and not _SHORT_WORDS.issuperset(_pairs(word))


def _with_stars(word: str) -> Iterator[str]:
    """Yield the spellings of a word with one or two letters inside it replaced by stars."""
    if len(word) >= MIN_DISGUISED_LENGTH:
        for number in (1, 2):
            for start in range(1, len(word) - number):
                yield word[:start] + "*" * number + word[start + number :]


def _deobfuscate(token: str) -> str:
    """Replace digits and signs by the letters they look like, and shorten long runs."""
    return _LONG_RUN.sub(r"\1", _with_letters(token))


def _with_letters(token: str) -> str:
    """Replace digits and signs by the letters they look like; a plain number stays a number."""
    return token if token.isdigit() else token.translate(_LETTERS_OF_SIGNS).translate(_LETTERS_OF_DIGITS)


def _normalize(text: str) -> str:
    """Return a text without differences of case, width, accents, invisible characters and look-alike letters."""
    text = html.unescape(text).translate(_IGNORED)
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold()).translate(_IGNORED)
    visible: str = _INVISIBLE.sub("", decomposed)
    return visible.translate(_LOOK_ALIKES)


def _tokenize(normalized: str) -> tuple[str, ...]:
    return tuple(_TOKEN.findall(normalized))
