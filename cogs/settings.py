"""/settings: one private message with everything that somebody can settle for all their prompts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Self

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Client
from bot.jobs.prompt_defaults import PromptDefaults, load_prompt_defaults
from bot.services import Services
from bot.ui.errors import report_errors
from bot.ui.text import escape_markdown, truncate
from cogs.autocomplete import MAX_CHOICE_LENGTH, MAX_CHOICES, available_models, resolve_model
from cogs.jobs import Interaction
from generation.job import Speed
from generation.models.catalogue import normalize_name
from generation.models.model import Model
from generation.prompt.preferences import STYLIZE_PRESETS

ON, OFF = discord.ButtonStyle.primary, discord.ButtonStyle.secondary
MAX_SUFFIX_SHOWN = 700  # characters of a suffix; escaping may double them
UNSET = "as it is"  # the value of the choice that changes nothing
_VALUES: dict[str, Any] = {"on": True, "off": False, **{speed.value: speed for speed in Speed}}


class Settings(commands.Cog):
    """Show and change what a person prefers."""

    def __init__(self, studio: Services) -> None:
        self.services = studio

    @app_commands.command(description="What holds for all your prompts: style, speed, who sees them")
    async def settings(self, interaction: Interaction) -> None:
        defaults = await load_prompt_defaults(self.services, interaction)
        models = await available_models(self.services, interaction.guild_id)
        await interaction.response.send_message(
            panel_text(defaults, models), view=panel_view(defaults, models), ephemeral=True
        )


class SettingButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=r"set:(?P<name>[a-z_]+):(?P<value>[a-z]+)"
):
    """A setting and the value that pressing gives it, so that pressing twice does no more than once."""

    def __init__(self, name: str, value: str, label: str, row: int, is_on: bool) -> None:
        self.name, self.value = name, value
        super().__init__(
            discord.ui.Button(label=label, custom_id=f"set:{name}:{value}", style=ON if is_on else OFF, row=row)
        )

    @classmethod
    async def from_custom_id(
        cls, _: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str]
    ) -> Self:
        return cls(match["name"], match["value"], "", 0, False)

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with report_errors(interaction):
            if self.name == "reset":
                await _services(interaction).preferences.reset(interaction.user.id)
                await _refresh(interaction)
            else:
                await _change(interaction, **{self.name: _VALUES[self.value]})


class StylizeSelect(discord.ui.DynamicItem[discord.ui.Select[discord.ui.View]], template="set:stylize"):
    """How strongly the house style is applied."""

    def __init__(self, stylize: int | None = None) -> None:
        super().__init__(
            discord.ui.Select(
                custom_id="set:stylize",
                options=[
                    discord.SelectOption(
                        label="Stylize: not set",
                        value=UNSET,
                        description="As the server and the model have it",
                        default=stylize is None,
                    ),
                    *(
                        discord.SelectOption(
                            label=f"Stylize: {name}",
                            value=str(amount),
                            description=f"--stylize {amount}",
                            default=amount == stylize,
                        )
                        for name, amount in STYLIZE_PRESETS.items()
                    ),
                ],
                row=1,
            )
        )

    @classmethod
    async def from_custom_id(cls, *_: Any) -> Self:
        return cls()

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with report_errors(interaction):
            (chosen,) = self.item.values
            await _change(interaction, stylize=None if chosen == UNSET else int(chosen))


class ModelSelect(discord.ui.DynamicItem[discord.ui.Select[discord.ui.View]], template="set:model"):
    """Which model draws; `/prefer model` offers also those for which there is no room here."""

    def __init__(self, preferred: str | None = None, models: Sequence[Model] = ()) -> None:
        names = [model.name for model in models][: MAX_CHOICES - 1]
        super().__init__(
            discord.ui.Select(
                custom_id="set:model",
                options=[
                    discord.SelectOption(
                        label="Model: not set",
                        value=UNSET,
                        description="As the server has it",
                        default=preferred not in names,
                    ),
                    *(
                        discord.SelectOption(
                            label=truncate(f"Model: {name}", MAX_CHOICE_LENGTH),
                            value=normalize_name(name)[:MAX_CHOICE_LENGTH],
                            default=name == preferred,
                        )
                        for name in names
                    ),
                ],
                row=0,
            )
        )

    @classmethod
    async def from_custom_id(cls, *_: Any) -> Self:
        return cls()

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with report_errors(interaction):
            (value,) = self.item.values
            if value == UNSET:
                await _change(interaction, model=None)
            else:
                chosen = await resolve_model(_services(interaction), interaction.guild_id, value)
                await _change(interaction, model=chosen.name)


def panel_view(defaults: PromptDefaults, models: Sequence[Model]) -> discord.ui.View:
    """Give the panel's controls, with `models` to choose from where there are several; what is on is blue."""
    view, preferences = discord.ui.View(timeout=None), defaults.preferences
    if len(models) > 1:
        view.add_item(ModelSelect(preferences.model, models))
    view.add_item(StylizeSelect(preferences.stylize))
    for row, name, value, label in _BUTTONS:
        view.add_item(SettingButton(name, value, label, row, getattr(preferences, name) == _VALUES[value]))
    for name, label in _SWITCHES.items():
        is_on = getattr(preferences, name)
        view.add_item(SettingButton(name, "off" if is_on else "on", label, 4, is_on))
    view.add_item(SettingButton("reset", "all", "Reset", 4, False))
    return view


def panel_text(defaults: PromptDefaults, models: Sequence[Model]) -> str:
    """Put a person's settings in words; `models` are those that may draw where they are looked at."""
    preferences = defaults.preferences
    suffix = escape_markdown(truncate(preferences.suffix, MAX_SUFFIX_SHOWN)) if preferences.suffix else "none"
    return (
        "## Your settings\n"
        f"Model: **{escape_markdown(defaults.model.name)}**{_unavailable_note(preferences.model, models)}\n"
        f"Suffix: {suffix} (`/prefer suffix`)\n"
        "-# They hold for all your prompts in every server. What a prompt says itself comes first."
    )


def _unavailable_note(preferred: str | None, models: Sequence[Model]) -> str:
    """Say that a preferred model does not draw here, if it does not."""
    if preferred is None or any(model.name == preferred for model in models):
        return ""
    return f" (you prefer {escape_markdown(preferred)}, which does not draw here)"


async def _change(interaction: Interaction, **changes: Any) -> None:
    await _services(interaction).preferences.update(interaction.user.id, **changes)
    await _refresh(interaction)


async def _refresh(interaction: Interaction) -> None:
    services = _services(interaction)
    defaults, models = (
        await load_prompt_defaults(services, interaction),
        await available_models(services, interaction.guild_id),
    )
    await interaction.response.edit_message(content=panel_text(defaults, models), view=panel_view(defaults, models))


def _services(interaction: Interaction) -> Services:
    return interaction.client.services


async def setup(client: Client) -> None:
    """Add the cog and the panel's controls; discord.py calls this."""
    await client.add_cog(Settings(client.services))
    client.add_dynamic_items(SettingButton, StylizeSelect, ModelSelect)


# Row, setting, value and label of the buttons of which one is on.
_BUTTONS = (
    (2, "speed", "turbo", "Turbo"),
    (2, "speed", "fast", "Fast"),
    (2, "speed", "relax", "Relax"),
    (3, "private", "off", "Public"),
    (3, "private", "on", "Stealth"),
    (3, "high_variation", "on", "High variation"),
    (3, "high_variation", "off", "Low variation"),
)
_SWITCHES = {"raw": "Raw", "remix": "Remix", "auto_dm": "DM results"}
