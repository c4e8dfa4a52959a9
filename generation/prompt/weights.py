"""Multi-prompts: `hot:: dog`, `day::2 night::-.5`."""

from __future__ import annotations

import re
from decimal import Decimal

from generation.params import TextPart
from generation.prompt.escapes import COMMAS, reveal
from generation.prompt.marks import protect

MAX_PARTS = 16
MAX_WEIGHT = 1000
SMALLEST_SUM = 1e-6

_SPLIT = re.compile(rf"(?:::|：：)([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?!\w))?(?:\s?[{COMMAS}])?")


def read_parts(text: str) -> tuple[TextPart, ...]:
    """Split `text` at its `::` marks; the number right after a mark is the weight of the part before it."""
    pieces = _SPLIT.split(text)
    weights = [float(weight) if weight else 1.0 for weight in pieces[1::2]]
    texts = [reveal(piece).strip() for piece in pieces[::2]]
    parts = (TextPart(part, weight) for part, weight in zip(texts, [*weights, 1.0], strict=True) if part)
    return tuple(parts) or (TextPart(""),)


def weight_faults(parts: tuple[TextPart, ...], no: tuple[str, ...]) -> list[str]:
    """Name what is wrong with the weights and the number of parts; `--no` items count as parts, not in the sum."""
    faults = []
    if any(abs(part.weight) > MAX_WEIGHT for part in parts):
        faults.append(f"A weight after `::` must be between -{MAX_WEIGHT} and {MAX_WEIGHT}")
    elif (total := sum(part.weight for part in parts)) < SMALLEST_SUM:
        faults.append(f"The weights after `::` must add up to more than 0, here they add up to {round(total, 3):g}")
    if (count := len(parts) + len(no)) > MAX_PARTS:
        faults.append(f"A prompt can have {MAX_PARTS} parts, those after `--no` included; this one has {count}")
    return faults


def write_parts(parts: tuple[TextPart, ...]) -> str:
    """Write the parts so that `read_parts` gives them again."""
    *others, last = parts
    written = [_write(part) for part in others]
    written.append(_text(last) if last.weight == 1 else _write(last))
    return " ".join(written)


def number(value: float) -> str:
    """Write a number exactly and without an exponent: 2, 0.5, -1.25."""
    return format(Decimal(repr(value)), "f").removesuffix(".0")


def _write(part: TextPart) -> str:
    text = _text(part)
    gap = " " if text.endswith(":") else ""
    return f"{text}{gap}::{'' if part.weight == 1 else number(part.weight)}"


def _text(part: TextPart) -> str:
    text = protect(part.text)
    return "\\" + text if text.startswith(tuple(COMMAS)) else text
