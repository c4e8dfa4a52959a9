"""What holds where a prompt does not say otherwise: somebody's own settings and, beneath them, their server's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import discord

from bot.studio import Studio
from generation.prompt import Wish, read
from generation.prompt.preferences import Preferences
from generation.repertoire import Repertoire


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """A person's preferences and options, and all parameters that fill a prompt's gaps, the strongest first."""

    preferences: Preferences
    options: Mapping[str, str]
    defaults: tuple[str, ...]

    def read(self, text: str, repertoire: Repertoire, *, attached: int = 0) -> Wish:
        """Read one prompt of this person's, with `attached` pictures; raises PromptFaults."""
        return read(text, repertoire, attached=attached, defaults=self.defaults, options=self.options)


async def habits_of(studio: Studio, interaction: discord.Interaction[Any]) -> Habits:
    """Look up the habits of who caused an interaction, where they did so."""
    preferences = await studio.people.settings(interaction.user.id)
    server = await studio.policy.settings(interaction.guild_id)
    return Habits(
        preferences=preferences,
        options=await studio.people.options(interaction.user.id),
        defaults=tuple(filter(None, (*preferences.layers, server.defaults))),
    )
