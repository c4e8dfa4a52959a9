"""Defaults for what a prompt leaves out: the user's preferences, then the server's settings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import discord

from bot.policy.settings import GuildSettings
from bot.services import Services
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.prompt import (
    PromptReading,
    PromptRequest,
    choose_model,
    drop_unknown,
    model_parameter,
    parse_prompt,
    read_prompt,
)
from generation.prompt.preferences import Preferences


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptDefaults:
    """A user's preferences and options, and the default parameters for a prompt, by descending priority."""

    registry: ModelRegistry
    preferences: Preferences
    options: Mapping[str, str]
    defaults: tuple[str, ...]

    @property
    def model(self) -> Model:
        """Return the model for prompts that name none."""
        return choose_model(self.defaults, self.registry)

    def parse(self, text: str, *, attached: int = 0, ignored: Collection[str] = ()) -> PromptRequest:
        """Parse one prompt of this user, with `attached` images; raise PromptError if it is wrong.

        The defaults do not set the fields that are `ignored`.
        """
        return parse_prompt(
            text, self.registry, attached=attached, defaults=self.defaults, options=self.options, ignored=ignored
        )

    def read(self, text: str, *overriding: str) -> PromptReading:
        """Read one prompt of this user; parameters in `overriding` come before its defaults."""
        return read_prompt(text, self.registry, defaults=(*overriding, *self.defaults), options=self.options)


async def load_prompt_defaults(services: Services, interaction: discord.Interaction[Any]) -> PromptDefaults:
    """Load the defaults of the interaction's user in its server."""
    preferences = await services.db.preferences.get(interaction.user.id)
    server = await services.policy.settings(interaction.guild_id)
    layers = _available_preferences(preferences, server, services.registry).parameter_layers
    # Server defaults that name a missing model or adapter are dropped: a member could not fix that error.
    server_defaults = drop_unknown(server.defaults, services.registry)
    return PromptDefaults(
        registry=services.registry,
        preferences=preferences,
        options=await services.db.preferences.options(interaction.user.id),
        defaults=tuple(filter(None, (*layers, server_defaults, default_model_parameter(server, services.registry)))),
    )


async def load_server_defaults(services: Services, guild_id: int) -> PromptDefaults:
    """Load the defaults of a server alone, for pictures that are nobody's own."""
    server = await services.policy.settings(guild_id)
    defaults = (drop_unknown(server.defaults, services.registry), default_model_parameter(server, services.registry))
    return PromptDefaults(
        registry=services.registry, preferences=Preferences(), options={}, defaults=tuple(filter(None, defaults))
    )


def default_model_parameter(server: GuildSettings, registry: ModelRegistry) -> str:
    """Return `--model` with the first allowed model if the server does not allow the default model, else ""."""
    allowed = [model.name for model in registry.models if server.allows(model.name)]
    return model_parameter(allowed[0]) if allowed and allowed[0] != registry.default.name else ""


def _available_preferences(preferences: Preferences, server: GuildSettings, registry: ModelRegistry) -> Preferences:
    """Drop a preferred model that is no longer installed or not allowed here: this prompt did not ask for it."""
    model = preferences.model and registry.find(preferences.model)
    return preferences if model and server.allows(model.name) else replace(preferences, model=None)
