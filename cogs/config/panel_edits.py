"""Change a setting as it was chosen or typed in the panel of /config."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import replace
from typing import Any

import discord

from bot.client import Interaction
from bot.policy.settings import GuildSettings, ResultPlacement
from bot.policy.updates import Actor, update_settings
from cogs.config.panel_fields import FIELDS, ChannelField, RoleField
from cogs.config.validation import MAX_CHANNELS, MAX_ROLES, require_postable
from generation.errors import UserError


async def set_field(interaction: Interaction, name: str, details: str, value: Any) -> None:
    """Give a setting another value, with `what` for the audit."""
    if name in ("gallery", "log_channel"):
        require_postable(interaction.guild, value, files=name == "gallery")
    await _apply(interaction, details, lambda now: replace(now, **{name: value}, **_linked_fields(name, value)))


async def merge_selection(
    interaction: Interaction, name: str, details: str, selected: tuple[int, ...], shown: Container[int]
) -> None:
    """Add and take away what was chosen and no longer chosen.

    What the select did not show stays: it shows 25 at most, and somebody may have added more since it was shown. Roles
    that were deleted go.
    """
    limit = MAX_CHANNELS if isinstance(FIELDS[name], ChannelField) else MAX_ROLES

    def merged(now: GuildSettings) -> GuildSettings:
        before: tuple[int, ...] = getattr(now, name)
        if isinstance(FIELDS[name], RoleField):
            before = existing_roles(interaction.guild, before)
        kept = [each for each in before if each in selected or each not in shown]
        after = tuple(dict.fromkeys([*kept, *selected]))
        if len(after) > limit:
            raise UserError(f"That would be {len(after)} on the list, and {limit} is the most.")
        value: dict[str, Any] = {name: after}
        return replace(now, **value)

    await _apply(interaction, details, merged)


def existing_roles(guild: discord.Guild | None, roles: Iterable[int]) -> tuple[int, ...]:
    """Give the roles that have not been deleted, where that is known."""
    return tuple(role for role in roles if guild is None or not guild.roles or guild.get_role(role))


async def _apply(interaction: Interaction, details: str, update: Callable[[GuildSettings], GuildSettings]) -> None:
    assert interaction.guild_id is not None
    services, actor = interaction.client.services, Actor(interaction.guild_id, interaction.user.id)
    await update_settings(services.db.guilds, actor, details, update, services.clock)


def _linked_fields(name: str, value: Any) -> dict[str, Any]:
    """Give what must change along with a setting: a gallery is a channel and a way to deliver at once."""
    match name:
        case "gallery":
            return {"delivery": ResultPlacement.GALLERY if value else ResultPlacement.HERE}
        case "delivery":
            return {"gallery": None}
    return {}
