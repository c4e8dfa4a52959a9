"""What the panel of /config can change, and by what kind of control."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import discord

from bot.policy.settings import NsfwMode, ResultPlacement
from bot.policy.summary import PLACEMENT_LABELS
from bot.services import Services
from cogs.config.validation import MAX_JOBS_PER_PROMPT, MAX_RETENTION_DAYS, integer_in_range, parse_defaults

MAX_SELECT_OPTIONS = 25  # what a select of Discord's can hold
DRAWING_CHANNEL_TYPES = [
    discord.ChannelType.text,
    discord.ChannelType.news,
    discord.ChannelType.category,
    discord.ChannelType.forum,
    discord.ChannelType.voice,
]
# A gallery needs its channel, with which it is chosen.
PLACEMENT_CHOICES = {
    f"In {words}": delivery for delivery, words in PLACEMENT_LABELS.items() if delivery is not ResultPlacement.GALLERY
}


@dataclass(frozen=True, slots=True)
class ChannelField:
    """A setting that names channels."""

    title: str
    channel_types: Sequence[discord.ChannelType]
    max_values: int = MAX_SELECT_OPTIONS


@dataclass(frozen=True, slots=True)
class RoleField:
    """A setting that names roles."""

    title: str


@dataclass(frozen=True, slots=True)
class ChoiceField:
    """A setting with a few values, by the words for them."""

    title: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TextField:
    """A setting that is typed into a form; `read` makes the value of it, or raises Complaint."""

    title: str
    parse: Callable[[Services, str], Any]


Field = ChannelField | RoleField | ChoiceField | TextField

FIELDS: dict[str, Field] = {
    "defaults": TextField("Default parameters", parse_defaults),
    "channels": ChannelField("Channels where people may draw", DRAWING_CHANNEL_TYPES),
    "delivery": ChoiceField("Where results go", PLACEMENT_CHOICES),
    "gallery": ChannelField("A gallery channel for results", [discord.ChannelType.text], max_values=1),
    "fast_roles": RoleField("Roles with fast mode"),
    "upscale_roles": RoleField("Roles with big upscales"),
    "repeat_roles": RoleField("Roles with --repeat"),
    "permutation_roles": RoleField("Roles with choices in braces"),
    "permutations": TextField("Jobs that one prompt may make", integer_in_range(1, MAX_JOBS_PER_PROMPT)),
    "language": ChoiceField(
        "Language of my messages", {"As the server has it at Discord": "", "English": "en", "Deutsch": "de"}
    ),
    "stealth": ChoiceField("Private pictures", {"Allowed": True, "Not allowed": False}),
    "retention_days": TextField("Days that pictures are kept (0: not set)", integer_in_range(0, MAX_RETENTION_DAYS)),
    "sensitive": ChoiceField(
        "Sensitive pictures", {"Hidden behind a spoiler": NsfwMode.SPOILER, "Withheld": NsfwMode.WITHHOLD}
    ),
    "log_channel": ChannelField("Log channel", [discord.ChannelType.text], max_values=1),
}


def is_list(field: Field) -> bool:
    """Say whether a setting is a list, of which a select may show a part only."""
    return isinstance(field, RoleField) or (isinstance(field, ChannelField) and field.max_values > 1)


def parse_selection(field: Field, values: list[str]) -> Any:
    """Give the value of a setting that was chosen in a select, where that is no list."""
    match field:
        case ChannelField(max_values=1):
            return int(values[0]) if values else None
        case ChoiceField(values=choices):
            return choices[values[0]]
    raise AssertionError("lists are changed by what was added and taken away")


def format_selection(field: Field, values: list[str]) -> str:
    """Say what was chosen in a select."""
    template = {ChannelField: "<#{}>", RoleField: "<@&{}>"}.get(type(field), "{}")
    return ", ".join(template.format(value) for value in values) or "none"
