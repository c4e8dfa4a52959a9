"""Autocompletion of models that a server allows, and of LoRAs and ControlNets that fit a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from discord import app_commands

from bot.services import Services
from bot.ui.i18n import tr
from bot.ui.text import truncate
from generation.errors import UserError
from generation.models.catalogue import normalize_name
from generation.models.model import Model
from generation.prompt.controls import READS_PICTURES
from generation.prompt.errors import quote

MAX_CHOICES = 25  # of an autocompletion or a select, by Discord's rules
MAX_CHOICE_LENGTH = 100  # characters of its name and of its value


async def available_models(services: Services, guild_id: int | None) -> list[Model]:
    """Return the models that a server allows, the default one first."""
    settings = await services.policy.settings(guild_id)
    return [model for model in services.registry.models if settings.allows(model.name)]


async def complete_model(services: Services, guild_id: int | None, typed: str) -> list[app_commands.Choice[str]]:
    """Return choices of the models that a server allows and that match the typed text."""
    matches = {model.name for model in services.registry.match(typed)}
    names = [model.name for model in await available_models(services, guild_id)]
    return choices(name for name in names if name in matches or normalize_name(typed) in normalize_name(name))


def complete_lora(services: Services, model: Model, typed: str) -> list[app_commands.Choice[str]]:
    """Return choices of the LoRAs that fit `model` and match the text typed after the last comma."""
    loras = services.registry.adapters.compatible_with(model).loras
    return _complete_last({lora.name: lora.trigger_words for lora in loras}, typed)


def complete_control(services: Services, model: Model, typed: str) -> list[app_commands.Choice[str]]:
    """Return choices of the ControlNets that fit `model` and match the text typed after the last comma."""
    controls = services.registry.adapters.compatible_with(model).controls
    hint = tr("takes a finished map")
    return _complete_last({control.name: "" if control.kind in READS_PICTURES else hint for control in controls}, typed)


def _complete_last(hints: Mapping[str, str], typed: str) -> list[app_commands.Choice[str]]:
    """Return choices that complete the name after the last comma, each with a hint."""
    before, comma, last = typed.rpartition(",")
    name, colon, weight = last.strip().partition(":")
    names = [each for each in hints if normalize_name(name) in normalize_name(each)]
    matches = [(f"{before}{comma}{' ' if comma else ''}{each}{colon}{weight}", hints[each]) for each in names]
    return [
        app_commands.Choice(name=truncate(" · ".join(filter(None, [text, hint])), MAX_CHOICE_LENGTH), value=text)
        for text, hint in matches[:MAX_CHOICES]
        if len(text) <= MAX_CHOICE_LENGTH
    ]


def choices(names: Iterable[str]) -> list[app_commands.Choice[str]]:
    """Return names as choices of an autocompletion."""
    labelled = [(truncate(name, MAX_CHOICE_LENGTH), name[:MAX_CHOICE_LENGTH]) for name in names]
    return [app_commands.Choice(name=name, value=value) for name, value in labelled[:MAX_CHOICES]]


async def resolve_model(services: Services, guild_id: int | None, typed: str) -> Model:
    """Return the model with a typed name; raise UserError unless exactly one matches."""
    matches = services.registry.match(typed)
    if len(matches) == 1:
        return matches[0]
    names = ", ".join(model.name for model in matches or await available_models(services, guild_id))
    if matches:
        raise UserError(
            tr("{name} matches several models: {models}. Type more of the name.", name=quote(typed), models=names)
        )
    if not names:
        raise UserError(tr("There is no model {name}, and no other is allowed here.", name=quote(typed)))
    raise UserError(tr("There is no model {name}. Available: {models}.", name=quote(typed), models=names))
