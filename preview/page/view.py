"""What the page shows of the world, as JSON, through the eyes of one person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from preview.people.person import CHAT_INPUT, MESSAGE_MENU, USER_MENU, Person
from preview.scenery import NOTES
from preview.state import payloads, permissions
from preview.state.world import Channel, Guild, Json, Message, User

if TYPE_CHECKING:
    from preview.state.core import Core

AT_ONCE = 50  # messages that are fetched together


def surroundings(core: Core, viewer: User) -> Json:
    """Describe everybody, and the places that the viewer can see."""
    world = core.world
    return {
        "me": str(viewer.id),
        "application": {"id": str(world.application.id), "name": world.application.name},
        "users": [_user(each) for each in world.users.values()],
        "guilds": [_guild(core, each) for each in world.guilds.values() if viewer.id in each.members],
        "channels": [_channel(core, each, viewer) for each in _visible(core, viewer)],
    }


def contents(core: Core, viewer: User, channel: Channel, before: int | None = None) -> Json:
    """Describe a channel: its newest messages (or those before an id), and the commands on offer there."""
    person = Person(core, viewer)
    seen = [each for each in person.sees(channel) if before is None or each.id < before]
    return {
        "channel": str(channel.id),
        "messages": [message(core, each, viewer) for each in seen[-AT_ONCE:]],
        "more": len(seen) > AT_ONCE,
        "older": before is not None,
        "commands": person.commands(channel, CHAT_INPUT),
        "userMenu": person.commands(channel, USER_MENU),
        "messageMenu": person.commands(channel, MESSAGE_MENU),
    }


def message(core: Core, each: Message, viewer: User) -> Json:
    """Describe a message; what it replies to is left out where the viewer cannot see that."""
    rights = core.world.permissions(viewer, core.world.channels[each.channel_id])
    parent = core.world.messages.get(int((each.reference or {}).get("message_id", 0)))
    out = payloads.message(core, each) | {
        "reactions": [
            {"emoji": one.emoji, "count": len(one.user_ids), "mine": viewer.id in one.user_ids}
            for one in each.reactions
        ],
        "deletable": each.visible_to is None
        and (each.author_id == viewer.id or bool(rights & permissions.MANAGE_MESSAGES)),
    }
    if parent and not core.world.sees(viewer, parent):
        out["referenced_message"] = None
    return out


def _visible(core: Core, viewer: User) -> list[Channel]:
    return [each for each in core.world.channels.values() if core.world.permissions(viewer, each)]


def _user(each: User) -> Json:
    return {
        "id": str(each.id),
        "name": each.name,
        "display": each.display_name or each.name,
        "bot": each.bot,
        "locale": each.locale,
        "note": NOTES.get(each.name, ""),
    }


def _guild(core: Core, each: Guild) -> Json:
    return {
        "id": str(each.id),
        "name": each.name,
        "bot": core.world.bot.id in each.members,
        "members": [str(one) for one in each.members],
        "roles": [{"id": str(one.id), "name": one.name} for one in each.roles.values()],
    }


def _channel(core: Core, each: Channel, viewer: User) -> Json:
    rights = core.world.permissions(viewer, each)
    return {
        "id": str(each.id),
        "type": each.type,
        "name": each.name or _partners(core, each, viewer),
        "topic": each.topic,
        "guild": str(each.guild_id) if each.guild_id else None,
        "parent": str(each.parent_id) if each.parent_id else None,
        "writable": bool(rights & permissions.SEND_MESSAGES) and not each.locked,
        "fileLimit": max(viewer.file_limit, core.world.file_limit(each)),
    }


def _partners(core: Core, each: Channel, viewer: User) -> str:
    others = [core.world.users[one] for one in each.recipient_ids if one != viewer.id]
    return ", ".join(one.display_name or one.name for one in others)
