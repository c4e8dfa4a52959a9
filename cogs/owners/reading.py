"""Read what owners type, and say what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

import discord

from bot.services import Services
from generation.errors import UserError
from generation.models.catalogue import CATALOGUE, find_entry, normalize_name
from generation.prompt import parse_prompt

T = TypeVar("T")

MOST_RETENTION = 3650  # days
MOST_AT_ONCE = 40  # jobs that one prompt may make
MOST_MODELS = 25
MOST_CHANNELS = 500
MOST_ROLES = 250


def checked_defaults(studio: Services, parameters: str) -> str:
    """Give parameters as they are kept; raises PromptFaults for what the parser does not take as defaults."""
    text = " ".join(parameters.split())
    wish = parse_prompt("a fox", studio.registry, defaults=(text,) if text else ())
    if wish.speed is not None or wish.private is not None or wish.repeat > 1:
        raise UserError(
            "How urgent and how private a job is, and how often it is drawn, each person says for themselves: "
            "leave out `--fast`, `--relax`, `--turbo`, `--stealth`, `--public` and `--repeat`."
        )
    return text


def whole_number(least: int, most: int) -> Callable[[Services, str], int]:
    """Give a reader of whole numbers in a range, which raises Complaint for anything else."""

    def read_number(_: Services, text: str) -> int:
        if not re.fullmatch(r"\s*\d{1,6}\s*", text) or not least <= int(text) <= most:
            raise UserError(f"It must be a whole number from {least} to {most}, not `{text[:20]}`.")
        return int(text)

    return read_number


def refuse_closed(guild: discord.Guild | None, channel_id: int | None, *, files: bool) -> None:
    """Raise Complaint for a channel that the bot may not post in, as far as that is known."""
    channel = guild.get_channel(channel_id) if guild is not None and channel_id is not None else None
    if channel is None:
        return
    may = channel.permissions_for(channel.guild.me)
    if not (may.view_channel and may.send_messages and (may.attach_files or not files)):
        wanted = "see it, send messages and attach files" if files else "see it and send messages"
        raise UserError(
            f"I may not post in {channel.mention}, so nothing was changed: my role needs to {wanted} there."
        )


def model_names(studio: Services) -> list[str]:
    """Give the models that a server's owners can name: those that there are, and those of the catalogue."""
    here, known = (model.name for model in studio.registry.models), (entry.name for entry in CATALOGUE)
    return list(dict.fromkeys((*here, *known)))


def model_name(studio: Services, typed: str, listed: Sequence[str] = ()) -> str:
    """Give a model's name as it is kept; raises Complaint for one that there is not and that is not `listed` either."""
    entry = find_entry(typed)
    named = entry.name if entry else typed
    for name in (*listed, *model_names(studio)):
        if normalize_name(name) == normalize_name(named):
            return name
    raise UserError(f"I know no model `{typed[:40]}`. There are: {', '.join(model_names(studio))}.")


def without(ids: tuple[T, ...], gone: T | None) -> tuple[T, ...]:
    """Give `ids` without one of them; raises Complaint when it is not among them."""
    if gone is not None and gone not in ids:
        raise UserError("That one is not on the list, so nothing was changed.")
    return tuple(each for each in ids if each != gone)


def with_one(ids: tuple[T, ...], new: T | None, most: int, what: str) -> tuple[T, ...]:
    """Give `ids` with one more; raises Complaint when there would be too many."""
    if new is None or new in ids:
        return ids
    if len(ids) >= most:
        raise UserError(f"There are {most} {what} on the list, which is the most.")
    return (*ids, new)


def refuse_nothing(given: object) -> None:
    """Raise Complaint when nothing was said that could be changed."""
    if not given:
        raise UserError("Say what to change: give at least one of the options. `/config panel` shows what holds now.")
