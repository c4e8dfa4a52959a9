"""Permission bits, and who has which of them in a channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from preview.state.world import Channel, Guild, World

ADMINISTRATOR = 1 << 3
MANAGE_CHANNELS = 1 << 4
MANAGE_GUILD = 1 << 5
ADD_REACTIONS = 1 << 6
VIEW_CHANNEL = 1 << 10
SEND_MESSAGES = 1 << 11
MANAGE_MESSAGES = 1 << 13
EMBED_LINKS = 1 << 14
ATTACH_FILES = 1 << 15
READ_MESSAGE_HISTORY = 1 << 16
MENTION_EVERYONE = 1 << 17
USE_APPLICATION_COMMANDS = 1 << 31
MANAGE_THREADS = 1 << 34
CREATE_PUBLIC_THREADS = 1 << 35
CREATE_PRIVATE_THREADS = 1 << 36
SEND_MESSAGES_IN_THREADS = 1 << 38
USE_EXTERNAL_APPS = 1 << 50

ALL = (1 << 51) - 1
EVERYONE = (
    ADD_REACTIONS
    | VIEW_CHANNEL
    | SEND_MESSAGES
    | EMBED_LINKS
    | ATTACH_FILES
    | READ_MESSAGE_HISTORY
    | USE_APPLICATION_COMMANDS
    | CREATE_PUBLIC_THREADS
    | SEND_MESSAGES_IN_THREADS
    | USE_EXTERNAL_APPS
)
DIRECT_MESSAGE = EVERYONE


def guild_permissions(guild: Guild, user_id: int) -> int:
    """Return what the roles of a member allow, before any channel's overwrites."""
    if user_id == guild.owner_id:
        return ALL
    member = guild.members.get(user_id)
    if member is None:
        return 0
    allowed = guild.roles[guild.id].permissions
    for role_id in member.role_ids:
        allowed |= guild.roles[role_id].permissions
    return ALL if allowed & ADMINISTRATOR else allowed


def channel_permissions(world: World, channel: Channel, user_id: int) -> int:
    """Return what a user may do in a channel; 0 means that they cannot even see it."""
    if channel.guild_id is None:
        return DIRECT_MESSAGE if user_id in channel.recipient_ids else 0
    guild = world.guilds[channel.guild_id]
    base = guild_permissions(guild, user_id)
    if base == ALL or not base:
        return base
    source = world.channels[channel.parent_id] if channel.is_thread and channel.parent_id else channel
    allowed = _with_overwrites(base, source, guild, user_id)
    return allowed if allowed & VIEW_CHANNEL else 0


def _with_overwrites(allowed: int, channel: Channel, guild: Guild, user_id: int) -> int:
    """Apply the overwrites in Discord's order: everyone, all roles together, the member."""
    overwrites = {overwrite.id: overwrite for overwrite in channel.overwrites}
    roles = [overwrites[role_id] for role_id in guild.members[user_id].role_ids if role_id in overwrites]
    everyone = [overwrites[guild.id]] if guild.id in overwrites else []
    own = [overwrites[user_id]] if user_id in overwrites else []
    for layer in (everyone, roles, own):
        for overwrite in layer:
            allowed &= ~overwrite.deny
        for overwrite in layer:
            allowed |= overwrite.allow
    return allowed
