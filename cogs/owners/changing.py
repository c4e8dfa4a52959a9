"""Change a setting as it was chosen or typed in the panel of /config."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import replace
from typing import Any

import discord

from bot.policy.settings import GuildSettings, ResultPlacement
from bot.policy.updates import Actor, update_settings
from cogs.owners.pages import PAGES, Channels, Roles
from cogs.owners.reading import MOST_CHANNELS, MOST_ROLES, refuse_closed
from cogs.road import Interaction
from generation.errors import UserError


async def change(interaction: Interaction, name: str, what: str, value: Any) -> None:
    """Give a setting another value, with `what` for the audit."""
    if name in ("gallery", "log_channel"):
        refuse_closed(interaction.guild, value, files=name == "gallery")
    await _apply(interaction, what, lambda now: replace(now, **{name: value}, **_along(name, value)))


async def change_list(
    interaction: Interaction, name: str, what: str, chosen: tuple[int, ...], shown: Container[int]
) -> None:
    """Add and take away what was chosen and no longer chosen.

    What the select did not show stays: it shows 25 at most, and somebody may have added more since it was shown. Roles
    that were deleted go.
    """
    most = MOST_CHANNELS if isinstance(PAGES[name], Channels) else MOST_ROLES

    def changed(now: GuildSettings) -> GuildSettings:
        before: tuple[int, ...] = getattr(now, name)
        if isinstance(PAGES[name], Roles):
            before = still_there(interaction.guild, before)
        kept = [each for each in before if each in chosen or each not in shown]
        after = tuple(dict.fromkeys([*kept, *chosen]))
        if len(after) > most:
            raise UserError(f"That would be {len(after)} on the list, and {most} is the most.")
        value: dict[str, Any] = {name: after}
        return replace(now, **value)

    await _apply(interaction, what, changed)


def still_there(guild: discord.Guild | None, roles: Iterable[int]) -> tuple[int, ...]:
    """Give the roles that have not been deleted, where that is known."""
    return tuple(role for role in roles if guild is None or not guild.roles or guild.get_role(role))


async def _apply(interaction: Interaction, what: str, changed: Callable[[GuildSettings], GuildSettings]) -> None:
    assert interaction.guild_id is not None
    studio, author = interaction.client.services, Actor(interaction.guild_id, interaction.user.id)
    await update_settings(studio.guilds, author, what, changed, studio.clock)


def _along(name: str, value: Any) -> dict[str, Any]:
    """Give what must change along with a setting: a gallery is a channel and a way to deliver at once."""
    match name:
        case "gallery":
            return {"delivery": ResultPlacement.GALLERY if value else ResultPlacement.HERE}
        case "delivery":
            return {"gallery": None}
    return {}
