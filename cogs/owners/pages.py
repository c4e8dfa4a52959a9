"""What the panel of /config can change, and by what kind of control."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import discord

from bot.policy.settings import NsfwMode, ResultPlacement
from bot.policy.summary import PLACEMENT_LABELS
from bot.services import Services
from cogs.owners.reading import MOST_AT_ONCE, MOST_RETENTION, checked_defaults, whole_number

MOST_IN_SELECT = 25  # what a select of Discord's can hold
PLACES = [
    discord.ChannelType.text,
    discord.ChannelType.news,
    discord.ChannelType.category,
    discord.ChannelType.forum,
    discord.ChannelType.voice,
]
# A gallery needs its channel, with which it is chosen.
RESULTS = {
    f"In {words}": delivery for delivery, words in PLACEMENT_LABELS.items() if delivery is not ResultPlacement.GALLERY
}


@dataclass(frozen=True, slots=True)
class Channels:
    """A setting that names channels."""

    title: str
    types: Sequence[discord.ChannelType]
    most: int = MOST_IN_SELECT


@dataclass(frozen=True, slots=True)
class Roles:
    """A setting that names roles."""

    title: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A setting with a few values, by the words for them."""

    title: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Typed:
    """A setting that is typed into a form; `read` makes the value of it, or raises Complaint."""

    title: str
    read: Callable[[Services, str], Any]


Page = Channels | Roles | Choice | Typed

PAGES: dict[str, Page] = {
    "defaults": Typed("Default parameters", checked_defaults),
    "channels": Channels("Channels where people may draw", PLACES),
    "delivery": Choice("Where results go", RESULTS),
    "gallery": Channels("A gallery channel for results", [discord.ChannelType.text], most=1),
    "fast_roles": Roles("Roles with fast mode"),
    "upscale_roles": Roles("Roles with big upscales"),
    "repeat_roles": Roles("Roles with --repeat"),
    "permutation_roles": Roles("Roles with choices in braces"),
    "permutations": Typed("Jobs that one prompt may make", whole_number(1, MOST_AT_ONCE)),
    "language": Choice(
        "Language of my messages", {"As the server has it at Discord": "", "English": "en", "Deutsch": "de"}
    ),
    "stealth": Choice("Private pictures", {"Allowed": True, "Not allowed": False}),
    "retention_days": Typed("Days that pictures are kept (0: not set)", whole_number(0, MOST_RETENTION)),
    "sensitive": Choice(
        "Sensitive pictures", {"Hidden behind a spoiler": NsfwMode.SPOILER, "Withheld": NsfwMode.WITHHOLD}
    ),
    "log_channel": Channels("Log channel", [discord.ChannelType.text], most=1),
}


def is_list(page: Page) -> bool:
    """Say whether a setting is a list, of which a select may show a part only."""
    return isinstance(page, Roles) or (isinstance(page, Channels) and page.most > 1)


def chosen(page: Page, values: list[str]) -> Any:
    """Give the value of a setting that was chosen in a select, where that is no list."""
    match page:
        case Channels(most=1):
            return int(values[0]) if values else None
        case Choice(values=known):
            return known[values[0]]
    raise AssertionError("lists are changed by what was added and taken away")


def mentioned(page: Page, values: list[str]) -> str:
    """Say what was chosen in a select."""
    mark = {Channels: "<#{}>", Roles: "<@&{}>"}.get(type(page), "{}")
    return ", ".join(mark.format(value) for value in values) or "none"
