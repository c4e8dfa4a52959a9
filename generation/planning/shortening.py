"""Split a prompt into words, and keep those that matter most."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from generation.messages import Word

MAX_WORDS = 60  # that are weighed one by one; a longer text is weighed in phrases
MASS_KEPT = (1.0, 0.75, 0.5, 0.35, 0.2)  # of the importance of all words, in each of the shorter texts
IMPORTANT, WEAK = 0.5, 0.15  # weights from which and up to which a word is shown as one
DECADES = 3.0  # a word on which a thousandth of what the strongest changes depends has the weight 0

_CLAUSE = re.compile(r"[^,;.、。，；]+[,;.、。，；]*\s*")
# Languages without spaces: a word ends at a particle of kana or where the kind of character changes.
_UNSPACED = "\u3041-\u3096\u30a1-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_UNSPACED_WORD = re.compile(
    r"[\u3400-\u4dbf\u4e00-\u9fff]+[\u3041-\u3096]*|[\u30a1-\u30ff]+[\u3041-\u3096]*|[\u3041-\u3096]+|[^"
    + _UNSPACED
    + "]+"
)
_ENDS = " ,;:、，；"


def split_words(text: str) -> tuple[str, ...]:
    """Return the words of a text, or its phrases if there are too many; joined they are the text again."""
    words = tuple(piece for spaced in re.findall(r"\S+\s*", text) for piece in _pieces(spaced))
    if len(words) <= MAX_WORDS:
        return words
    clauses = tuple(match for match in _CLAUSE.findall(text) if match.strip())
    if "".join(clauses) != text or len(clauses) < MAX_WORDS // 4:
        clauses = words
    size = math.ceil(len(clauses) / MAX_WORDS)
    return tuple("".join(clauses[start : start + size]) for start in range(0, len(clauses), size))


def _pieces(spaced: str) -> list[str]:
    pieces = _UNSPACED_WORD.findall(spaced) if re.search(f"[{_UNSPACED}]", spaced) else [spaced]
    # Punctuation and spaces belong to the word before them.
    joined: list[str] = []
    for piece in pieces:
        if joined and not re.search(r"\w", piece):
            joined[-1] += piece
        else:
            joined.append(piece)
    return joined


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
    """Return a text for each share of `MASS_KEPT`, with the words in their order; those of the weight 0 are gone."""
    ranked = sorted(range(len(words)), key=lambda index: (-words[index].weight, index))
    total = sum(word.weight for word in words)
    texts = []
    for share in MASS_KEPT:
        kept, mass = set[int](), 0.0
        for index in ranked:
            if kept and (mass >= share * total - 1e-9 or words[index].weight == 0.0):
                break
            kept.add(index)
            mass += words[index].weight
        texts.append(join_words([words[index].text for index in sorted(kept)]))
    return tuple(texts)
