"""Weights of the parts of a multi-prompt (`hot:: dog`, `day::2 night::-.5`) and of an image prompt (`--iw`)."""

from __future__ import annotations

import math
import re
import unicodedata
from decimal import Decimal

import regex

from generation.edited_text import edits_of
from generation.params import DEFAULT_IMAGE_GUIDANCE, PromptPart
from generation.planning.actions import COLOUR_STRENGTH, MIX_STRENGTH, RETOUCH_STRENGTH
from generation.prompt.characters import COLONS, COMMAS, DASHES, PERCENT_SIGNS, STOPS, to_ascii
from generation.prompt.edits import count_edits, mark_edits, read_part, write_part
from generation.prompt.syntax import DOUBLE_COLON, mask
from generation.text import Text

MAX_PARTS = 16
MAX_WEIGHT = 1000
MIN_WEIGHT_SUM = 1e-6
# Each unit of `--iw` multiplies the noise by 0.6: 0 ignores the image (strength 1), 1 keeps its composition (0.6),
# 2 its shapes (0.36), 3 nearly everything (0.216).
NOISE_PER_WEIGHT = 0.6
# With a model that edits pictures, 0 keeps as much of yours as the words alone do, 1 is its default guidance, and 3 is
# the highest that still lets the words change something.
MIN_IMAGE_GUIDANCE = 1.0
IMAGE_GUIDANCE_PER_WEIGHT = DEFAULT_IMAGE_GUIDANCE - MIN_IMAGE_GUIDANCE

_SIGN, _COMMA = rf"[+＋{re.escape(DASHES)}]", rf"[{re.escape(COMMAS)}]"
_STOP = rf"[{re.escape(STOPS)}]"
VULGAR_FRACTIONS = "¼½¾⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"
# A digit may be of any script, and so may a zero, which none is divided by.
_FRACTION = rf"{_SIGN}?(?:\d{{1,6}}[/／](?!\p{{nv=0}})\d{{1,6}}|\d{{0,6}}[{VULGAR_FRACTIONS}])(?![\w/／])"
_NUMBER = rf"{_FRACTION}|{_SIGN}?(?:\d++(?:{_STOP}\d*+|{_COMMA}\d++)?+|{_STOP}\d++)(?!\w)|{_SIGN}?\d++(?!\w|{_STOP}\d)"
_SPLIT = regex.compile(rf"{DOUBLE_COLON}((?:{_NUMBER})(?:\s?[{PERCENT_SIGNS}](?!\w))?)?(?:\s?{_COMMA})?")


def parse_parts(text: str) -> tuple[PromptPart, ...]:
    """Split `text` at its `::` marks; the number right after a mark is the weight of the part before it."""
    pieces = _SPLIT.split(mark_edits(text))
    weights = [_weight(typed) if typed else 1.0 for typed in pieces[1::2]]
    parts = (read_part(piece, weight) for piece, weight in zip(pieces[::2], [*weights, 1.0], strict=True))
    return tuple(part for part in parts if any(part.texts)) or (PromptPart(""),)


def _weight(typed: str) -> float:
    written = typed.rstrip(f" {PERCENT_SIGNS}")
    value = _fraction(written) if written[-1] in VULGAR_FRACTIONS else _quotient(to_ascii(written).replace(",", "."))
    return value / 100 if typed[-1] in PERCENT_SIGNS else value


def _quotient(number: str) -> float:
    above, _, below = number.replace("／", "/").partition("/")
    return float(above) / float(below or 1)


def _fraction(written: str) -> float:
    """Return the value of `½` or `1½`."""
    whole = to_ascii(written[:-1])
    sign = -1 if whole.startswith("-") else 1
    return sign * (abs(float(whole.strip("+-") or 0)) + unicodedata.numeric(written[-1]))


def weight_problems(parts: tuple[PromptPart, ...], no: tuple[str, ...]) -> list[Text]:
    """Return the problems with the weights and the number of parts; `--no` items are parts, but not in the sum."""
    problems: list[Text] = []
    if any(abs(part.weight) > MAX_WEIGHT for part in parts):
        problems.append(Text("A weight after `::` must be between -{limit} and {limit}", limit=MAX_WEIGHT))
    elif (total := sum(part.weight for part in parts)) < MIN_WEIGHT_SUM:
        problems.append(
            Text(
                "The weights after `::` must add up to more than 0; here they add up to {total}",
                total=f"{round(total, 3):g}",
            )
        )
    if (count := len(parts) + len(no)) > MAX_PARTS:
        problems.append(
            Text(
                "A prompt can have at most {limit} parts, `--no` items included; this one has {number}",
                limit=MAX_PARTS,
                number=count,
            )
        )
    return problems


def format_parts(parts: tuple[PromptPart, ...]) -> str:
    """Format the parts so that `parse_parts` returns them again."""
    *others, last = parts
    end = _escaped_text(last) if last.weight == 1 else _format_part(last)
    written = " ".join([*map(_format_part, others), end])
    if count_edits(mask(written)) == sum(len(edits_of(part.edited)) for part in parts):
        return written
    return " ".join([*(f"{_format_part(part)}," for part in others), end])  # else `[a::.4 ]` would be an edit


def format_number(value: float) -> str:
    """Format a number exactly and without an exponent: 2, 0.5, -1.25."""
    return format(Decimal(repr(value)), "f").removesuffix(".0")


def _format_part(part: PromptPart) -> str:
    text = _escaped_text(part)
    gap = " " if text.endswith(tuple(COLONS)) else ""
    return f"{text}{gap}::{'' if part.weight == 1 else format_number(part.weight)}"


def _escaped_text(part: PromptPart) -> str:
    text = write_part(part)
    return "\\" + text if text.startswith(tuple(COMMAS + PERCENT_SIGNS)) else text


def strength_for(image_weight: float) -> float:
    """Return the strength for an image weight: 1 for weight 0, less for larger weights."""
    return round(math.pow(NOISE_PER_WEIGHT, image_weight), 3)


def default_strength(mix: str, colourise: bool, retouch: bool) -> float:
    """Return the strength for a picture without `--iw`: more noise with `--mix`, `--colour` and `--retouch`."""
    if mix:
        return MIX_STRENGTH
    if retouch:
        return RETOUCH_STRENGTH
    return COLOUR_STRENGTH if colourise else strength_for(1)


def image_weight_for(strength: float) -> float:
    """Return the shortest image weight whose strength is `strength`."""
    exact = math.log(max(strength, 0.0004)) / math.log(NOISE_PER_WEIGHT)  # `strength_for` rounds 0.0004 to 0
    candidates = (round(exact, digits) for digits in range(1, 6))
    return next((weight for weight in candidates if strength_for(weight) == strength), round(exact, 5)) + 0.0


def image_guidance_for(image_weight: float) -> float:
    """Return the guidance of the picture that a model edits, for an image weight."""
    return MIN_IMAGE_GUIDANCE + IMAGE_GUIDANCE_PER_WEIGHT * image_weight


def image_weight_of_guidance(image_guidance: float) -> float:
    """Return the image weight for which this is the guidance."""
    return round((image_guidance - MIN_IMAGE_GUIDANCE) / IMAGE_GUIDANCE_PER_WEIGHT, 5)
