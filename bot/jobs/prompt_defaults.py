"""What holds where a prompt does not say otherwise: somebody's own settings and, beneath them, their server's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import discord

from bot.policy.settings import GuildSettings
from bot.services import Services
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.prompt import PromptRequest, choose_model, drop_unknown, model_parameter, parse_prompt
from generation.prompt.preferences import Preferences


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptDefaults:
    """A person's preferences and options, and all parameters that fill a prompt's gaps, the strongest first."""

    registry: ModelRegistry
    preferences: Preferences
    options: Mapping[str, str]
    defaults: tuple[str, ...]

    @property
    def model(self) -> Model:
        """Give the model that draws where a prompt names none."""
        return choose_model(self.defaults, self.registry)

    def parse(self, text: str, *, attached: int = 0) -> PromptRequest:
        """Read one prompt of this person's, with `attached` pictures; raises PromptFaults."""
        return parse_prompt(text, self.registry, attached=attached, defaults=self.defaults, options=self.options)


async def load_prompt_defaults(services: Services, interaction: discord.Interaction[Any]) -> PromptDefaults:
    """Look up the habits of who caused an interaction, where they did so."""
    preferences = await services.db.preferences.get(interaction.user.id)
    server = await services.policy.settings(interaction.guild_id)
    layers = _available_preferences(preferences, server, services.registry).parameter_layers
    # Who draws here cannot mend what the owners have set.
    server_defaults = drop_unknown(server.defaults, services.registry)
    return PromptDefaults(
        registry=services.registry,
        preferences=preferences,
        options=await services.db.preferences.options(interaction.user.id),
        defaults=tuple(filter(None, (*layers, server_defaults, default_model_parameter(server, services.registry)))),
    )


def default_model_parameter(server: GuildSettings, registry: ModelRegistry) -> str:
    """Name the first model that a server allows, where the one that draws otherwise may not; else nothing."""
    allowed = [model.name for model in registry.models if server.allows(model.name)]
    return model_parameter(allowed[0]) if allowed and allowed[0] != registry.default.name else ""


def _available_preferences(preferences: Preferences, server: GuildSettings, registry: ModelRegistry) -> Preferences:
    """Leave out a preferred model that has gone or may not draw here: nobody asked for it in this prompt."""
    model = preferences.model and registry.find(preferences.model)
    return preferences if model and server.allows(model.name) else replace(preferences, model=None)
