"""Split a prompt into image links, text and parameters."""

from __future__ import annotations

import re
from dataclasses import dataclass

from generation.prompt.errors import quote
from generation.prompt.parameter_names import PARAMETER_NAMES
from generation.prompt.syntax import (
    IMAGE_LINK,
    LEADING_LINKS,
    PARAMETER_START,
    PERMUTATION_GROUP,
    SEPARATORS,
    strip_copied_text,
    unmask,
)
from generation.text import Text

MAX_LENGTH = 6000

_ANY_NAME = "|".join(sorted(PARAMETER_NAMES, key=len, reverse=True))
_LOOSE_START = re.compile(rf"(?<!\S)(?:--+|[–—])\s(?=(?:{_ANY_NAME})\s[.\d])", re.IGNORECASE)
_MISSING_SPACE = re.compile(r"(?<=[^\s\-–—])--([^\W\d_]+)")
_LORA_TAG = re.compile(r"\s?<lora:([^<>]*)>", re.IGNORECASE)  # AUTOMATIC1111's syntax, valid anywhere in the text
_NEXT_LINK = re.compile(r",(?=https?://)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SplitPrompt:
    """The links, text and parameters (without their dashes) of one prompt, and the problems with its format."""

    links: tuple[str, ...]
    text: str
    parameters: list[str]
    problems: list[Text]


def split_prompt(typed: str) -> SplitPrompt:
    """Strip copied text and split the rest."""
    cleaned = strip_copied_text(typed)
    links, rest = _split_links(_LORA_TAG.sub("", cleaned))
    text, *parameters = PARAMETER_START.split(_LOOSE_START.sub("--", PERMUTATION_GROUP.sub(r"\1", rest)))
    parameters += [f"lora {lora}" for lora in _LORA_TAG.findall(cleaned)]
    problems = [*_format_problems(cleaned), *_link_problems(links), *_spacing_problems(rest)]
    return SplitPrompt(links, text.strip(), [parameter.strip() for parameter in parameters], problems)


def _split_links(text: str) -> tuple[tuple[str, ...], str]:
    front = LEADING_LINKS.match(text)
    if front is None:
        return (), text
    links = _NEXT_LINK.sub(" ", front[0]).split()
    return tuple(unmask(link).rstrip(SEPARATORS) for link in links), text[front.end() :]


def _format_problems(text: str) -> list[Text]:
    problems: list[Text] = []
    if len(text) > MAX_LENGTH:
        problems.append(
            Text(
                "A prompt can have at most {limit} characters; this one has {number}",
                limit=MAX_LENGTH,
                number=len(text),
            )
        )
    if group := PERMUTATION_GROUP.search(text):
        problems.append(
            Text("Choices such as {group} do not work here: for a plain brace, type `\\{{`", group=quote(group[0]))
        )
    return problems


def _link_problems(links: tuple[str, ...]) -> list[Text]:
    return [
        Text(
            "{link} is not a direct link to a picture: use one that ends in .png, .jpg, .jpeg, .webp or .gif",
            link=quote(link),
        )
        for link in links
        if not IMAGE_LINK.fullmatch(link)
    ]


def _spacing_problems(text: str) -> list[Text]:
    return [
        Text("Put a space before `--{parameter}`", parameter=name)
        for name in map(str.lower, _MISSING_SPACE.findall(text))
        if name in PARAMETER_NAMES
    ]
