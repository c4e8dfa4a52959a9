"""A prompt taken apart: links to pictures, then text, then parameters."""

from __future__ import annotations

import re
from dataclasses import dataclass

from generation.prompt.escapes import reveal
from generation.prompt.faults import quote
from generation.prompt.junk import strip_junk
from generation.prompt.marks import FRONT_LINKS, GROUP, PARAMETER_START, PICTURE_LINK, TRAILING
from generation.prompt.names import NAMES

MAX_LENGTH = 6000

_ANY_NAME = "|".join(sorted(NAMES, key=len, reverse=True))
_LOOSE_START = re.compile(rf"(?<!\S)(?:--+|[–—])\s(?=(?:{_ANY_NAME})\s[.\d])", re.IGNORECASE)
_GLUED = re.compile(r"(?<=[^\s\-–—])--([^\W\d_]+)")
_LORA = re.compile(r"\s?<lora:([^<>]*)>", re.IGNORECASE)  # as AUTOMATIC1111 has it, also in the midst of the text
_NEXT_LINK = re.compile(r",(?=https?://)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Pieces:
    """The links, the text and the parameters (without their dashes) of one prompt, and what is wrong with its form."""

    links: tuple[str, ...]
    text: str
    parameters: list[str]
    faults: list[str]


def take_apart(typed: str) -> Pieces:
    """Take the junk off and the rest apart."""
    plain = strip_junk(typed)
    links, rest = _split_links(_LORA.sub("", plain))
    text, *parameters = PARAMETER_START.split(_LOOSE_START.sub("--", GROUP.sub(r"\1", rest)))
    parameters += [f"lora {lora}" for lora in _LORA.findall(plain)]
    faults = [*_form_faults(plain), *_link_faults(links), *_gap_faults(rest)]
    return Pieces(links, text.strip(), [parameter.strip() for parameter in parameters], faults)


def _split_links(text: str) -> tuple[tuple[str, ...], str]:
    front = FRONT_LINKS.match(text)
    if front is None:
        return (), text
    links = _NEXT_LINK.sub(" ", front[0]).split()
    return tuple(reveal(link).rstrip(TRAILING) for link in links), text[front.end() :]


def _form_faults(text: str) -> list[str]:
    faults = []
    if len(text) > MAX_LENGTH:
        faults.append(f"The prompt must be at most {MAX_LENGTH} characters long, this one has {len(text)}")
    if group := GROUP.search(text):
        faults.append(f"Choices such as {quote(group[0])} cannot be used here; a plain brace is `\\{{`")
    return faults


def _link_faults(links: tuple[str, ...]) -> list[str]:
    wanted = "is not a direct link to a picture: those end in .png, .jpg, .jpeg, .webp or .gif"
    return [f"{quote(link)} {wanted}" for link in links if not PICTURE_LINK.fullmatch(link)]


def _gap_faults(text: str) -> list[str]:
    return [f"Put a space before `--{name}`" for name in map(str.lower, _GLUED.findall(text)) if name in NAMES]
