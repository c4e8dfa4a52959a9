"""Split a prompt into image links, text and parameters."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from itertools import takewhile

from generation.prompt.characters import ANGLES_CLOSE, ANGLES_OPEN, COLONS, COMMAS, DASHES, QUOTES, SEPARATORS
from generation.prompt.copied_text import strip_copied_text
from generation.prompt.dashes import is_sentence
from generation.prompt.errors import quote
from generation.prompt.parameter_names import PARAMETER_NAMES, is_parameter_name, nearest_name, split_name, to_name
from generation.prompt.syntax import (
    COLON,
    IMAGE_LINK,
    LINK_LABEL,
    LINK_WEIGHT,
    LONG_DASH,
    MISSING_SPACE,
    PARAMETER_START,
    PERMUTATION_GROUP,
    loose_start,
    unmask,
)
from generation.text import Text

MAX_LENGTH = 6000
MAX_GUESSES = 20  # a guess takes time

_LOOSE_START = loose_start("|".join(sorted(PARAMETER_NAMES, key=len, reverse=True)))
# AUTOMATIC1111's syntax, valid anywhere in the text.
TAG = re.compile(
    rf"\s?[{ANGLES_OPEN}]\s?(lora|lyco|hypernet)\s?{COLON}([^{ANGLES_OPEN}{ANGLES_CLOSE}]*+)[{ANGLES_CLOSE}]",
    re.IGNORECASE,
)
_TAG_IN_LIST = re.compile(rf"(?P<comma>,\s?)?{TAG.pattern}(?=(?P<after>\s?[,.]|[\w-]|))", re.IGNORECASE)
_GLUED = re.compile(
    rf"(\.(?:png|jpe?g|webp|gif))(?:[{re.escape(COMMAS)};]|(?=https?://|--[a-z]+$))|[{re.escape(COMMAS)};|&](?=https?://)",
    re.IGNORECASE,
)
_LINK_START = re.compile(r"https?://", re.IGNORECASE)
_BETWEEN_LINKS = SEPARATORS + DASHES + "|+&"
_OPENING, _CLOSING = rf"[(\[（【{re.escape(QUOTES)}]", rf"[)\]）】{re.escape(QUOTES)}]"
_FRONT_LINK = re.compile(
    rf"[{re.escape(_BETWEEN_LINKS)}]*(?:{LINK_LABEL}\s?)?(?:!?\[[^\[\]]*+\]\((https?://\S+?)\)"
    rf"|{_OPENING}\s?(https?://\S+?)\s?{_CLOSING}|(https?://\S+)){COLON}?+(?=[\s;{COMMAS}\[!]|$)",
    re.IGNORECASE,
)
_CLOSING_DASHES = re.compile(rf"(?<=[^\s{re.escape(DASHES)}])[{re.escape(DASHES)}]++(?!\w)")
_IS_LONG_DASH = re.compile(LONG_DASH)


@dataclass(frozen=True, slots=True)
class SplitPrompt:
    """The links, text and parameters (without their dashes) of one prompt, and the problems with its format."""

    links: tuple[str, ...]
    text: str
    parameters: list[str]
    problems: list[Text]


def split_prompt(typed: str, options: Collection[str] = ()) -> SplitPrompt:
    """Strip copied text and split the rest; `options` are parameters by other names."""
    cleaned = strip_copied_text(typed)
    links, rest = _split_links(remove_tags(cleaned))
    text, parameters = _split_parameters(PERMUTATION_GROUP.sub(r"\1", rest), options)
    tags = TAG.findall(cleaned)
    parameters += [f"lora {value}" for kind, value in tags if kind.lower() != "hypernet"]
    problems = [*_format_problems(cleaned), *_link_problems(links), *_spacing_problems(rest), *_tag_problems(tags)]
    return SplitPrompt(links, text.strip(), [parameter.strip() for parameter in parameters], problems)


def remove_tags(text: str) -> str:
    """Return the text without its tags, and without the commas and gaps that they leave in a list."""
    if "<" not in text and not any(mark in text for mark in ANGLES_OPEN):
        return text
    return _TAG_IN_LIST.sub(_around_tag, text).lstrip(f" {COMMAS}") if TAG.search(text) else text


def _around_tag(tag: re.Match[str]) -> str:
    if tag["after"].endswith((",", ".")):
        return ""
    comma = tag["comma"] or ""
    return f"{comma.rstrip()} " if tag["after"] else comma


def _split_links(text: str) -> tuple[tuple[str, ...], str]:
    """Split off the links in front, with whatever separates them from each other and from the text."""
    text = _unmark_links(text)
    if not _LINK_START.match(text):
        return (), text
    whole = (_GLUED.sub(r"\1 ", word) if "://" in word else word for word in text.split(" "))
    words = " ".join(whole).split(" ")
    leading = list(takewhile(lambda word: _is_link(word) or not word.strip(_BETWEEN_LINKS), words))
    links = tuple(unmask(word).strip(SEPARATORS).rstrip(COLONS) for word in filter(_is_link, leading))
    return links, " ".join(words[len(leading) :]).lstrip(f" ;{COMMAS}")


def _unmark_links(text: str) -> str:
    """Return the text with the links in front as plain ones: `1. (link)`, `- "link"`, `![a fox](link)`."""
    links, place = list[str](), 0
    while match := _FRONT_LINK.match(text, place):
        links.append(match[1] or match[2] or match[3])
        place = match.end()
    return " ".join([*links, text[place:].lstrip()]) if links else text


def _is_link(word: str) -> bool:
    return _LINK_START.match(word.lstrip(SEPARATORS)) is not None


def _split_parameters(text: str, options: Collection[str]) -> tuple[str, list[str]]:
    text = _LOOSE_START.sub("--", text)
    starts = list(PARAMETER_START.finditer(text))
    ends = [*(start.start() for start in starts), len(text)]
    found = [
        (start.start(), start.end())
        for start, end in zip(starts, ends[1:], strict=True)
        if not _is_prose(start[0], text[start.end() : end], options, guess=len(starts) <= MAX_GUESSES)
    ]
    ends = [*(start for start, _ in found), len(text)]
    parameters = [text[start:end] for (_, start), end in zip(found, ends[1:], strict=True)]
    return text[: ends[0]], parameters


def _is_prose(dashes: str, rest: str, options: Collection[str], *, guess: bool) -> bool:
    """Return whether dashes before a word belong to the sentence: `a sign —no entry— on the wall`.

    With `guess`, a word alone that resembles a parameter's name is none of the sentence.
    """
    name, value = split_name(rest)
    if value[:1].isdecimal():
        return False
    is_long = _IS_LONG_DASH.fullmatch(dashes) is not None
    for closing in _CLOSING_DASHES.findall(rest):
        if closing == dashes or (is_long and _IS_LONG_DASH.fullmatch(closing)):
            return True
    is_known = is_parameter_name(name) or rest.partition(" ")[0].rstrip(SEPARATORS).lower() in options
    if is_long and is_known:
        return is_sentence(name, value)
    return is_long and (bool(value) or not guess or nearest_name(name, options) is None)


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
    return [_link_problem(link) for link in links if not IMAGE_LINK.fullmatch(link)]


def _link_problem(link: str) -> Text:
    if (weight := LINK_WEIGHT.search(link)) and IMAGE_LINK.fullmatch(link[: weight.start()]):
        return Text(
            "Pictures have no weights of their own here: leave out {weight}. `--iw` says how much they count",
            weight=quote(weight[0]),
        )
    return Text(
        "{link} is not a direct link to a picture: use one that ends in .png, .jpg, .jpeg, .webp or .gif",
        link=quote(link),
    )


def _spacing_problems(text: str) -> list[Text]:
    return [
        Text("Put a space before `--{parameter}`", parameter=name)
        for name in map(to_name, MISSING_SPACE.findall(text))
        if name in PARAMETER_NAMES
    ]


def _tag_problems(tags: list[tuple[str, str]]) -> list[Text]:
    return [
        Text("Hypernetworks do not work here: remove {tag}", tag=quote(f"<{kind}:{value}>"))
        for kind, value in tags
        if kind.lower() == "hypernet"
    ]
