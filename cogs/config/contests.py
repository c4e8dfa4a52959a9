"""/config contest: the weekly show of a server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import discord
from discord import app_commands

from bot.client import Interaction
from bot.discord_calls import NO_MENTIONS
from bot.policy.settings import GuildSettings, ThemeBy
from bot.policy.updates import Actor, update_settings
from bot.ui.i18n import tr, trn
from cogs.config.audit import in_english, require_guild_id
from cogs.config.validation import add_item, refuse_together, remove_item, require_any, require_postable

MAX_VOTE_DAYS = 5
MAX_THEMES = 50
MAX_THEME = 100  # characters
DAYS = {"week": 7, "fortnight": 14}
THEME_BY_TEXTS = {
    ThemeBy.WINNER: "the winner names the next theme",
    ThemeBy.OWNERS: "themes come from the owners' list",
    ThemeBy.ROOM: "the room suggests themes and votes",
}


@app_commands.command(description="A contest each week: one theme, anonymous pictures, and the room decides")
@app_commands.describe(
    channel="Where it takes place",
    every="How often",
    vote_days="Days of the vote",
    theme_by="Who names the theme",
    role="A role that is told when entries and the vote begin",
    no_role="Tell no role any more",
    add_theme="Add a theme to the owners' list",
    remove_theme="Take a theme off the owners' list",
    event="Make the vote a scheduled event of this server; my role needs Create Events",
    stop="End the present contest, and begin no other",
)
async def contest(
    interaction: Interaction,
    channel: discord.TextChannel | None = None,
    every: Literal["week", "fortnight"] | None = None,
    vote_days: app_commands.Range[int, 1, MAX_VOTE_DAYS] | None = None,
    theme_by: Literal["winner", "owners", "room"] | None = None,
    role: discord.Role | None = None,
    no_role: bool = False,
    add_theme: app_commands.Range[str, 1, MAX_THEME] | None = None,
    remove_theme: app_commands.Range[str, 1, MAX_THEME] | None = None,
    event: bool | None = None,
    stop: bool = False,
) -> None:
    """Change the settings of contests and respond with the changes."""
    given: dict[str, Any] = {
        **({"contest_channel": channel.id} if channel else {}),
        **({"contest_days": DAYS[every]} if every else {}),
        **({"contest_vote_days": vote_days} if vote_days else {}),
        **({"contest_theme_by": ThemeBy(theme_by)} if theme_by else {}),
        **({"contest_role": role.id} if role else {}),
        **({"contest_role": None} if no_role else {}),
        **({"contest_event": event} if event is not None else {}),
        **({"contest_channel": None} if stop else {}),
    }
    require_any(given or add_theme or remove_theme)
    refuse_together("channel", "stop", channel, stop)
    refuse_together("role", "no_role", role, no_role)
    require_postable(interaction.guild, channel.id if channel else None, files=True)
    added = " ".join(add_theme.split()) if add_theme else None
    if added:
        await interaction.client.services.policy.check_text(require_guild_id(interaction), added)

    def change(now: GuildSettings) -> GuildSettings:
        themes = add_item(remove_item(now.contest_themes, remove_theme), added, MAX_THEMES)
        return replace(now, contest_themes=themes, **given)

    def describe() -> str:
        themes = [
            *([tr("theme added: {theme}", theme=added)] if added else []),
            *([tr("theme removed: {theme}", theme=remove_theme)] if remove_theme else []),
        ]
        return tr("contest: {changes}", changes=", ".join([*_changes(given), *themes]))

    await _update(interaction, describe, change)


def _changes(given: dict[str, Any]) -> list[str]:
    texts: list[str] = []
    for name, value in given.items():
        match name:
            case "contest_channel":
                texts.append(tr("in {channel}", channel=f"<#{value}>") if value else tr("stopped"))
            case "contest_days":
                texts.append(trn("every {n} day", "every {n} days", value))
            case "contest_vote_days":
                texts.append(trn("{n} day to vote", "{n} days to vote", value))
            case "contest_theme_by":
                texts.append(tr(THEME_BY_TEXTS[value]))
            case "contest_event":
                texts.append(tr("with an event") if value else tr("without an event"))
            case "contest_role":
                texts.append(tr("tells {role}", role=f"<@&{value}>") if value else tr("tells no role"))
    return texts


async def _update(
    interaction: Interaction, describe: Callable[[], str], change: Callable[[GuildSettings], GuildSettings]
) -> None:
    services, actor = interaction.client.services, Actor(require_guild_id(interaction), interaction.user.id)
    await update_settings(services.db.guilds, actor, in_english(describe), change, services.clock)
    text = describe()
    note = tr("-# `/config contest channel:` begins it, `stop: True` ends it. Other changes count from the next one.")
    await interaction.response.send_message(
        f"{text[:1].upper()}{text[1:]}.\n{note}", ephemeral=True, allowed_mentions=NO_MENTIONS
    )
