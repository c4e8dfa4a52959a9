"""A prompt taken apart: links to pictures, then text, then parameters."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from generation.prompt.escapes import reveal
from generation.prompt.faults import quote
from generation.prompt.junk import strip_junk
from generation.prompt.marks import FRONT_LINKS, GROUP, PARAMETER_START
from generation.prompt.names import NAMES

MAX_LENGTH = 6000
TRAILING = " ,;."

_ANY_NAME = "|".join(sorted(NAMES, key=len, reverse=True))
_LOOSE_START = re.compile(rf"(?<!\S)(?:--+|[–—])\s(?=(?:{_ANY_NAME})\s[.\d])", re.IGNORECASE)
_GLUED = re.compile(r"(?<=[^\s\-–—])--([^\W\d_]+)")
_PICTURE = re.compile(r"https?://[^\s/?#]+/[^\s?#]*\.(?:png|jpe?g|webp|gif)(?:[?#]\S*)?", re.IGNORECASE)


@dataclass(slots=True)
class Pieces:
    """The links, the text and the parameters (without their dashes) of one prompt, and what is wrong with its form."""

    links: tuple[str, ...]
    text: str
    parameters: list[str]
    faults: list[str] = field(default_factory=list)


def take_apart(typed: str) -> Pieces:
    """Take the junk off and the rest apart."""
    plain = strip_junk(typed)
    faults = []
    if len(plain) > MAX_LENGTH:
        faults.append(f"The prompt must be at most {MAX_LENGTH} characters long, this one has {len(plain)}")
    if group := GROUP.search(plain):
        faults.append(f"Choices such as {quote(group[0])} cannot be used here; a plain brace is `\\{{`")
    at_the_front = FRONT_LINKS.match(plain)
    links = [reveal(link).rstrip(TRAILING) for link in at_the_front[0].split()] if at_the_front else []
    rest = plain[at_the_front.end() :] if at_the_front else plain
    faults += [f"{quote(link)} {_NOT_DIRECT}" for link in links if not _PICTURE.fullmatch(link)]
    faults += [f"Put a space before `--{name}`" for name in map(str.lower, _GLUED.findall(rest)) if name in NAMES]
    text, *parameters = PARAMETER_START.split(_LOOSE_START.sub("--", GROUP.sub(r"\1", rest)))
    return Pieces(tuple(links), text.strip(), [parameter.strip() for parameter in parameters], faults)


_NOT_DIRECT = "is not a direct link to a picture: those end in .png, .jpg, .jpeg, .webp or .gif"
