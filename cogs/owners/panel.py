"""The panel of /config: everything that holds on one page, and a control for the setting that is to be changed."""

from __future__ import annotations

import re
from typing import Any, Self, cast

import discord

from bot.discord_calls import NO_MENTIONS
from bot.policy.settings import GuildSettings
from bot.policy.summary import settings_summary
from bot.services import Services
from bot.ui.errors import report_errors
from bot.ui.modals import ModalValues, PersistentModal
from cogs.owners.changing import change, change_list, still_there
from cogs.owners.pages import MOST_IN_SELECT, PAGES, Channels, Choice, Page, Roles, Typed, chosen, is_list, mentioned
from cogs.road import Interaction
from generation.errors import UserError

# Seconds for which a panel serves somebody without *Manage Server*: whether they still have the command, which Discord
# may give to any role, only Discord knows, and it looks when the panel is opened.
LASTS = 900.0
FORM = "config"

AnySelect = discord.ui.Select[Any] | discord.ui.ChannelSelect[Any] | discord.ui.RoleSelect[Any]


class PageSelect(discord.ui.DynamicItem[discord.ui.Select[discord.ui.View]], template=r"config:page"):
    """What is to be changed."""

    def __init__(self, open_at: str = "") -> None:
        select = discord.ui.Select[discord.ui.View](placeholder="Change…", custom_id="config:page", row=0)
        for name, page in PAGES.items():
            select.add_option(label=page.title, value=name, default=name == open_at)
        super().__init__(select)

    @classmethod
    async def from_custom_id(cls, _: discord.Interaction[Any], __: discord.ui.Item[Any], ___: re.Match[str]) -> Self:
        return cls()

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with report_errors(interaction):
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
        async with report_errors(interaction):
            _refuse_old(interaction)
            page, values = PAGES[self.name], _values(interaction)
            what = f"{page.title}: {mentioned(page, values)}"
            if is_list(page):
                shown = {each.id for each in getattr(self.item, "default_values", ())}
                await change_list(interaction, self.name, what, tuple(map(int, values)), shown)
            else:
                await change(interaction, self.name, what, chosen(page, values))
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
        async with report_errors(interaction):
            _refuse_old(interaction)
            settings = await _studio(interaction).policy.settings(interaction.guild_id)
            value = discord.ui.TextInput[Any](
                custom_id="value", default=str(getattr(settings, self.name)), required=False, max_length=500
            )
            field = discord.ui.Label(text=PAGES[self.name].title[:45], component=value)
            await interaction.response.send_modal(
                PersistentModal(f"{FORM}:{self.name}", "Settings of this server", field)
            )


async def take_form(interaction: Interaction, name: str, filled: ModalValues) -> None:
    """Take a setting that was typed into the form."""
    _refuse_old(interaction)
    page = PAGES.get(name)
    if not isinstance(page, Typed):
        raise UserError("This setting is not there any more: open `/config panel` again.")
    value = page.read(_studio(interaction), filled.texts.get("value", ""))
    await change(interaction, name, f"{page.title}: {value}", value)
    await show(interaction, name)


async def show(interaction: discord.Interaction[Any], page: str = "") -> None:
    """Answer with everything that holds, and the control for one setting."""
    studio, guild_id = _studio(interaction), interaction.guild_id
    assert guild_id is not None
    settings = await studio.policy.settings(guild_id)
    words = len(await studio.guilds.blocked_words(guild_id))
    says = settings_summary(settings, guild_id, words, studio.config.retention_days)
    content = f"{says}\n-# Roles' limits: `/config limits` · words: `/config words`"
    view = _view(page, settings, interaction.guild)
    if interaction.message is not None:
        await interaction.response.edit_message(content=content, view=view, allowed_mentions=NO_MENTIONS)
    else:
        await interaction.response.send_message(content, view=view, ephemeral=True, allowed_mentions=NO_MENTIONS)


def _view(name: str, settings: GuildSettings, guild: discord.Guild | None) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    view.add_item(PageSelect(name))
    if name in PAGES:
        page, now = PAGES[name], getattr(settings, name)
        view.add_item(_control(name, page, still_there(guild, now) if isinstance(page, Roles) else now))
    return view


def _control(name: str, page: Page, now: Any) -> discord.ui.Item[Any]:
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


def _refuse_old(interaction: discord.Interaction[Any]) -> None:
    """A panel stays in its window for as long as that is open, also when its owner is an owner no more."""
    opened = interaction.message
    if interaction.permissions.manage_guild or opened is None:
        return
    if _studio(interaction).clock() > opened.created_at.timestamp() + LASTS:
        raise UserError("This panel is too old: open a new one with `/config panel`.")


def _values(interaction: discord.Interaction[Any]) -> list[str]:
    return list(cast(dict[str, Any], interaction.data or {}).get("values", []))


def _studio(interaction: discord.Interaction[Any]) -> Services:
    studio: Services = interaction.client.services
    return studio
