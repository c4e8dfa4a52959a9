"""The panel of /config: everything that holds on one page, and a control for the setting that is to be changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, cast

import discord

from bot.delivery import NOBODY
from bot.errors import answering
from bot.forms import Filled, Form
from bot.policy.changes import Author, change_settings
from bot.policy.describe import DELIVERIES, overview
from bot.policy.settings import Delivery, GuildSettings, Sensitive
from bot.studio import Studio
from cogs.owners.reading import (
    MOST_AT_ONCE,
    MOST_CHANNELS,
    MOST_RETENTION,
    MOST_ROLES,
    checked_defaults,
    refuse_closed,
    whole_number,
)
from cogs.road import Interaction
from generation.errors import Complaint

MOST_IN_SELECT = 25  # what a select of Discord's can hold
# Seconds for which a panel serves somebody without *Manage Server*: whether they still have the command, which Discord
# may give to any role, only Discord knows, and it looks when the panel is opened.
LASTS = 900.0
FORM = "config"
PLACES = [
    discord.ChannelType.text,
    discord.ChannelType.news,
    discord.ChannelType.category,
    discord.ChannelType.forum,
    discord.ChannelType.voice,
]
# A gallery needs its channel, with which it is chosen.
RESULTS = {f"In {words}": delivery for delivery, words in DELIVERIES.items() if delivery is not Delivery.GALLERY}

AnySelect = discord.ui.Select[Any] | discord.ui.ChannelSelect[Any] | discord.ui.RoleSelect[Any]


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
    read: Callable[[Studio, str], Any]


PAGES: dict[str, Channels | Roles | Choice | Typed] = {
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
        "Sensitive pictures", {"Hidden behind a spoiler": Sensitive.SPOILER, "Withheld": Sensitive.WITHHOLD}
    ),
    "log_channel": Channels("Log channel", [discord.ChannelType.text], most=1),
}


class PageSelect(discord.ui.DynamicItem[discord.ui.Select[discord.ui.View]], template=r"config:page"):
    """What is to be changed."""

    def __init__(self, chosen: str = "") -> None:
        select = discord.ui.Select[discord.ui.View](placeholder="Change…", custom_id="config:page", row=0)
        for name, page in PAGES.items():
            select.add_option(label=page.title, value=name, default=name == chosen)
        super().__init__(select)

    @classmethod
    async def from_custom_id(cls, _: discord.Interaction[Any], __: discord.ui.Item[Any], ___: re.Match[str]) -> Self:
        return cls()

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with answering(interaction):
            _refuse_old(interaction)
            await show(interaction, _values(interaction)[0])


class SettingSelect(discord.ui.DynamicItem[AnySelect], template=r"config:set:(?P<name>[a-z_]+)"):
    """Where the value of a setting is chosen."""

    def __init__(self, name: str, select: AnySelect) -> None:
        self.name = name
        super().__init__(select)

    @classmethod
    async def from_custom_id(
        cls, _: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str]
    ) -> Self:
        return cls(match["name"], cast(AnySelect, item))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with answering(interaction):
            _refuse_old(interaction)
            page = PAGES[self.name]
            what = f"{page.title}: {_mentioned(page, _values(interaction))}"
            if isinstance(page, Roles) or (isinstance(page, Channels) and page.most > 1):
                await _change_list(interaction, self.name, what, self.item)
            else:
                await _change(interaction, self.name, what, _chosen(page, _values(interaction)))
            await show(interaction, self.name)


class SettingButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=r"config:type:(?P<name>[a-z_]+)"
):
    """Opens a form for a setting that is typed."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(discord.ui.Button(label="Change it", custom_id=f"config:type:{name}", row=1))

    @classmethod
    async def from_custom_id(cls, _: discord.Interaction[Any], __: discord.ui.Item[Any], match: re.Match[str]) -> Self:
        return cls(match["name"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with answering(interaction):
            _refuse_old(interaction)
            settings = await _studio(interaction).policy.settings(interaction.guild_id)
            value = discord.ui.TextInput[Any](
                custom_id="value", default=str(getattr(settings, self.name)), required=False, max_length=500
            )
            field = discord.ui.Label(text=PAGES[self.name].title[:45], component=value)
            await interaction.response.send_modal(Form(f"{FORM}:{self.name}", "Settings of this server", field))


async def take_form(interaction: Interaction, name: str, filled: Filled) -> None:
    """Take a setting that was typed into the form."""
    _refuse_old(interaction)
    page = PAGES.get(name)
    if not isinstance(page, Typed):
        raise Complaint("This setting is not there any more: open `/config panel` again.")
    value = page.read(_studio(interaction), filled.texts.get("value", ""))
    await _change(interaction, name, f"{page.title}: {value}", value)
    await show(interaction, name)


async def show(interaction: discord.Interaction[Any], page: str = "") -> None:
    """Answer with everything that holds, and the control for one setting."""
    studio, guild_id = _studio(interaction), interaction.guild_id
    assert guild_id is not None
    settings = await studio.policy.settings(guild_id)
    words = len(await studio.guilds.words(guild_id))
    says = overview(settings, guild_id, words, studio.config.retention_days)
    content = f"{says}\n-# Roles' limits: `/config limits` · words: `/config words`"
    view = _view(page, settings, interaction.guild)
    if interaction.message is not None:
        await interaction.response.edit_message(content=content, view=view, allowed_mentions=NOBODY)
    else:
        await interaction.response.send_message(content, view=view, ephemeral=True, allowed_mentions=NOBODY)


def _view(name: str, settings: GuildSettings, guild: discord.Guild | None) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    view.add_item(PageSelect(name))
    if name in PAGES:
        page, now = PAGES[name], getattr(settings, name)
        view.add_item(_control(name, page, _still_there(guild, now) if isinstance(page, Roles) else now))
    return view


def _still_there(guild: discord.Guild | None, roles: Iterable[int]) -> tuple[int, ...]:
    """Give the roles that have not been deleted, where that is known."""
    return tuple(role for role in roles if guild is None or not guild.roles or guild.get_role(role))


def _control(name: str, page: Channels | Roles | Choice | Typed, now: Any) -> discord.ui.Item[Any]:
    custom_id = f"config:set:{name}"
    match page:
        case Channels(types=types, most=most):
            ids = now if isinstance(now, tuple) else tuple(filter(None, [now]))
            return SettingSelect(
                name,
                discord.ui.ChannelSelect(
                    custom_id=custom_id,
                    channel_types=list(types),
                    min_values=0,
                    max_values=most,
                    default_values=[_default(each, discord.SelectDefaultValueType.channel) for each in ids[:most]],
                    row=1,
                ),
            )
        case Roles():
            defaults = [_default(each, discord.SelectDefaultValueType.role) for each in now[:MOST_IN_SELECT]]
            return SettingSelect(
                name,
                discord.ui.RoleSelect(
                    custom_id=custom_id, min_values=0, max_values=MOST_IN_SELECT, default_values=defaults, row=1
                ),
            )
        case Choice(values=values):
            select = discord.ui.Select[Any](custom_id=custom_id, placeholder=page.title, row=1)
            for words, value in values.items():
                select.add_option(label=words, default=value == now)
            return SettingSelect(name, select)
        case Typed():
            return SettingButton(name)


def _default(of: int, kind: discord.SelectDefaultValueType) -> discord.SelectDefaultValue:
    return discord.SelectDefaultValue(id=of, type=kind)


def _chosen(page: Channels | Roles | Choice | Typed, values: list[str]) -> Any:
    match page:
        case Channels(most=1):
            return int(values[0]) if values else None
        case Choice(values=known):
            return known[values[0]]
    raise AssertionError("lists are changed by what was added and taken away")


def _mentioned(page: Channels | Roles | Choice | Typed, values: list[str]) -> str:
    mark = {Channels: "<#{}>", Roles: "<@&{}>"}.get(type(page), "{}")
    return ", ".join(mark.format(value) for value in values) or "none"


async def _change(interaction: discord.Interaction[Any], name: str, what: str, value: Any) -> None:
    if name in ("gallery", "log_channel"):
        refuse_closed(interaction.guild, value, files=name == "gallery")
    await _apply(interaction, what, lambda now: replace(now, **{name: value}, **_along(name, value)))


async def _change_list(interaction: discord.Interaction[Any], name: str, what: str, select: AnySelect) -> None:
    """Add and take away what was chosen and no longer chosen.

    What the select did not show stays: it shows 25 at most, and somebody may have added more since it was shown. Roles
    that were deleted go.
    """
    chosen = tuple(map(int, _values(interaction)))
    shown = {each.id for each in getattr(select, "default_values", ())}
    most = MOST_CHANNELS if isinstance(PAGES[name], Channels) else MOST_ROLES

    def change(now: GuildSettings) -> GuildSettings:
        before: tuple[int, ...] = getattr(now, name)
        if isinstance(PAGES[name], Roles):
            before = _still_there(interaction.guild, before)
        kept = [each for each in before if each in chosen or each not in shown]
        after = tuple(dict.fromkeys([*kept, *chosen]))
        if len(after) > most:
            raise Complaint(f"That would be {len(after)} on the list, and {most} is the most.")
        changed: dict[str, Any] = {name: after}
        return replace(now, **changed)

    await _apply(interaction, what, change)


async def _apply(
    interaction: discord.Interaction[Any], what: str, change: Callable[[GuildSettings], GuildSettings]
) -> None:
    assert interaction.guild_id is not None
    studio, author = _studio(interaction), Author(interaction.guild_id, interaction.user.id)
    await change_settings(studio.guilds, author, what, change, studio.clock)


def _refuse_old(interaction: discord.Interaction[Any]) -> None:
    """A panel stays in its window for as long as that is open, also when its owner is an owner no more."""
    opened = interaction.message
    if interaction.permissions.manage_guild or opened is None:
        return
    if _studio(interaction).clock() > opened.created_at.timestamp() + LASTS:
        raise Complaint("This panel is too old: open a new one with `/config panel`.")


def _along(name: str, value: Any) -> dict[str, Any]:
    """Give what must change along with a setting: a gallery is a channel and a way to deliver at once."""
    match name:
        case "gallery":
            return {"delivery": Delivery.GALLERY if value else Delivery.HERE}
        case "delivery":
            return {"gallery": None}
    return {}


def _values(interaction: discord.Interaction[Any]) -> list[str]:
    return list(cast(dict[str, Any], interaction.data or {}).get("values", []))


def _studio(interaction: discord.Interaction[Any]) -> Studio:
    studio: Studio = interaction.client.studio
    return studio
