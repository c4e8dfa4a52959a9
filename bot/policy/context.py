"""Build a `RequestContext` from an interaction."""

from __future__ import annotations

from typing import Any

import discord

from bot.policy.policy import RequestContext


def context_from(interaction: discord.Interaction[Any]) -> RequestContext:
    """Return the ids of the guild, channels, person and roles of an interaction."""
    member = interaction.user
    return RequestContext(
        guild_id=interaction.guild_id,
        channel_ids=frozenset({interaction.channel_id or 0, *_channel_ids(interaction.channel)}),
        person_id=member.id,
        role_ids=frozenset(role.id for role in member.roles) if isinstance(member, discord.Member) else frozenset(),
    )


def _channel_ids(channel: object) -> set[int]:
    """Return the ids of a channel, of the parent if it is a thread, and of their category."""
    if not isinstance(channel, discord.Thread | discord.abc.GuildChannel):
        return set()
    parent = channel.parent if isinstance(channel, discord.Thread) else channel
    parent_id = channel.parent_id if isinstance(channel, discord.Thread) else channel.id
    category_id = parent.category_id if parent is not None else None
    return {channel.id, parent_id} | ({category_id} if category_id is not None else set())
