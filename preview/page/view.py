"""The world as JSON for the page, limited to what one user can see."""

from __future__ import annotations

from preview.seed_data import USER_NOTES
from preview.state import payloads, permissions
from preview.state.core import FakeDiscordState
from preview.state.world import Channel, Guild, Json, Message, User
from preview.users.simulated_user import CHAT_INPUT, MESSAGE_MENU, USER_MENU, SimulatedUser

PAGE_SIZE = 50  # messages fetched at a time


def server_tree(core: FakeDiscordState, viewer: User) -> Json:
    """Return all users, and the servers and channels that the viewer can see."""
    world = core.world
    return {
        "me": str(viewer.id),
        "application": {"id": str(world.application.id), "name": world.application.name},
        "users": [_user(each) for each in world.users.values()],
        "guilds": [_guild(core, each) for each in world.guilds.values() if viewer.id in each.members],
        "channels": [_channel(core, each, viewer) for each in _visible_channels(core, viewer)],
    }


def channel_messages(core: FakeDiscordState, viewer: User, channel: Channel, before: int | None = None) -> Json:
    """Return a channel's newest messages, or those before an id, and the commands available there."""
    user = SimulatedUser(core, viewer)
    visible = [each for each in user.visible_messages(channel) if before is None or each.id < before]
    return {
        "channel": str(channel.id),
        "messages": [message(core, each, viewer) for each in visible[-PAGE_SIZE:]],
        "more": len(visible) > PAGE_SIZE,
        "older": before is not None,
        "commands": user.commands(channel, CHAT_INPUT),
        "userMenu": user.commands(channel, USER_MENU),
        "messageMenu": user.commands(channel, MESSAGE_MENU),
    }


def message(core: FakeDiscordState, each: Message, viewer: User) -> Json:
    """Return a message, without the message it replies to if the viewer cannot see that one."""
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
    if parent and not core.world.can_see(viewer, parent):
        out["referenced_message"] = None
    return out


def _visible_channels(core: FakeDiscordState, viewer: User) -> list[Channel]:
    return [each for each in core.world.channels.values() if core.world.permissions(viewer, each)]


def _user(each: User) -> Json:
    return {
        "id": str(each.id),
        "name": each.name,
        "display": each.display_name or each.name,
        "bot": each.bot,
        "locale": each.locale,
        "note": USER_NOTES.get(each.name, ""),
    }


def _guild(core: FakeDiscordState, each: Guild) -> Json:
    return {
        "id": str(each.id),
        "name": each.name,
        "bot": core.world.bot.id in each.members,
        "members": [str(one) for one in each.members],
        "roles": [{"id": str(one.id), "name": one.name} for one in each.roles.values()],
    }


def _channel(core: FakeDiscordState, each: Channel, viewer: User) -> Json:
    return {
        "id": str(each.id),
        "type": each.type,
        "name": each.name or _dm_name(core, each, viewer),
        "topic": each.topic,
        "guild": str(each.guild_id) if each.guild_id else None,
        "parent": str(each.parent_id) if each.parent_id else None,
        "writable": SimulatedUser(core, viewer).can_write(each),
        "fileLimit": max(viewer.file_limit, core.world.file_limit(each)),
    }


def _dm_name(core: FakeDiscordState, each: Channel, viewer: User) -> str:
    others = [core.world.users[one] for one in each.recipient_ids if one != viewer.id]
    return ", ".join(one.display_name or one.name for one in others)
