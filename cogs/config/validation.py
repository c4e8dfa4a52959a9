"""Parse and validate the input of /config."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

import discord

from bot.services import Services
from bot.ui.i18n import tr
from generation.errors import UserError
from generation.models.catalogue import CATALOGUE, find_entry, normalize_name
from generation.prompt.preferences import check_defaults

T = TypeVar("T")

MAX_RETENTION_DAYS = 3650  # days
MAX_JOBS_PER_PROMPT = 40  # jobs that one prompt may make
MAX_MODELS = 25
MAX_CHANNELS = 500
MAX_ROLES = 250
MAX_ACCOUNT_DAYS = 365  # days
MAX_MEMBER_HOURS = 24 * 30  # hours
MAX_SESSIONS = 10  # in a channel at once
MIN_SESSION_COST, MAX_SESSION_COST = 2, 300  # grids of one session


def parse_defaults(services: Services, parameters: str) -> str:
    """Return parameters as they are stored; raises PromptError if they are not valid as defaults."""
    text = " ".join(parameters.split())
    request = check_defaults(text, services.registry)
    if request.speed is not None or request.private is not None or request.repeat > 1:
        raise UserError(
            tr(
                "Speed, visibility and repetition are each person's own choice: "
                "leave out `--fast`, `--relax`, `--turbo`, `--stealth`, `--public` and `--repeat`."
            )
        )
    return text


def integer_in_range(low: int, high: int) -> Callable[[Services, str], int]:
    """Return a parser for whole numbers in a range, which raises UserError for anything else."""

    def parse_integer(_: Services, text: str) -> int:
        if not re.fullmatch(r"\s*\d{1,6}\s*", text) or not low <= int(text) <= high:
            raise UserError(
                tr(
                    "It must be a whole number from {low} to {high}, not `{typed}`.",
                    low=low,
                    high=high,
                    typed=text[:20],
                )
            )
        return int(text)

    return parse_integer


def require_postable(guild: discord.Guild | None, channel_id: int | None, *, files: bool) -> None:
    """Raise UserError if the bot is known to lack permission to post in a channel."""
    channel = guild.get_channel(channel_id) if guild is not None and channel_id is not None else None
    if channel is None:
        return
    permissions = channel.permissions_for(channel.guild.me)
    if not (permissions.view_channel and permissions.send_messages and (permissions.attach_files or not files)):
        if files:
            message = tr(
                "I may not post in {channel}, so nothing was changed. "
                "My role needs permission to see the channel, send messages and attach files there.",
                channel=channel.mention,
            )
        else:
            message = tr(
                "I may not post in {channel}, so nothing was changed. "
                "My role needs permission to see the channel and send messages there.",
                channel=channel.mention,
            )
        raise UserError(message)


def known_model_names(services: Services) -> list[str]:
    """Return the model names that /config accepts: the loaded models, then the catalogue."""
    loaded, catalogued = (model.name for model in services.registry.models), (entry.name for entry in CATALOGUE)
    return list(dict.fromkeys((*loaded, *catalogued)))


def resolve_model_name(services: Services, typed: str, listed: Sequence[str] = ()) -> str:
    """Return a model's name as it is stored; raises UserError for a name that is neither known nor `listed`."""
    entry = find_entry(typed)
    named = entry.name if entry else typed
    for name in (*listed, *known_model_names(services)):
        if normalize_name(name) == normalize_name(named):
            return name
    available = ", ".join(known_model_names(services))
    raise UserError(tr("There is no model `{model}`. Available: {models}.", model=typed[:40], models=available))


def remove_item(ids: tuple[T, ...], item: T | None) -> tuple[T, ...]:
    """Return `ids` without `item`; raises UserError if it is not among them."""
    if item is not None and item not in ids:
        raise UserError(tr("That one is not on the list, so nothing was changed."))
    return tuple(each for each in ids if each != item)


def add_item(ids: tuple[T, ...], item: T | None, limit: int) -> tuple[T, ...]:
    """Return `ids` with `item` added; raises UserError if there would be too many."""
    if item is None or item in ids:
        return ids
    if len(ids) >= limit:
        raise UserError(tr("The list already has {limit} entries, which is the maximum.", limit=limit))
    return (*ids, item)


def require_any(given: object) -> None:
    """Raise UserError if no option was given."""
    if not given:
        raise UserError(tr("Choose at least one option to change. `/config panel` shows all current settings."))


def refuse_together(one: str, other: str, *values: object) -> None:
    """Raise UserError if the values of two options that contradict each other were both given."""
    if all(values):
        raise UserError(
            tr("`{one}` and `{other}` contradict each other, so nothing was changed.", one=one, other=other)
        )
