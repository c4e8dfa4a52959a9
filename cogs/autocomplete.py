"""What is offered to choose from: models, as far as they may draw where somebody is, and the LoRAs that suit one."""

from __future__ import annotations

from collections.abc import Iterable

from discord import app_commands

from bot.services import Services
from bot.ui.text import truncate
from generation.errors import UserError
from generation.models.catalogue import normalize_name
from generation.models.model import Model
from generation.prompt.errors import quote

MAX_CHOICES = 25  # of an autocompletion or a select, by Discord's rules
MAX_CHOICE_LENGTH = 100  # characters of its name and of its value


async def available_models(services: Services, guild_id: int | None) -> list[Model]:
    """Give the models that may draw in a server, the one that draws where nothing is said first."""
    settings = await services.policy.settings(guild_id)
    return [model for model in services.registry.models if settings.allows(model.name)]


async def complete_model(services: Services, guild_id: int | None, typed: str) -> list[app_commands.Choice[str]]:
    """Offer the models that may draw in a server and fit what somebody has typed so far."""
    matches = {model.name for model in services.registry.match(typed)}
    names = [model.name for model in await available_models(services, guild_id)]
    return choices(name for name in names if name in matches or normalize_name(typed) in normalize_name(name))


def complete_lora(services: Services, model: Model, typed: str) -> list[app_commands.Choice[str]]:
    """Offer the LoRAs that suit `model` and fit what somebody has typed so far, after the last comma."""
    before, comma, last = typed.rpartition(",")
    name, colon, weight = last.strip().partition(":")
    loras = [
        lora
        for lora in services.registry.adapters.compatible_with(model).loras
        if normalize_name(name) in normalize_name(lora.name)
    ]
    matches = [(f"{before}{comma}{' ' if comma else ''}{lora.name}{colon}{weight}", lora) for lora in loras]
    return [
        app_commands.Choice(
            name=truncate(" · ".join(filter(None, [text, lora.trigger_words])), MAX_CHOICE_LENGTH), value=text
        )
        for text, lora in matches[:MAX_CHOICES]
        if len(text) <= MAX_CHOICE_LENGTH
    ]


def choices(names: Iterable[str]) -> list[app_commands.Choice[str]]:
    """Give names as an autocompletion offers them."""
    labelled = [(truncate(name, MAX_CHOICE_LENGTH), name[:MAX_CHOICE_LENGTH]) for name in names]
    return [app_commands.Choice(name=name, value=value) for name, value in labelled[:MAX_CHOICES]]


async def resolve_model(services: Services, guild_id: int | None, typed: str) -> Model:
    """Give the model that somebody means; raises Complaint where there is none, or not one alone."""
    matches = services.registry.match(typed)
    if len(matches) == 1:
        return matches[0]
    names = ", ".join(model.name for model in matches or await available_models(services, guild_id))
    if matches:
        raise UserError(f"{quote(typed)} could be any of {names}: say more of the name.")
    raise UserError(f"I know no model {quote(typed)}. There is {names or 'none that may draw here'}.")
