"""The panel of /config: all current settings, and a control to change one of them."""

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
from cogs.config.panel_edits import existing_roles, merge_selection, set_field
from cogs.config.panel_fields import (
    FIELDS,
    MAX_SELECT_OPTIONS,
    ChannelField,
    ChoiceField,
    Field,
    RoleField,
    TextField,
    format_selection,
    is_list,
    parse_selection,
)
from cogs.jobs import Interaction
from generation.errors import UserError

# Seconds for which a panel works for somebody without *Manage Server*. Discord can give the command to any role, and
# checks that only when the panel is opened.
PANEL_TTL_S = 900.0
MODAL_PREFIX = "config"

AnySelect = discord.ui.Select[Any] | discord.ui.ChannelSelect[Any] | discord.ui.RoleSelect[Any]


class FieldSelect(discord.ui.DynamicItem[discord.ui.Select[discord.ui.View]], template=r"config:page"):
    """The select for the setting to change."""

    def __init__(self, selected: str = "") -> None:
        select = discord.ui.Select[discord.ui.View](placeholder="Change…", custom_id="config:page", row=0)
        for name, field in FIELDS.items():
            select.add_option(label=field.title, value=name, default=name == selected)
        super().__init__(select)

    @classmethod
    async def from_custom_id(cls, _: discord.Interaction[Any], __: discord.ui.Item[Any], ___: re.Match[str]) -> Self:
        return cls()

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with report_errors(interaction):
            _require_fresh(interaction)
            await show_panel(interaction, _values(interaction)[0])


class FieldValueSelect(discord.ui.DynamicItem[AnySelect], template=r"config:set:(?P<name>[a-z_]+)"):
    """The select for a setting's value."""

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
            _require_fresh(interaction)
            field, values = FIELDS[self.name], _values(interaction)
            details = f"{field.title}: {format_selection(field, values)}"
            if is_list(field):
                shown = {each.id for each in getattr(self.item, "default_values", ())}
                await merge_selection(interaction, self.name, details, tuple(map(int, values)), shown)
            else:
                await set_field(interaction, self.name, details, parse_selection(field, values))
            await show_panel(interaction, self.name)


class EditFieldButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=r"config:type:(?P<name>[a-z_]+)"
):
    """Opens a modal for a setting that is typed."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(discord.ui.Button(label="Change", custom_id=f"config:type:{name}", row=1))

    @classmethod
    async def from_custom_id(cls, _: discord.Interaction[Any], __: discord.ui.Item[Any], match: re.Match[str]) -> Self:
        return cls(match["name"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with report_errors(interaction):
            _require_fresh(interaction)
            settings = await _services(interaction).policy.settings(interaction.guild_id)
            value = discord.ui.TextInput[Any](
                custom_id="value", default=str(getattr(settings, self.name)), required=False, max_length=500
            )
            field = discord.ui.Label(text=FIELDS[self.name].title[:45], component=value)
            await interaction.response.send_modal(
                PersistentModal(f"{MODAL_PREFIX}:{self.name}", "Server settings", field)
            )


async def on_submit(interaction: Interaction, name: str, values: ModalValues) -> None:
    """Store a setting that was typed into the modal."""
    _require_fresh(interaction)
    field = FIELDS.get(name)
    if not isinstance(field, TextField):
        raise UserError("This setting no longer exists. Open `/config panel` again.")
    value = field.parse(_services(interaction), values.texts.get("value", ""))
    await set_field(interaction, name, f"{field.title}: {value}", value)
    await show_panel(interaction, name)


async def show_panel(interaction: discord.Interaction[Any], field_name: str = "") -> None:
    """Respond with all current settings, and the control for one of them."""
    services, guild_id = _services(interaction), interaction.guild_id
    assert guild_id is not None
    settings = await services.policy.settings(guild_id)
    word_count = len(await services.guilds.blocked_words(guild_id))
    text = settings_summary(settings, guild_id, word_count, services.config.retention_days)
    content = f"{text}\n-# Role limits: `/config limits` · blocked words: `/config words`"
    view = _view(field_name, settings, interaction.guild)
    if interaction.message is not None:
        await interaction.response.edit_message(content=content, view=view, allowed_mentions=NO_MENTIONS)
    else:
        await interaction.response.send_message(content, view=view, ephemeral=True, allowed_mentions=NO_MENTIONS)


def _view(name: str, settings: GuildSettings, guild: discord.Guild | None) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    view.add_item(FieldSelect(name))
    if name in FIELDS:
        field, now = FIELDS[name], getattr(settings, name)
        view.add_item(_control(name, field, existing_roles(guild, now) if isinstance(field, RoleField) else now))
    return view


def _control(name: str, field: Field, now: Any) -> discord.ui.Item[Any]:
    custom_id = f"config:set:{name}"
    match field:
        case ChannelField(channel_types=types, max_values=most):
            ids = now if isinstance(now, tuple) else tuple(filter(None, [now]))
            return FieldValueSelect(
                name,
                discord.ui.ChannelSelect(
                    custom_id=custom_id,
                    channel_types=list(types),
                    min_values=0,
                    max_values=most,
                    default_values=[
                        _default_value(each, discord.SelectDefaultValueType.channel) for each in ids[:most]
                    ],
                    row=1,
                ),
            )
        case RoleField():
            defaults = [_default_value(each, discord.SelectDefaultValueType.role) for each in now[:MAX_SELECT_OPTIONS]]
            return FieldValueSelect(
                name,
                discord.ui.RoleSelect(
                    custom_id=custom_id, min_values=0, max_values=MAX_SELECT_OPTIONS, default_values=defaults, row=1
                ),
            )
        case ChoiceField(values=values):
            select = discord.ui.Select[Any](custom_id=custom_id, placeholder=field.title, row=1)
            for label, value in values.items():
                select.add_option(label=label, default=value == now)
            return FieldValueSelect(name, select)
        case TextField():
            return EditFieldButton(name)


def _default_value(object_id: int, kind: discord.SelectDefaultValueType) -> discord.SelectDefaultValue:
    return discord.SelectDefaultValue(id=object_id, type=kind)


def _require_fresh(interaction: discord.Interaction[Any]) -> None:
    """Raise UserError if the panel is too old; it stays on screen even if its user lost access to /config."""
    opened = interaction.message
    if interaction.permissions.manage_guild or opened is None:
        return
    if _services(interaction).clock() > opened.created_at.timestamp() + PANEL_TTL_S:
        raise UserError("This panel is too old. Open a new one with `/config panel`.")


def _values(interaction: discord.Interaction[Any]) -> list[str]:
    return list(cast(dict[str, Any], interaction.data or {}).get("values", []))


def _services(interaction: discord.Interaction[Any]) -> Services:
    services: Services = interaction.client.services
    return services
