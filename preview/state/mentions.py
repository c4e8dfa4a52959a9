"""Mentions in a message, and the users that it notifies."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from preview.state.world import Json, Message, User, World, walk_components


@dataclass
class Mentions:
    user_ids: list[int] = field(default_factory=list)
    role_ids: list[int] = field(default_factory=list)
    everyone: bool = False


def resolve_mentions(world: World, message: Message, allowed: Json | None, *, can_mention_everyone: bool) -> Mentions:
    """Return the mentions in a message that `allowed_mentions` permits; None means Discord's default.

    `can_mention_everyone` is whether the author has the permission Mention Everyone.
    """
    text = "\n".join(
        [message.content, *(part["content"] for part in walk_components(message.components) if part["type"] == 10)]
    )
    written = dict.fromkeys(int(one) for one in re.findall(r"<@!?(\d+)>", text) if int(one) in world.users)
    guild = world.channel_guild(world.channels[message.channel_id])
    known = guild.roles if guild else {}
    roles = [one for one in dict.fromkeys(map(int, re.findall(r"<@&(\d+)>", text))) if one in known]
    everyone = can_mention_everyone and re.search(r"@(everyone|here)\b", text) is not None
    found = Mentions(
        [one for one in written if _allows(allowed, "users", one)],
        [one for one in roles if (known[one].mentionable or can_mention_everyone) and _allows(allowed, "roles", one)],
        everyone and _allows(allowed, "everyone", 0),
    )
    replied = _replied_user(world, message)
    if replied and (allowed is None or allowed.get("replied_user")) and replied.id not in found.user_ids:
        found.user_ids.append(replied.id)
    return found


def _allows(allowed: Json | None, kind: str, one: int) -> bool:
    if allowed is None:
        return True
    return kind in (allowed.get("parse") or []) or str(one) in map(str, allowed.get(kind) or [])


def _replied_user(world: World, message: Message) -> User | None:
    """Return the author of the message that this one replies to, unless both have the same author."""
    parent = world.messages.get(int((message.reference or {}).get("message_id", 0)))
    return world.users[parent.author_id] if parent and parent.author_id != message.author_id else None


def notified_user_ids(world: World, message: Message) -> list[int]:
    """Return the ids of the users whom a new message pings."""
    if message.visible_to is not None:
        return [message.visible_to] if message.visible_to in message.mention_ids else []
    guild = world.channel_guild(world.channels[message.channel_id])
    reached = dict.fromkeys(message.mention_ids)
    if guild:
        wanted = set(message.mention_role_ids)
        everyone = message.mention_everyone
        reached |= dict.fromkeys(m.user_id for m in guild.members.values() if everyone or wanted & set(m.role_ids))
    return [one for one in reached if one != message.author_id]
