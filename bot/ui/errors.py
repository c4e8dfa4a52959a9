"""What a person is told when something is wrong: the complaint itself, or one fixed sentence with an id."""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import discord
from discord import app_commands

from bot.discord_calls import TRANSPORT_ERRORS
from bot.ui.i18n import error_text, use_interaction_locale
from generation.errors import UserError

log = logging.getLogger(__name__)

UNKNOWN_INTERACTION = 10062

# What the metric `atelier_errors` calls these classes: dashboards and alerts have known them by these names.
METRIC_REASONS = {
    "DeliveryFailed": "Undeliverable",
    "OutOfMemoryError": "OutOfMemory",
    "PolicyDenied": "Refused",
    "PromptError": "PromptFaults",
    "UserError": "Complaint",
    "WorkerCrashed": "WorkerDied",
}

error_counts: Counter[str] = Counter()  # how often people were told of each class of errors, since the start


def user_message(error: BaseException) -> str:
    """Give the words for an error: a complaint's own, otherwise a sentence whose id is in the log beside the trace."""
    name = type(error).__name__
    error_counts[METRIC_REASONS.get(name, name)] += 1
    if isinstance(error, UserError):
        return error_text(error)
    if isinstance(error, app_commands.CommandNotFound | app_commands.CommandSignatureMismatch):
        return "This command has changed since Discord showed it to you: please try it again in a minute."
    error_id = secrets.token_hex(4)
    log.error("error %s", error_id, exc_info=error)
    return f"Something went wrong on my side, not with your prompt. It is in the log as `{error_id}`."


@asynccontextmanager
async def report_errors(interaction: discord.Interaction[Any]) -> AsyncIterator[None]:
    """Answer whatever the block raises, privately, to the person who caused the interaction, in their language."""
    try:
        await use_interaction_locale(interaction)
        yield
    except Exception as error:
        await _respond_with_error(interaction, error)


async def on_tree_error(interaction: discord.Interaction[Any], error: app_commands.AppCommandError) -> None:
    """Answer what a command raised; the handler that discord.py's command tree calls."""
    cause = error.original if isinstance(error, app_commands.CommandInvokeError) else error
    await _respond_with_error(interaction, cause)


async def _respond_with_error(interaction: discord.Interaction[Any], error: BaseException) -> None:
    if isinstance(error, discord.NotFound) and error.code == UNKNOWN_INTERACTION:
        log.warning("interaction %s was answered too late, and Discord has forgotten it", interaction.id)
        return
    await respond_ephemeral(interaction, user_message(error))


async def respond_ephemeral(interaction: discord.Interaction[Any], text: str, **fields: Any) -> None:
    """Say `text` so that only this person sees it, whether or not the interaction was answered before."""
    try:
        if interaction.response.type is discord.InteractionResponseType.deferred_channel_message:
            # The first followup would take the place of "thinking…" and be seen by everybody, as that is.
            await interaction.delete_original_response()
        if interaction.response.is_done():
            await interaction.followup.send(text, ephemeral=True, **fields)
        else:
            await interaction.response.send_message(text, ephemeral=True, **fields)
    except TRANSPORT_ERRORS:
        log.warning("could not tell %s: %s", interaction.user.id, text, exc_info=True)
