"""Words with a weight of their own within a text, as AUTOMATIC1111 and ComfyUI write them: `a (red:1.3) fox`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

MAX_WEIGHT = 10.0  # of nested groups together, as much as one can have; half-precision numbers end not far above
# What a weight looks like, with the bracket after it. A smiley `(nice :3)`, a shape `(4:3)` and a time `(at 5:30)` are
# none: a whole number is a weight up to 2, directly behind a word.
_WEIGHT = r"[:：∶]\s?(?P<weight>\d?[.,]\d{1,8}|(?<![\s\d][:：∶])[012])\s?\)"
_MARK = re.compile(rf"\\.|{_WEIGHT}|(?P<opens>\()|(?P<closes>\))", re.DOTALL)
WEIGHTED_GROUP = rf"\([^()]+{_WEIGHT.replace('?P<weight>', '?:')}"


class Emphasis(NamedTuple):
    """A piece of a text, and its weight; 1 is plain."""

    text: str
    weight: float


def read_emphasis(text: str) -> tuple[Emphasis, ...]:
    """Return the pieces of a text with their weights; the weights of nested groups are multiplied.

    Brackets without a weight are plain text. A text without weights is one piece, exactly as it was.
    """
    marks = list(_MARK.finditer(text))
    weights = _group_weights(marks)
    pieces, around, start = list[Emphasis](), [1.0], 0
    for mark in marks:
        pieces.append(Emphasis(text[start : mark.start()], around[-1]))
        start = mark.end()
        if mark.start() not in weights:
            pieces.append(Emphasis(mark[0], around[-1]))
        elif mark["opens"]:
            around.append(min(MAX_WEIGHT, around[-1] * weights[mark.start()]))
        else:
            around.pop()
    return _joined([*pieces, Emphasis(text[start:], 1.0)])


def _group_weights(marks: Iterable[re.Match[str]]) -> dict[int, float]:
    """Return the weight of each weighted group, at the places of its opening and its closing mark."""
    weights, opened = dict[int, float](), list[int]()
    for mark in marks:
        if mark["opens"]:
            opened.append(mark.start())
        elif opened and (mark["weight"] or mark["closes"]):
            begin = opened.pop()
            if mark["weight"]:
                weights[begin] = weights[mark.start()] = float(mark["weight"].replace(",", "."))
    return weights


def without_emphasis(text: str) -> str:
    """Return a text without weights and their brackets."""
    return "".join(piece for piece, _ in read_emphasis(text))


def _joined(pieces: list[Emphasis]) -> tuple[Emphasis, ...]:
    """Return the pieces with neighbours of one weight joined; a text is split into tokens piece by piece."""
    joined: list[Emphasis] = []
    for text, weight in pieces:
        if not text:
            continue
        if joined and joined[-1].weight == weight:
            joined[-1] = Emphasis(joined[-1].text + text, weight)
        else:
            joined.append(Emphasis(text, weight))
    return tuple(joined) or (Emphasis("", 1.0),)
