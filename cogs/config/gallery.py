"""/config gallery: the rules for a server's pages in the web gallery."""

from __future__ import annotations

from dataclasses import replace

import discord
from discord import app_commands

from bot.client import Interaction
from bot.policy.settings import GuildSettings
from bot.ui.i18n import tr
from cogs.config.together import apply_change
from cogs.config.validation import MAX_CHANNELS, add_item, remove_item, require_any


@app_commands.command(description="The web gallery: whether it has this server's pictures, and of which channels")
@app_commands.describe(
    pages="Whether the web gallery shows pictures of this server",
    hide="Leave out this channel",
    show="Show this channel again, to whom may view it",
    names="Whether it says who made a picture",
)
async def gallery(
    interaction: Interaction,
    pages: bool | None = None,
    hide: discord.TextChannel | None = None,
    show: discord.TextChannel | None = None,
    names: bool | None = None,
) -> None:
    """Change the rules and respond with the changes."""
    require_any(hide or show or pages is not None or names is not None)

    def change(now: GuildSettings) -> GuildSettings:
        hidden = remove_item(now.gallery_hidden, show.id if show else None)
        return replace(
            now,
            gallery_hidden=add_item(hidden, hide.id if hide else None, MAX_CHANNELS),
            gallery_pages=now.gallery_pages if pages is None else pages,
            gallery_names=now.gallery_names if names is None else names,
        )

    def describe() -> str:
        changes = [
            *([] if pages is None else [tr("on") if pages else tr("off")]),
            *([tr("without {channel}", channel=hide.mention)] if hide else []),
            *([tr("with {channel}", channel=show.mention)] if show else []),
            *([] if names is None else [tr("with names") if names else tr("without names")]),
        ]
        return tr("web gallery: {changes}", changes=", ".join(changes))

    await apply_change(interaction, describe, change)
