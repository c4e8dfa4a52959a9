"""Where a parameter begins, and how text is kept from looking like one."""

from __future__ import annotations

import re

from generation.prompt.escapes import COMMAS, SYNTAX_CHARS, escape_all
from generation.prompt.junk import SIGNATURE_START

# Phones turn `--` into a dash. In prose a dash stands between spaces or between words, so there it stays text.
_START = r"(?<!\S)(?:--+(?=\w)|(?!-[^-–—])[-–—]+(?=[A-Za-z]))"
PARAMETER_START = re.compile(_START)
SEPARATORS = f" ;.。{COMMAS}"  # what people put between parameters
PERMUTATION_GROUP = re.compile(rf"\{{([^{{}}{COMMAS}]*)[^{{}}]*\}}")
LEADING_LINKS = re.compile(r"^(?:https?://\S+\s?)+", re.IGNORECASE)
IMAGE_LINK = re.compile(r"https?://[^\s/?#]+/[^\s?#]*\.(?:png|jpe?g|webp|gif)(?:[?#]\S*)?", re.IGNORECASE)

_SPECIAL = re.compile(
    rf"{_START}|(?<!-)--+(?=\w)|(?<!\S)(?:--+|[–—])(?=\s[a-z]+\s[.\d])|::|：：|\*\*|[{{}}]|<(?=https?:|lora:)|{SIGNATURE_START}"
    rf"|\A/imagine|(?<=\Aprompt):|(?<=\Aprompt\s):|\Ahttps?:|\\(?=[{re.escape(SYNTAX_CHARS)}]|\Z)",
    re.IGNORECASE,
)


def escape(text: str) -> str:
    """Put backslashes into `text` so that parsing gives it back as it is."""
    return _SPECIAL.sub(lambda match: escape_all(match[0]), text)
