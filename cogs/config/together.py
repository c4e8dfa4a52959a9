"""/config together: the rules for pictures that people make together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import discord
from discord import app_commands

from bot.client import Interaction
from bot.discord_calls import NO_MENTIONS
from bot.policy.settings import GuildSettings
from bot.policy.updates import Actor, update_settings
from bot.ui.i18n import tr, trn
from cogs.config.audit import in_english, require_guild_id
from cogs.config.validation import (
    MAX_ACCOUNT_DAYS,
    MAX_CHANNELS,
    MAX_MEMBER_HOURS,
    MAX_ROLES,
    MAX_SESSION_COST,
    MAX_SESSIONS,
    MIN_SESSION_COST,
    add_item,
    refuse_together,
    remove_item,
    require_any,
)


@app_commands.command(description="Pictures made together: who may start a session and who may join in")
@app_commands.describe(
    add_host="Let this role start sessions",
    remove_host="No longer let this role start sessions",
    everybody_hosts="Let everybody start sessions",
    account_days="To join in, an account must be this many days old",
    member_hours="To join in, somebody must have been here for this many hours",
    at_once="Sessions in a channel at once",
    quiet="No sessions in this channel",
    cost="Grids that one session may draw at most",
    not_quiet="Allow sessions in this channel again",
    canvases="Whether there may be canvases",
    telephones="Whether there may be picture telephones",
)
async def together(
    interaction: Interaction,
    add_host: discord.Role | None = None,
    remove_host: discord.Role | None = None,
    everybody_hosts: bool = False,
    account_days: app_commands.Range[int, 0, MAX_ACCOUNT_DAYS] | None = None,
    member_hours: app_commands.Range[int, 0, MAX_MEMBER_HOURS] | None = None,
    at_once: app_commands.Range[int, 1, MAX_SESSIONS] | None = None,
    cost: app_commands.Range[int, MIN_SESSION_COST, MAX_SESSION_COST] | None = None,
    quiet: discord.TextChannel | None = None,
    not_quiet: discord.TextChannel | None = None,
    canvases: bool | None = None,
    telephones: bool | None = None,
) -> None:
    """Change the rules and respond with the changes."""
    numbers = {
        "min_account_days": account_days,
        "min_member_hours": member_hours,
        "sessions_at_once": at_once,
        "session_cost": cost,
        "canvases": canvases,
        "telephones": telephones,
    }
    given: dict[str, Any] = {name: number for name, number in numbers.items() if number is not None}
    require_any(given or add_host or remove_host or everybody_hosts or quiet or not_quiet)
    refuse_together("add_host", "everybody_hosts", add_host, everybody_hosts)

    def change(now: GuildSettings) -> GuildSettings:
        hosts = () if everybody_hosts else remove_item(now.host_roles, remove_host.id if remove_host else None)
        channels = remove_item(now.quiet_channels, not_quiet.id if not_quiet else None)
        return replace(
            now,
            host_roles=add_item(hosts, add_host.id if add_host else None, MAX_ROLES),
            quiet_channels=add_item(channels, quiet.id if quiet else None, MAX_CHANNELS),
            **given,
        )

    def describe() -> str:
        changes = [
            *_host_changes(everybody_hosts, add_host, remove_host),
            *_number_changes(account_days, member_hours, at_once, cost),
            *_channel_changes(quiet, not_quiet),
            *_kind_changes(canvases, telephones),
        ]
        return tr("pictures made together: {changes}", changes=", ".join(changes))

    await apply_change(interaction, describe, change)


def _host_changes(everybody: bool, added: discord.Role | None, removed: discord.Role | None) -> list[str]:
    return [
        *([tr("everybody may start a session")] if everybody else []),
        *([tr("{role} may start a session", role=added.mention)] if added else []),
        *([tr("{role} may start no session", role=removed.mention)] if removed else []),
    ]


def _channel_changes(quiet: discord.TextChannel | None, not_quiet: discord.TextChannel | None) -> list[str]:
    return [
        *([tr("none in {channel}", channel=quiet.mention)] if quiet else []),
        *([tr("allowed in {channel}", channel=not_quiet.mention)] if not_quiet else []),
    ]


def _kind_changes(canvases: bool | None, telephones: bool | None) -> list[str]:
    return [
        *([tr("canvases") if canvases else tr("no canvases")] if canvases is not None else []),
        *([tr("picture telephones") if telephones else tr("no picture telephones")] if telephones is not None else []),
    ]


def _number_changes(
    account_days: int | None, member_hours: int | None, at_once: int | None, cost: int | None
) -> list[str]:
    days, hours = account_days or 0, member_hours or 0
    return [
        *([trn("accounts of {n} day", "accounts of {n} days", days)] if account_days is not None else []),
        *([trn("members for {n} hour", "members for {n} hours", hours)] if member_hours is not None else []),
        *([trn("{n} at once", "{n} at once", at_once)] if at_once is not None else []),
        *([trn("{n} grid each", "{n} grids each", cost)] if cost is not None else []),
    ]


async def apply_change(
    interaction: Interaction, describe: Callable[[], str], change: Callable[[GuildSettings], GuildSettings]
) -> None:
    """Change a server's settings, and respond with what has changed."""
    services, actor = interaction.client.services, Actor(require_guild_id(interaction), interaction.user.id)
    await update_settings(services.db.guilds, actor, in_english(describe), change, services.clock)
    text = describe()
    note = tr("-# Applies at once. `/config panel` shows all current settings.")
    await interaction.response.send_message(
        f"{text[:1].upper()}{text[1:]}.\n{note}", ephemeral=True, allowed_mentions=NO_MENTIONS
    )
