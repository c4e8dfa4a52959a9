"""Report errors to users: the message of a UserError, or a fixed sentence with an id for the log."""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import discord
from discord import app_commands

from bot.discord_calls import NO_MENTIONS, TRANSPORT_ERRORS, is_outage
from bot.ui.i18n import error_text, tr, use_interaction_locale
from bot.ui.text import MAX_MESSAGE_LENGTH, truncate
from db.storage import is_disk_full, is_storage_outage
from generation.errors import UserError

log = logging.getLogger(__name__)

UNKNOWN_INTERACTION = 10062

# The labels of these classes in the metric `atelier_errors`, which dashboards and alerts already use.
METRIC_REASONS = {
    "DeliveryFailed": "Undeliverable",
    "OutOfMemoryError": "OutOfMemory",
    "PolicyDenied": "Refused",
    "PromptError": "PromptFaults",
    "ResultChannelGone": "RoomLost",
    "UserError": "Complaint",
    "WorkerCrashed": "WorkerDied",
}

error_counts: Counter[str] = Counter()  # errors shown to users since the start, by label


def user_message(error: BaseException) -> str:
    """Return the text for an error: a UserError's own, otherwise a sentence with an id that the log has as well."""
    name = type(error).__name__
    error_counts[METRIC_REASONS.get(name, name)] += 1
    if isinstance(error, UserError):
        return error_text(error)
    if isinstance(error, app_commands.CommandNotFound | app_commands.CommandSignatureMismatch):
        return tr("This command has changed since Discord showed it to you: please try it again in a minute.")
    if is_storage_outage(error):
        log.error("nothing can be stored: %s", error)
        return _storage_text(error)
    error_id = secrets.token_hex(4)
    if is_outage(error):  # its traceback says nothing, and an outage has many
        log.warning("error %s: Discord cannot be reached: %s", error_id, error)
    else:
        log.error("error %s", error_id, exc_info=error)
    return tr(
        "Something went wrong on my side, not with your prompt. It is in the log as `{error_id}`.", error_id=error_id
    )


def _storage_text(error: BaseException) -> str:
    if is_disk_full(error):
        return tr(
            "My disk is full, so I cannot store anything new. What I have taken on is kept and goes on as soon as "
            "there is room. Please tell the people who run me, and try this again later."
        )
    return tr(
        "I cannot write to my disk at the moment. What I have taken on is kept and goes on by itself. Please try this "
        "again in a minute; if it lasts, tell the people who run me."
    )


@asynccontextmanager
async def report_errors(interaction: discord.Interaction[Any]) -> AsyncIterator[None]:
    """Set the locale of the interaction, and report what the block raises in an ephemeral message."""
    try:
        await use_interaction_locale(interaction)
        yield
    except Exception as error:
        await _respond_with_error(interaction, error)


async def on_tree_error(interaction: discord.Interaction[Any], error: app_commands.AppCommandError) -> None:
    """Report what a command raised; discord.py's command tree calls this."""
    cause = error.original if isinstance(error, app_commands.CommandInvokeError) else error
    await _respond_with_error(interaction, cause)


async def _respond_with_error(interaction: discord.Interaction[Any], error: BaseException) -> None:
    if isinstance(error, discord.NotFound) and error.code == UNKNOWN_INTERACTION:
        log.warning("interaction %s: the response came too late", interaction.id)
        return
    await respond_ephemeral(interaction, user_message(error))


async def respond_ephemeral(interaction: discord.Interaction[Any], text: str, **fields: Any) -> None:
    """Send `text` so that only this user sees it, as the first response or as a followup.

    It is cut to what a message holds: the problems of a prompt and the names of all models can be more.
    """
    text = truncate(text, MAX_MESSAGE_LENGTH)
    try:
        if not interaction.response.is_done():
            await interaction.response.send_message(text, ephemeral=True, **fields)
            return
        thinking = await _thinking_response(interaction)
        if thinking is not None and thinking.flags.ephemeral:
            attachments, view = fields.get("files", []), fields.get("view")
            await interaction.edit_original_response(content=text, attachments=attachments, view=view)
            return
        if thinking is not None:  # the first followup would replace it, and be as public
            only_them = tr("Nothing was drawn. Only {whom} can see why.", whom=interaction.user.mention)
            await interaction.edit_original_response(content=only_them, allowed_mentions=NO_MENTIONS)
        await interaction.followup.send(text, ephemeral=True, **fields)
    except TRANSPORT_ERRORS as error:
        log.warning("could not send to %s (%s): %s", interaction.user.id, error, text)


async def _thinking_response(interaction: discord.Interaction[Any]) -> discord.WebhookMessage | None:
    """Return the first response if it still says "is thinking…"; a job's status message may have replaced it."""
    if interaction.response.type is not discord.InteractionResponseType.deferred_channel_message:
        return None
    original: Any = "@original"  # Discord accepts this in place of a message id
    response = await interaction.followup.fetch_message(original)
    return response if response.flags.loading else None
