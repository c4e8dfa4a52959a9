"""The panel of /config: all current settings, and a control to change one of them."""

from __future__ import annotations

from typing import Any

import discord

from bot.client import Interaction
from bot.discord_calls import NO_MENTIONS
from bot.policy.settings import GuildSettings
from bot.policy.summary import settings_summary
from bot.ui.dynamic_items import PersistentItem, persistent_view, selected_values
from bot.ui.i18n import tr
from bot.ui.modals import ModalValues, PersistentModal, modals
from cogs.config.panel_edits import existing_roles, merge_selection, set_field
from cogs.config.panel_fields import (
    FIELDS,
    MAX_SELECT_OPTIONS,
    ChannelField,
    ChoiceField,
    Field,
    RoleField,
    TextField,
    choice_labels,
    field_title,
    format_selection,
    is_list,
    parse_selection,
)
from generation.errors import UserError

# Seconds for which a panel works for a user without *Manage Server*. Discord can give the command to any role, and
# checks that only when the panel is opened.
PANEL_TTL_S = 900.0
MODAL_PREFIX = "config"


class FieldSelect(PersistentItem, template=r"config:page"):
    """Chooses the setting to change."""

    async def run(self, interaction: Interaction) -> None:
        _require_fresh(interaction)
        await show_panel(interaction, selected_values(interaction)[0])


class FieldValueSelect(PersistentItem, template=r"config:set:(?P<name>[a-z_]+)"):
    """Chooses the value of a setting."""

    async def run(self, interaction: Interaction) -> None:
        _require_fresh(interaction)
        name, values = self.match["name"], selected_values(interaction)
        field = FIELDS[name]
        details = f"{field.title}: {format_selection(field, values)}"
        if is_list(field):
            shown = {each.id for each in getattr(self.item, "default_values", ())}
            await merge_selection(interaction, name, details, tuple(map(int, values)), shown)
        else:
            await set_field(interaction, name, details, parse_selection(field, values))
        await show_panel(interaction, name)


class EditFieldButton(PersistentItem, template=r"config:type:(?P<name>[a-z_]+)"):
    """Opens a modal for a setting that is typed."""

    async def run(self, interaction: Interaction) -> None:
        _require_fresh(interaction)
        name = self.match["name"]
        settings = await interaction.client.services.policy.settings(interaction.guild_id)
        value = discord.ui.TextInput[Any](
            custom_id="value", default=str(getattr(settings, name)), required=False, max_length=500
        )
        field = discord.ui.Label(text=field_title(FIELDS[name])[:45], component=value)
        await interaction.response.send_modal(PersistentModal(f"{MODAL_PREFIX}:{name}", tr("Server settings"), field))


@modals.route(MODAL_PREFIX)
async def on_submit(interaction: Interaction, name: str, values: ModalValues) -> None:
    """Store a setting that was typed into the modal."""
    _require_fresh(interaction)
    field = FIELDS.get(name)
    if not isinstance(field, TextField):
        raise UserError(tr("This setting no longer exists. Open `/config panel` again."))
    value = field.parse(interaction.client.services, values.texts.get("value", ""))
    await set_field(interaction, name, f"{field.title}: {value}", value)
    await show_panel(interaction, name)


async def show_panel(interaction: discord.Interaction[Any], field_name: str = "") -> None:
    """Respond with all current settings, and the control for one of them."""
    services, guild_id = interaction.client.services, interaction.guild_id
    assert guild_id is not None
    settings = await services.policy.settings(guild_id)
    word_count = len(await services.db.guilds.blocked_words(guild_id))
    text = settings_summary(settings, guild_id, word_count, services.config.retention_days)
    content = f"{text}\n{tr('-# Role limits: `/config limits` · blocked words: `/config words`')}"
    view = _view(field_name, settings, interaction.guild)
    if interaction.message is not None:
        await interaction.response.edit_message(content=content, view=view, allowed_mentions=NO_MENTIONS)
    else:
        await interaction.response.send_message(content, view=view, ephemeral=True, allowed_mentions=NO_MENTIONS)


def _view(name: str, settings: GuildSettings, guild: discord.Guild | None) -> discord.ui.View:
    chooser = discord.ui.Select[Any](placeholder=tr("Change…"), custom_id="config:page", row=0)
    for each, field in FIELDS.items():
        chooser.add_option(label=field_title(field), value=each, default=each == name)
    if name not in FIELDS:
        return persistent_view(chooser)
    field, current = FIELDS[name], getattr(settings, name)
    if isinstance(field, RoleField):
        current = existing_roles(guild, current)
    return persistent_view(chooser, _control(name, field, current))


def _control(name: str, field: Field, current: Any) -> discord.ui.Item[Any]:
    custom_id = f"config:set:{name}"
    match field:
        case ChannelField(channel_types=types, max_values=most):
            ids = current if isinstance(current, tuple) else tuple(filter(None, [current]))
            return discord.ui.ChannelSelect(
                custom_id=custom_id,
                channel_types=list(types),
                min_values=0,
                max_values=most,
                default_values=[_default_value(each, discord.SelectDefaultValueType.channel) for each in ids[:most]],
                row=1,
            )
        case RoleField():
            roles = current[:MAX_SELECT_OPTIONS]
            defaults = [_default_value(each, discord.SelectDefaultValueType.role) for each in roles]
            return discord.ui.RoleSelect(
                custom_id=custom_id, min_values=0, max_values=MAX_SELECT_OPTIONS, default_values=defaults, row=1
            )
        case ChoiceField(values=values):
            select = discord.ui.Select[Any](custom_id=custom_id, placeholder=field_title(field), row=1)
            for choice, label in choice_labels(field).items():
                select.add_option(label=label, value=choice, default=values[choice] == current)
            return select
        case TextField():
            return discord.ui.Button(label=tr("Change"), custom_id=f"config:type:{name}", row=1)


def _default_value(object_id: int, kind: discord.SelectDefaultValueType) -> discord.SelectDefaultValue:
    return discord.SelectDefaultValue(id=object_id, type=kind)


def _require_fresh(interaction: discord.Interaction[Any]) -> None:
    """Raise UserError if the panel is too old; it stays on screen even if its user lost access to /config."""
    opened = interaction.message
    if interaction.permissions.manage_guild or opened is None:
        return
    if interaction.client.services.clock() > opened.created_at.timestamp() + PANEL_TTL_S:
        raise UserError(tr("This panel is too old. Open a new one with `/config panel`."))
