"""The names of parameters, and suggestions for misspelt ones."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from generation.prompt.errors import quote
from generation.prompt.parameters import BY_NAME, PLANNED
from generation.text import Text

PARAMETER_NAMES = (*BY_NAME, *PLANNED)
MAX_TYPO_LENGTH = 20

_NAME = re.compile(r"[^\W\d_]+(?:[-_][^\W\d_]+)*")


def split_name(typed: str) -> tuple[str, str]:
    """Split a parameter as typed, without its dashes, into name and value: `ar 3:2`, `seed=5`, `v5`."""
    match = _NAME.match(typed)
    end = match.end() if match else 0
    return typed[:end].lower(), typed[end:].removeprefix("=").strip()


def is_reserved_name(name: str) -> bool:
    """Return whether `--name` already is a parameter, so that no custom option can have this name."""
    return split_name(name)[0] in PARAMETER_NAMES


def unknown_parameter(name: str, options: Iterable[str], *, with_hint: bool) -> Text:
    """Return the problem of an unknown parameter, with the closest known name if `with_hint`."""
    typed = quote("--" + name)
    nearest = _closest(name, [*PARAMETER_NAMES, *options]) if with_hint else None
    if nearest is None:
        return Text("Unrecognized parameter {typed}", typed=typed)
    if nearest in PLANNED:
        return Text("Unrecognized parameter {typed}: `--{nearest}` is not supported yet", typed=typed, nearest=nearest)
    return Text("Unrecognized parameter {typed}: did you mean {nearest}?", typed=typed, nearest=quote("--" + nearest))


def _closest(name: str, names: list[str]) -> str | None:
    close = difflib.get_close_matches(name[:MAX_TYPO_LENGTH], names, 1)
    longer = (known for known in names if len(name) > 2 and known.startswith(name))
    return next(iter(close), None) or next(longer, None)
