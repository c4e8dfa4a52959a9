"""Small checks for the rules; each yields the problems that it finds."""

from __future__ import annotations

from collections.abc import Iterator

from preview.state.errors import Problem
from preview.state.world import Json

Problems = Iterator[Problem]


def length(path: str, value: object, minimum: int, maximum: int) -> Problems:
    """Check the length of a text or list, if it is present."""
    if isinstance(value, (str, list)) and not minimum <= len(value) <= maximum:
        unit = "in length" if isinstance(value, str) else "in number"
        yield Problem(path, "BASE_TYPE_BAD_LENGTH", f"Must be between {minimum} and {maximum} {unit}.")


def required(path: str, part: Json, *names: str) -> Problems:
    """Check that fields are present and not empty."""
    for name in names:
        if part.get(name) in (None, "", {}):
            yield Problem(f"{path}.{name}".strip("."), "BASE_TYPE_REQUIRED", "This field is required")


def forbidden(path: str, part: Json, code: str, *names: str) -> Problems:
    """Check that fields are absent or empty."""
    for name in names:
        if part.get(name):
            yield Problem(f"{path}.{name}".strip("."), code, f"`{name}` is not allowed here")


def url_scheme(path: str, url: str | None, *, attachment: bool) -> Problems:
    """Check the scheme of an address, if it is present."""
    schemes = ("http://", "https://", *(("attachment://",) if attachment else ()))
    if url and not url.startswith(schemes):
        yield Problem(path, "URL_TYPE_INVALID_SCHEME", f"Scheme must be one of {schemes}.")
