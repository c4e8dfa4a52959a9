"""Split a prompt into words, and keep those that matter most."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from generation.params import Word
from generation.planning.emphasis import WEIGHTED_GROUP

MAX_WORDS = 60  # that are weighed one by one; a longer text is weighed in phrases
MASS_KEPT = (1.0, 0.75, 0.5, 0.35, 0.2)  # of the importance of all words, in each of the shorter texts
IMPORTANT, WEAK = 0.35, 0.1  # weights from which and up to which a word is shown as one
DECADES = 3.0  # a word on which a thousandth of what the strongest changes depends has the weight 0

_CLAUSE = re.compile(r"[^,;.、。，；]+[,;.、。，；]*\s*")
# Languages without spaces: a word ends at a particle of kana or where the kind of character changes.
_UNSPACED = "\u3041-\u3096\u30a1-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_UNSPACED_WORD = re.compile(
    r"[\u3400-\u4dbf\u4e00-\u9fff]+[\u3041-\u3096]*|[\u30a1-\u30ff]+[\u3041-\u3096]*|[\u3041-\u3096]+|[^"
    + _UNSPACED
    + "]+"
)
_SPACED = re.compile(rf"(?:{WEIGHTED_GROUP}|\S)+\s*")  # `(red fox:1.3)` is one word
_ENDS = " ,;:、，；"


def split_words(text: str) -> tuple[str, ...]:
    """Return the words of a text, or its phrases if there are too many; joined they are the text again."""
    words = _with_punctuation([piece for spaced in _SPACED.findall(text) for piece in _pieces(spaced)])
    if len(words) <= MAX_WORDS:
        return words
    clauses = tuple(match for match in _CLAUSE.findall(text) if match.strip())
    if "".join(clauses) != text or len(clauses) < MAX_WORDS // 4:
        clauses = words
    size = math.ceil(len(clauses) / MAX_WORDS)
    return tuple("".join(clauses[start : start + size]) for start in range(0, len(clauses), size))


def _pieces(spaced: str) -> list[str]:
    return _UNSPACED_WORD.findall(spaced) if re.search(f"[{_UNSPACED}]", spaced) else [spaced]


def _with_punctuation(pieces: Sequence[str]) -> tuple[str, ...]:
    """Return words with the punctuation and spaces that follow each."""
    joined: list[str] = []
    for piece in pieces:
        if joined and not re.search(r"\w", piece):
            joined[-1] += piece
        else:
            joined.append(piece)
    return tuple(joined)


def without_word(words: Sequence[str], index: int) -> str:
    """Return a text without one of its words."""
    return join_words([*words[:index], *words[index + 1 :]])


def join_words(words: Sequence[str]) -> str:
    """Return words as a text of its own, without the commas and spaces that are left at its ends."""
    return "".join(words).strip(_ENDS)


def weights_of(changes: Sequence[float]) -> tuple[float, ...]:
    """Return the weights of words, from 0 to 1, by how much of the prediction changes without them.

    The weight is logarithmic: words that decide on the whole picture change hundreds of times as much as others that
    can be seen as well.
    """
    largest = max(changes, default=0.0)
    if largest <= 0.0:
        return (1.0,) * len(changes)
    return tuple(max(0.0, 1 + math.log10(max(change / largest, 1e-9)) / DECADES) for change in changes)


def shorter_texts(words: Sequence[Word]) -> tuple[str, ...]:
    """Return texts with fewer and fewer of the words, in their order: as many texts as `MASS_KEPT`, if possible.

    Words of the weight 0 are in none of them.
    """
    counts = _distinct([_count_of(share, _sorted_weights(words)) for share in MASS_KEPT])
    return tuple(_strongest(words, count) for count in counts)


def shortened(words: Sequence[Word], share: float) -> str:
    """Return the text of the strongest words that make up a share of the importance of all."""
    return _strongest(words, _count_of(share, _sorted_weights(words)))


def _sorted_weights(words: Sequence[Word]) -> list[float]:
    return sorted((word.weight for word in words), reverse=True)


def _strongest(words: Sequence[Word], count: int) -> str:
    ranked = sorted(range(len(words)), key=lambda index: (-words[index].weight, index))
    return join_words([words[index].text for index in sorted(ranked[:count])])


def _count_of(share: float, weights: Sequence[float]) -> int:
    """Return how many of the weights, the largest first, make up a share of all."""
    wanted, mass = share * sum(weights) - 1e-9, 0.0
    for count, weight in enumerate(weights, 1):
        mass += weight
        if mass >= wanted:
            return count
    return len(weights)


def _distinct(counts: Sequence[int]) -> list[int]:
    """Return numbers of words without repeats, filled up with others that are not larger."""
    used = set(counts)
    unused = [count for count in range(1, max(counts, default=0)) if count not in used]
    return sorted(used.union(unused[len(unused) - (len(counts) - len(used)) :] if unused else []), reverse=True)
