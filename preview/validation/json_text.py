"""Parse JSON from outside, without the depths and numbers that only an attacker sends."""

from __future__ import annotations

import json
from typing import Any, NoReturn

MAX_DEPTH = 64  # objects and arrays within each other; Discord's deepest body has about a dozen


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text. Raise ValueError if it is invalid, too deep or holds NaN or Infinity."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("the JSON is too deep") from None
    marks: tuple[Any, ...] = ("{", "[") if isinstance(text, str) else (b"{", b"[")
    if sum(map(text.count, marks)) <= MAX_DEPTH:
        return value
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for each in level for child in _children(each)]
        if not level:
            return value
    raise ValueError("the JSON is too deep")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
