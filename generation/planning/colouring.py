"""Colour grey pictures: which ones a prompt asked for, and what is drawn over them for their colours."""

from __future__ import annotations

import re
from dataclasses import replace

from generation.params import Params, PromptPart

DEFAULT_WORDS = "a photo in bright natural colours, by day"
_GREY = r"(?:black[ -](?:and|&|n)[ -]white|b ?[&/] ?w|monochrom(?:e|atic)|gr[ae]y[ -]?scale)"
_PICTURE = r"(?:photo|photograph|photography|picture|image|portrait|drawing|sketch|film|style)"
# Only what is said of the whole picture: "a black and white cat" has colours around it, and so have the walls on which
# black and white photos hang.
_TAG_START = r"(?:^|(?<=[,.]))\s*"
_ADJECTIVES = r"(?:an? )?(?:(?!(?:an?|the|and|of|in|on|at|with)\b)[\w-]+ ){0,3}?"
_AFTER_PICTURE = r"\s*(?:[,.]|$)| (?:of|by|from|in|with|at|taken|showing)\b"
_GREY_TAG = re.compile(rf"(?:(?:^|[,.])\s*(?:in )?|\s+in )(?:an? )?{_GREY}(?: {_PICTURE})?\s*(?=[,.]|$)", re.IGNORECASE)
_GREY_ADJECTIVE = re.compile(
    rf"({_TAG_START}{_ADJECTIVES}){_GREY} (?={_PICTURE}(?: {_PICTURE})*(?:{_AFTER_PICTURE}))", re.IGNORECASE
)


def has_words(params: Params) -> bool:
    """Return whether the prompt has any words."""
    return any(any(part.texts) for part in params.parts)


def with_default_words(params: Params) -> Params:
    """Return the params of a colourised picture with words, if the prompt has none."""
    if not params.colourise or has_words(params):
        return params
    return replace(params, parts=(PromptPart(DEFAULT_WORDS),))


def is_drawn_grey(params: Params) -> bool:
    """Return whether the words ask for a picture without colours."""
    return _in_colour(params) != params


def colourised(params: Params) -> Params:
    """Return the params that colour a picture with its own words, without those that made it grey."""
    return replace(_in_colour(params), colourise=True)


def _in_colour(params: Params) -> Params:
    parts = tuple(_part_in_colour(part) for part in params.parts)
    worded = tuple(part for part in parts if any(part.texts))
    # A part without words would take its share of the guidance; but one above 0 is needed.
    return replace(params, parts=worded if any(part.weight > 0 for part in worded) else parts)


def _part_in_colour(part: PromptPart) -> PromptPart:
    """Return a part without the words for grey; as it is if they are steered away from, or change on the way."""
    if part.weight <= 0 or part.edited:
        return part
    text = _GREY_ADJECTIVE.sub(r"\1", _GREY_TAG.sub("", part.text))
    return part if text == part.text else replace(part, text=text.strip(" ,"))
