"""/settings: one private message with everything that somebody can settle for all their prompts."""

from __future__ import annotations

import re
from typing import Any, Self

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Client
from bot.errors import answering
from bot.studio import Studio
from cogs.road import Interaction
from generation.display import escape, shorten
from generation.job import Speed
from generation.prompt.preferences import STYLIZE, Preferences

ON, OFF = discord.ButtonStyle.primary, discord.ButtonStyle.secondary
LONGEST_SHOWN = 700  # characters of a suffix; escaping may double them
AS_IT_IS = "as it is"  # the value of the choice that changes nothing
_VALUES: dict[str, Any] = {"on": True, "off": False, **{speed.value: speed for speed in Speed}}


class Settings(commands.Cog):
    """Show and change what a person prefers."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    @app_commands.command(description="What holds for all your prompts: style, speed, who sees them")
    async def settings(self, interaction: Interaction) -> None:
        preferences = await self.studio.people.settings(interaction.user.id)
        await interaction.response.send_message(
            panel_text(preferences, self.studio), view=panel(preferences), ephemeral=True
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
        async with answering(interaction):
            if self.name == "reset":
                await _redraw(interaction, await _studio(interaction).people.reset(interaction.user.id))
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
                        value=AS_IT_IS,
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
                        for name, amount in STYLIZE.items()
                    ),
                ],
                row=0,
            )
        )

    @classmethod
    async def from_custom_id(cls, *_: Any) -> Self:
        return cls()

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with answering(interaction):
            (chosen,) = self.item.values
            await _change(interaction, stylize=None if chosen == AS_IT_IS else int(chosen))


def panel(preferences: Preferences) -> discord.ui.View:
    """Give the panel's controls; what is on is blue."""
    view = discord.ui.View(timeout=None)
    view.add_item(StylizeSelect(preferences.stylize))
    for row, name, value, label in _BUTTONS:
        view.add_item(SettingButton(name, value, label, row, getattr(preferences, name) == _VALUES[value]))
    for name, label in _SWITCHES.items():
        is_on = getattr(preferences, name)
        view.add_item(SettingButton(name, "off" if is_on else "on", label, 4, is_on))
    view.add_item(SettingButton("reset", "all", "Reset", 4, False))
    return view


def panel_text(preferences: Preferences, studio: Studio) -> str:
    """Put a person's settings in words."""
    suffix = escape(shorten(preferences.suffix, LONGEST_SHOWN)) if preferences.suffix else "none"
    return (
        "## Your settings\n"
        f"Model: **{escape(studio.repertoire.default.name)}**\n"
        f"Suffix: {suffix} (`/prefer suffix`)\n"
        "-# They hold for all your prompts in every server. What a prompt says itself comes first."
    )


async def _change(interaction: Interaction, **changes: Any) -> None:
    await _redraw(interaction, await _studio(interaction).people.change(interaction.user.id, **changes))


async def _redraw(interaction: Interaction, preferences: Preferences) -> None:
    text = panel_text(preferences, _studio(interaction))
    await interaction.response.edit_message(content=text, view=panel(preferences))


def _studio(interaction: Interaction) -> Studio:
    return interaction.client.studio


async def setup(client: Client) -> None:
    """Add the cog and the panel's controls; discord.py calls this."""
    await client.add_cog(Settings(client.studio))
    client.add_dynamic_items(SettingButton, StylizeSelect)


# Row, setting, value and label of the buttons of which one is on.
_BUTTONS = (
    (1, "speed", "turbo", "Turbo"),
    (1, "speed", "fast", "Fast"),
    (1, "speed", "relax", "Relax"),
    (2, "private", "off", "Public"),
    (2, "private", "on", "Stealth"),
    (3, "high_variation", "on", "High variation"),
    (3, "high_variation", "off", "Low variation"),
)
_SWITCHES = {"raw": "Raw", "remix": "Remix", "auto_dm": "DM results"}
