"""Read what owners type, and say what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable

from bot.studio import Studio
from generation.errors import Complaint
from generation.prompt import read

MOST_RETENTION = 3650  # days
MOST_AT_ONCE = 40  # jobs that one prompt may make
MOST_CHANNELS = 500
MOST_ROLES = 250


def checked_defaults(studio: Studio, parameters: str) -> str:
    """Give parameters as they are kept; raises PromptFaults for what the parser does not take as defaults."""
    text = " ".join(parameters.split())
    read("a fox", studio.model, defaults=(text,) if text else ())
    return text


def whole_number(least: int, most: int) -> Callable[[Studio, str], int]:
    """Give a reader of whole numbers in a range, which raises Complaint for anything else."""

    def read_number(_: Studio, text: str) -> int:
        if not re.fullmatch(r"\s*\d{1,6}\s*", text) or not least <= int(text) <= most:
            raise Complaint(f"It must be a whole number from {least} to {most}, not `{text[:20]}`.")
        return int(text)

    return read_number


def without(ids: tuple[int, ...], gone: int | None) -> tuple[int, ...]:
    """Give `ids` without one of them; raises Complaint when it is not among them."""
    if gone is not None and gone not in ids:
        raise Complaint("That one is not on the list, so nothing was changed.")
    return tuple(each for each in ids if each != gone)


def with_one(ids: tuple[int, ...], new: int | None, most: int, what: str) -> tuple[int, ...]:
    """Give `ids` with one more; raises Complaint when there would be too many."""
    if new is None or new in ids:
        return ids
    if len(ids) >= most:
        raise Complaint(f"There are {most} {what} on the list, which is the most.")
    return (*ids, new)


def refuse_nothing(given: object) -> None:
    """Raise Complaint when nothing was said that could be changed."""
    if not given:
        raise Complaint("Say what to change: give at least one of the options. `/config panel` shows what holds now.")
