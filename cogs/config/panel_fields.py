"""The settings that the panel of /config can change, each with its kind of control."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import discord

from bot.policy.settings import NsfwMode, ResultPlacement
from bot.services import Services
from bot.ui.i18n import tr
from cogs.config.validation import (
    MAX_ACCOUNT_DAYS,
    MAX_JOBS_PER_PROMPT,
    MAX_MEMBER_HOURS,
    MAX_RETENTION_DAYS,
    MAX_SESSION_COST,
    MAX_SESSIONS,
    MIN_SESSION_COST,
    integer_in_range,
    parse_defaults,
)
from generation.errors import UserError

MAX_SELECT_OPTIONS = 25  # Discord's limit for a select
DRAWING_CHANNEL_TYPES = [
    discord.ChannelType.text,
    discord.ChannelType.news,
    discord.ChannelType.category,
    discord.ChannelType.forum,
    discord.ChannelType.voice,
]
# A gallery is not among them: it is chosen together with its channel.
PLACEMENT_CHOICES = {
    "In the same channel": ResultPlacement.HERE,
    "In a thread for each person": ResultPlacement.THREAD_OF_PERSON,
    "In a thread for each job": ResultPlacement.THREAD_OF_JOB,
}


@dataclass(frozen=True, slots=True)
class ChannelField:
    """A setting with channels, chosen in a select."""

    title: str
    channel_types: Sequence[discord.ChannelType]
    max_values: int = MAX_SELECT_OPTIONS


@dataclass(frozen=True, slots=True)
class RoleField:
    """A setting with roles, chosen in a select."""

    title: str


@dataclass(frozen=True, slots=True)
class ChoiceField:
    """A setting with a few values, by their English labels, which are also the values of the select's options."""

    title: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TextField:
    """A setting that is typed into a modal; `parse` returns its value or raises UserError."""

    title: str
    parse: Callable[[Services, str], Any]


Field = ChannelField | RoleField | ChoiceField | TextField

FIELDS: dict[str, Field] = {
    "defaults": TextField("Default parameters", parse_defaults),
    "channels": ChannelField("Channels where people may draw", DRAWING_CHANNEL_TYPES),
    "delivery": ChoiceField("Where results go", PLACEMENT_CHOICES),
    "gallery": ChannelField("Gallery channel for results", [discord.ChannelType.text], max_values=1),
    "fast_roles": RoleField("Roles with fast mode"),
    "upscale_roles": RoleField("Roles with big upscales"),
    "repeat_roles": RoleField("Roles with --repeat"),
    "permutation_roles": RoleField("Roles with choices in braces"),
    "permutations": TextField("How many jobs one prompt may make", integer_in_range(1, MAX_JOBS_PER_PROMPT)),
    "language": ChoiceField(
        "Language of my messages", {"Same as the server's Discord language": "", "English": "en", "Deutsch": "de"}
    ),
    "stealth": ChoiceField("Private pictures", {"Allowed": True, "Not allowed": False}),
    "retention_days": TextField("Days to keep pictures (0: not set)", integer_in_range(0, MAX_RETENTION_DAYS)),
    "sensitive": ChoiceField(
        "Sensitive pictures", {"Hidden behind a spoiler": NsfwMode.SPOILER, "Withheld": NsfwMode.WITHHOLD}
    ),
    "host_roles": RoleField("Roles that may start a session"),
    "quiet_channels": ChannelField("Channels without sessions", DRAWING_CHANNEL_TYPES),
    "sessions_at_once": TextField("Sessions in a channel at once", integer_in_range(1, MAX_SESSIONS)),
    "session_cost": TextField("Grids that one session may draw", integer_in_range(MIN_SESSION_COST, MAX_SESSION_COST)),
    "min_account_days": TextField("Sessions: age of an account in days", integer_in_range(0, MAX_ACCOUNT_DAYS)),
    "min_member_hours": TextField("Sessions: hours since joining", integer_in_range(0, MAX_MEMBER_HOURS)),
    "contest_channel": ChannelField("Channel of the contest", [discord.ChannelType.text], max_values=1),
    "gallery_pages": ChoiceField("Web gallery", {"On": True, "Off": False}),
    "gallery_hidden": ChannelField("Channels that the web gallery leaves out", DRAWING_CHANNEL_TYPES),
    "gallery_names": ChoiceField("Names in the web gallery", {"Shown": True, "Left out": False}),
    "log_channel": ChannelField("Log channel", [discord.ChannelType.text], max_values=1),
}


# The texts that are translated, for `scripts.translations`.
TITLES = {name: field.title for name, field in FIELDS.items()}
CHOICES = dict(
    enumerate(choice for field in FIELDS.values() if isinstance(field, ChoiceField) for choice in field.values)
)


def field_title(field: Field) -> str:
    """Return the title of a setting."""
    return tr(field.title)


def choice_labels(field: ChoiceField) -> dict[str, str]:
    """Return the labels of a setting's choices, by the values of the select's options."""
    return {choice: tr(choice) for choice in field.values}


def is_list(field: Field) -> bool:
    """Return whether a setting is a list, of which a select may show only a part."""
    return isinstance(field, RoleField) or (isinstance(field, ChannelField) and field.max_values > 1)


def parse_selection(field: Field, values: list[str]) -> Any:
    """Return the value chosen in a select, for a setting that is not a list.

    Raises UserError for a choice that is no longer offered: a panel of an older version may still be open.
    """
    match field:
        case ChannelField(max_values=1):
            return int(values[0]) if values else None
        case ChoiceField(values=choices):
            if values[0] not in choices:
                raise UserError(tr("This panel is too old. Open a new one with `/config panel`."))
            return choices[values[0]]
    raise AssertionError("a list setting is changed by `merge_selection`")


def format_selection(field: Field, values: list[str]) -> str:
    """Return the selected values as English text, for the audit log."""
    template = {ChannelField: "<#{}>", RoleField: "<@&{}>"}.get(type(field), "{}")
    return ", ".join(template.format(value) for value in values) or "none"
