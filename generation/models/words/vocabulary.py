"""The words that a small model knows, and those of a prompt that it does not."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from generation.models.words.filler_words import FILLER_CHARACTERS, FILLER_WORDS

MAX_PHRASE = 5  # words in a known phrase
# Letters of languages that write no spaces: kana, Chinese characters.
_UNSPACED = "\u3041-\u3096\u30a1-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_TOKEN = re.compile(rf"[{_UNSPACED}]+|(?:(?![{_UNSPACED}])\w)+|[^\W_]|[\u2600-\u27bf\U0001f300-\U0001faff]")
_IGNORED = re.compile(
    r"<[^<>\s]+>|https?://\S+|\b\d+(?:k|p|px|mm)\b|\b\d+[:/x]\d+\b|[:：]\s?\d*[.,]?\d+\s?\)", re.IGNORECASE
)
# Plurals: in English -s, -es, -ies and -ves, in German -en and -n, in French -x.
_ENDINGS = (("ies", "y"), ("ves", "f"), ("es", ""), ("s", ""), ("x", ""), ("en", ""), ("n", ""))
_SHORTEST_STEM = 3
_PREPOSITIONS = ("in ", "on ", "at ", "by ", "with ", "under ")
_WHOLE_PHRASES = ("things", "colours")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Known words by kind, with their synonyms; a phrase of several words is known as a whole.

    The single words of phrases are known too, except in the names of things and colours: a model that knows “fairy
    tale castle” does not know fairies.
    """

    kinds: tuple[tuple[str, tuple[str, ...]], ...]
    phrases: frozenset[tuple[str, ...]]
    wordings: tuple[tuple[str, str], ...] = ()  # how words are said within a sentence, such as “in a meadow”

    @classmethod
    def from_json(cls, known: Mapping[str, Sequence[str]], synonyms: Mapping[str, Sequence[str]]) -> Vocabulary:
        """Return the vocabulary of an atelier.json: the words of each kind, and the synonyms of a word."""
        phrases = set[tuple[str, ...]]()
        for kind, words in known.items():
            for phrase in (_fold_all(form) for word in words for form in (word, *synonyms.get(word, ()))):
                phrases.add(phrase)
                phrases.update((part,) for part in phrase if kind not in _WHOLE_PHRASES)
        kinds = tuple((kind, tuple(words)) for kind, words in known.items())
        wordings = tuple((word, _wording(word, synonyms.get(word, ()))) for _, words in kinds for word in words)
        return cls(kinds, frozenset(phrases) - {()}, wordings)

    def wording(self, word: str) -> str:
        """Return a known word as it is said within a sentence."""
        return dict(self.wordings).get(word, word)

    def words(self) -> tuple[str, ...]:
        """Return all known words, things first."""
        ordered = sorted(self.kinds, key=lambda kind: kind[0] != "things")
        return tuple(word for _, words in ordered for word in words)

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Return the words of a prompt that are neither known nor filler, as typed; neighbours form one phrase."""
        found = dict[str, str]()
        for clause in re.split(r"[,.;:!?|()\[\]{}\n]+", _IGNORED.sub(" , ", text)):
            for phrase in self._unknown_phrases(list(_tokens(clause))):
                found.setdefault(phrase.casefold(), phrase)
        return tuple(found.values())

    def _unknown_phrases(self, tokens: list[str]) -> Iterator[str]:
        run = list[str]()
        position = 0
        while position < len(tokens):
            length = self._known_length(tokens[position:])
            if length or _is_filler(tokens[position]):
                if run:
                    yield " ".join(run)
                run = []
                position += length or 1
                continue
            run += self._unknown_characters(tokens[position])
            position += 1
        if run:
            yield " ".join(run)

    def _known_length(self, tokens: Sequence[str]) -> int:
        """Return how many of the next tokens form a known phrase, filler inside it included; 0 for none."""
        for length in range(min(len(tokens), MAX_PHRASE), 0, -1):
            phrase = [_fold(token) for token in tokens[:length] if length == 1 or not _is_filler(token)]
            if phrase and not _is_filler(tokens[length - 1]) and self._is_known(phrase):
                return length
        return 0

    def _is_known(self, phrase: Sequence[str]) -> bool:
        return any((*phrase[:-1], stem) in self.phrases for stem in _stems(phrase[-1]))

    def _unknown_characters(self, token: str) -> list[str]:
        """Return a word, or what is left of text without spaces when known words and filler are taken out."""
        if not re.match(f"[{_UNSPACED}]", token):
            return [token]
        for word in _unspaced_words(self.phrases):
            token = token.replace(word, " ")
        return [rest for part in token.split() if (rest := _without_filler(part))]


def _wording(word: str, synonyms: Sequence[str]) -> str:
    """Return the first form of a word that begins with a preposition, or the word itself."""
    return next((form for form in (word, *synonyms) if form.startswith(_PREPOSITIONS)), word)


@cache
def _unspaced_words(phrases: frozenset[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the known words of languages without spaces, the longest first."""
    known = (phrase[0] for phrase in phrases if len(phrase) == 1 and re.match(f"[{_UNSPACED}]", phrase[0]))
    return tuple(sorted(known, key=len, reverse=True))


def _without_filler(part: str) -> str:
    """Return text without spaces with no filler at its ends."""
    shorter = part
    for filler in FILLER_CHARACTERS:
        shorter = shorter.removeprefix(filler).removesuffix(filler)
    return part if shorter == part else _without_filler(shorter)


def closest_examples(examples: Iterable[str], text: str, count: int = 2) -> tuple[str, ...]:
    """Return the examples that share most words with a prompt; equally close ones stay in their order."""
    asked = set(_content_words(text))
    return tuple(sorted(examples, key=lambda example: -len(asked & set(_content_words(example)))))[:count]


def _content_words(text: str) -> Iterator[str]:
    return (_fold(token) for token in _tokens(text) if not _is_filler(token))


def _tokens(text: str) -> Iterator[str]:
    for match in _TOKEN.finditer(unicodedata.normalize("NFC", text)):
        yield match.group()


@lru_cache(maxsize=4096)
def _fold(word: str) -> str:
    """Return a word without case and accents."""
    letters = unicodedata.normalize("NFKD", word.casefold())
    kept = "".join(letter for letter in letters if not unicodedata.combining(letter) or letter in "\u3099\u309a")
    return unicodedata.normalize("NFC", kept)


def _fold_all(phrase: str) -> tuple[str, ...]:
    return tuple(_fold(token) for token in _tokens(phrase) if _fold(token) not in _folded_filler())


@cache
def _folded_filler() -> frozenset[str]:
    return frozenset(map(_fold, FILLER_WORDS))


def _is_filler(token: str) -> bool:
    """Return whether a token asks for nothing: also a single Latin letter, and the number 1."""
    folded = _fold(token)
    is_letter = len(folded) == 1 and folded.isascii() and not folded.isdigit()
    return folded in _folded_filler() or is_letter or folded == "1"


def _stems(word: str) -> Iterator[str]:
    """Yield a word, and what it may be the plural or an inflected form of."""
    yield word
    for ending, replacement in _ENDINGS:
        stem = word.removesuffix(ending)
        if stem != word and len(stem) >= _SHORTEST_STEM:
            yield stem + replacement
