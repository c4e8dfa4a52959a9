"""What holds where a prompt does not say otherwise: somebody's own settings and, beneath them, their server's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import discord

from bot.policy.settings import GuildSettings
from bot.studio import Studio
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.prompt import PromptRequest, choose_model, drop_unknown, model_parameter, parse_prompt
from generation.prompt.preferences import Preferences


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """A person's preferences and options, and all parameters that fill a prompt's gaps, the strongest first."""

    repertoire: ModelRegistry
    preferences: Preferences
    options: Mapping[str, str]
    defaults: tuple[str, ...]

    @property
    def model(self) -> Model:
        """Give the model that draws where a prompt names none."""
        return choose_model(self.defaults, self.repertoire)

    def read(self, text: str, *, attached: int = 0) -> PromptRequest:
        """Read one prompt of this person's, with `attached` pictures; raises PromptFaults."""
        return parse_prompt(text, self.repertoire, attached=attached, defaults=self.defaults, options=self.options)


async def habits_of(studio: Studio, interaction: discord.Interaction[Any]) -> Habits:
    """Look up the habits of who caused an interaction, where they did so."""
    preferences = await studio.people.get(interaction.user.id)
    server = await studio.policy.settings(interaction.guild_id)
    layers = _to_be_had(preferences, server, studio.repertoire).parameter_layers
    # Who draws here cannot mend what the owners have set.
    of_server = drop_unknown(server.defaults, studio.repertoire)
    return Habits(
        repertoire=studio.repertoire,
        preferences=preferences,
        options=await studio.people.options(interaction.user.id),
        defaults=tuple(filter(None, (*layers, of_server, model_of(server, studio.repertoire)))),
    )


def model_of(server: GuildSettings, repertoire: ModelRegistry) -> str:
    """Name the first model that a server allows, where the one that draws otherwise may not; else nothing."""
    allowed = [model.name for model in repertoire.models if server.allows(model.name)]
    return model_parameter(allowed[0]) if allowed and allowed[0] != repertoire.default.name else ""


def _to_be_had(preferences: Preferences, server: GuildSettings, repertoire: ModelRegistry) -> Preferences:
    """Leave out a preferred model that has gone or may not draw here: nobody asked for it in this prompt."""
    model = preferences.model and repertoire.find(preferences.model)
    return preferences if model and server.allows(model.name) else replace(preferences, model=None)
