"""/settings: a private panel with a user's defaults for all prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Client, Interaction
from bot.jobs.prompt_defaults import PromptDefaults, load_prompt_defaults
from bot.services import Services
from bot.ui.dynamic_items import PersistentItem, persistent_view, selected_values
from bot.ui.i18n import tr
from bot.ui.text import escape_markdown, truncate
from cogs.autocomplete import MAX_CHOICE_LENGTH, MAX_CHOICES, available_models, resolve_model
from generation.job import Speed
from generation.models.catalogue import normalize_name
from generation.models.model import Model
from generation.prompt.preferences import STYLIZE_PRESETS

ON, OFF = discord.ButtonStyle.primary, discord.ButtonStyle.secondary
MAX_SUFFIX_SHOWN = 700  # characters of a suffix; escaping may double them
UNSET = "as it is"  # the value of the option that clears a setting
_VALUES: dict[str, Any] = {"on": True, "off": False, **{speed.value: speed for speed in Speed}}


class Settings(commands.Cog):
    """Show and change a user's preferences."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @app_commands.command(description="Your defaults: style, speed, visibility")
    async def settings(self, interaction: Interaction) -> None:
        defaults = await load_prompt_defaults(self.services, interaction)
        models = await available_models(self.services, interaction.guild_id)
        await interaction.response.send_message(
            panel_text(defaults, models), view=panel_view(defaults, models), ephemeral=True
        )


class SettingButton(PersistentItem, template=r"set:(?P<name>[a-z_]+):(?P<value>[a-z]+)"):
    """Sets a setting to the value in its custom_id, so that a second press changes nothing."""

    async def run(self, interaction: Interaction) -> None:
        name, value = self.match["name"], self.match["value"]
        if name == "reset":
            await interaction.client.services.db.preferences.reset(interaction.user.id)
            await _refresh(interaction)
        else:
            await _change(interaction, **{name: _VALUES[value]})


class StylizeSelect(PersistentItem, template="set:stylize"):
    """Sets how strongly the model's house style is applied."""

    async def run(self, interaction: Interaction) -> None:
        (selected,) = selected_values(interaction)
        await _change(interaction, stylize=None if selected == UNSET else int(selected))


class ModelSelect(PersistentItem, template="set:model"):
    """Sets the model; `/prefer model` also offers those that do not fit into the select."""

    async def run(self, interaction: Interaction) -> None:
        (selected,) = selected_values(interaction)
        if selected == UNSET:
            await _change(interaction, model=None)
        else:
            model = await resolve_model(interaction.client.services, interaction.guild_id, selected)
            await _change(interaction, model=model.name)


def panel_view(defaults: PromptDefaults, models: Sequence[Model]) -> discord.ui.View:
    """Return the panel's controls, with a select of `models` if there are several; active settings are blue."""
    preferences = defaults.preferences
    items: list[discord.ui.Item[Any]] = [_model_select(preferences.model, models)] if len(models) > 1 else []
    items.append(_stylize_select(preferences.stylize))
    for row, name, value, label in _BUTTONS:
        items.append(_button(name, value, tr(label), row, is_on=getattr(preferences, name) == _VALUES[value]))
    for name, label in _SWITCHES.items():
        is_on = getattr(preferences, name)
        items.append(_button(name, "off" if is_on else "on", tr(label), 4, is_on=is_on))
    return persistent_view(*items, _button("reset", "all", tr("Reset"), 4, is_on=False))


def _button(name: str, value: str, label: str, row: int, *, is_on: bool) -> discord.ui.Button[Any]:
    return discord.ui.Button(label=label, custom_id=f"set:{name}:{value}", style=ON if is_on else OFF, row=row)


def _stylize_select(stylize: int | None) -> discord.ui.Select[Any]:
    select = discord.ui.Select[Any](custom_id="set:stylize", row=1)
    unset = tr("Default of the server and the model")
    select.add_option(label=tr("Stylize: not set"), value=UNSET, description=unset, default=stylize is None)
    for name, amount in STYLIZE_PRESETS.items():
        select.add_option(
            label=tr(_STYLIZE_LABELS[name]),
            value=str(amount),
            description=f"--stylize {amount}",
            default=amount == stylize,
        )
    return select


def _model_select(preferred: str | None, models: Sequence[Model]) -> discord.ui.Select[Any]:
    names = [model.name for model in models][: MAX_CHOICES - 1]
    select = discord.ui.Select[Any](custom_id="set:model", row=0)
    unset = tr("Default of the server")
    select.add_option(label=tr("Model: not set"), value=UNSET, description=unset, default=preferred not in names)
    for name in names:
        label = truncate(tr("Model: {name}", name=name), MAX_CHOICE_LENGTH)
        select.add_option(label=label, value=normalize_name(name)[:MAX_CHOICE_LENGTH], default=name == preferred)
    return select


def panel_text(defaults: PromptDefaults, models: Sequence[Model]) -> str:
    """Return the panel's text; `models` are those allowed where it is shown."""
    preferences = defaults.preferences
    suffix = escape_markdown(truncate(preferences.suffix, MAX_SUFFIX_SHOWN)) if preferences.suffix else tr("none")
    return "\n".join(
        [
            tr("## Your settings"),
            _model_line(defaults, models),
            tr("Suffix: {suffix} (`/prefer suffix`)", suffix=suffix),
            tr("-# They apply to all your prompts in every server. A prompt's own parameters come first."),
        ]
    )


def _model_line(defaults: PromptDefaults, models: Sequence[Model]) -> str:
    """Return the model in use, and the preferred one if it is not available here."""
    name, preferred = escape_markdown(defaults.model.name), defaults.preferences.model
    if preferred is None or any(model.name == preferred for model in models):
        return tr("Model: **{name}**", name=name)
    return tr(
        "Model: **{name}** (you prefer {preferred}, which is not available here)",
        name=name,
        preferred=escape_markdown(preferred),
    )


async def _change(interaction: Interaction, **changes: Any) -> None:
    await interaction.client.services.db.preferences.update(interaction.user.id, **changes)
    await _refresh(interaction)


async def _refresh(interaction: Interaction) -> None:
    services = interaction.client.services
    defaults = await load_prompt_defaults(services, interaction)
    models = await available_models(services, interaction.guild_id)
    await interaction.response.edit_message(content=panel_text(defaults, models), view=panel_view(defaults, models))


async def setup(client: Client) -> None:
    """Add the cog and the panel's controls; discord.py calls this."""
    await client.add_cog(Settings(client.services))
    client.add_dynamic_items(SettingButton, StylizeSelect, ModelSelect)


# Row, setting, value and label of the buttons of which one is active.
_BUTTONS = (
    (2, "speed", "turbo", "Turbo"),
    (2, "speed", "fast", "Fast"),
    (2, "speed", "relax", "Relax"),
    (3, "private", "off", "Public"),
    (3, "private", "on", "Stealth"),
    (3, "high_variation", "on", "High variation"),
    (3, "high_variation", "off", "Low variation"),
)
_STYLIZE_LABELS = {name: f"Stylize: {name}" for name in STYLIZE_PRESETS}
_SWITCHES = {"raw": "Raw", "remix": "Remix", "auto_dm": "DM results"}
