"""Store a setting that was chosen or typed in the panel of /config."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import replace
from typing import Any

import discord

from bot.client import Interaction
from bot.policy.settings import GuildSettings, ResultPlacement
from bot.policy.updates import Actor, update_settings
from bot.ui.i18n import tr
from cogs.config.panel_fields import FIELDS, ChannelField, RoleField
from cogs.config.validation import MAX_CHANNELS, MAX_ROLES, require_postable
from generation.errors import UserError


async def set_field(interaction: Interaction, name: str, details: str, value: Any) -> None:
    """Change a setting, with `details` for the audit log."""
    if name in ("gallery", "contest_channel", "log_channel"):
        require_postable(interaction.guild, value, files=name != "log_channel")
    await _apply(interaction, details, lambda now: replace(now, **{name: value}, **_linked_fields(name, value)))


async def merge_selection(
    interaction: Interaction, name: str, details: str, selected: tuple[int, ...], shown: Container[int]
) -> None:
    """Update a list setting: add the selected ids, and remove those that were shown but not selected.

    Ids that the select did not show are kept, because it shows at most 25 and others may have been added meanwhile.
    Deleted roles are removed.
    """
    limit = MAX_CHANNELS if isinstance(FIELDS[name], ChannelField) else MAX_ROLES

    def merged(now: GuildSettings) -> GuildSettings:
        before: tuple[int, ...] = getattr(now, name)
        if isinstance(FIELDS[name], RoleField):
            before = existing_roles(interaction.guild, before)
        kept = [each for each in before if each in selected or each not in shown]
        after = tuple(dict.fromkeys([*kept, *selected]))
        if len(after) > limit:
            raise UserError(
                tr("That would make {number} on the list, and the maximum is {limit}.", number=len(after), limit=limit)
            )
        value: dict[str, Any] = {name: after}
        return replace(now, **value)

    await _apply(interaction, details, merged)


def existing_roles(guild: discord.Guild | None, roles: Iterable[int]) -> tuple[int, ...]:
    """Return the roles that still exist, or all of them if the guild's roles are unknown."""
    return tuple(role for role in roles if guild is None or not guild.roles or guild.get_role(role))


async def _apply(interaction: Interaction, details: str, update: Callable[[GuildSettings], GuildSettings]) -> None:
    assert interaction.guild_id is not None
    services, actor = interaction.client.services, Actor(interaction.guild_id, interaction.user.id)
    await update_settings(services.db.guilds, actor, details, update, services.clock)


def _linked_fields(name: str, value: Any) -> dict[str, Any]:
    """Return the settings that change along: a gallery is both a channel and a result placement."""
    match name:
        case "gallery":
            return {"delivery": ResultPlacement.GALLERY if value else ResultPlacement.HERE}
        case "delivery":
            return {"gallery": None}
    return {}
