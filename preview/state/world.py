"""The world of the fake Discord: users, guilds, channels and messages, and the methods that add them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from preview.state import permissions
from preview.state.clock import Clock, iso

Json = dict[str, Any]

TEXT, DM, GROUP_DM, PUBLIC_THREAD, PRIVATE_THREAD = 0, 1, 3, 11, 12
EPHEMERAL, LOADING, COMPONENTS_V2 = 1 << 6, 1 << 7, 1 << 15
MIB = 1 << 20
DAY_S = 86_400.0
DEFAULT_FILE_LIMIT = 10 * MIB
BOOST_FILE_LIMITS = {2: 50 * MIB, 3: 100 * MIB}
_EPOCH_MS = 1420070400000


@dataclass
class User:
    """An account; `installed` means that the user added the application to it."""

    id: int
    name: str
    display_name: str | None = None
    avatar: str | None = None
    bot: bool = False
    locale: str = "en-US"
    installed: bool = False
    file_limit: int = DEFAULT_FILE_LIMIT


@dataclass
class Role:
    id: int
    name: str
    permissions: int = 0
    position: int = 1
    mentionable: bool = False


@dataclass
class Member:
    user_id: int
    role_ids: list[int] = field(default_factory=list)
    nick: str | None = None
    joined_at: str = ""


@dataclass
class ScheduledEvent:
    """An event that takes place somewhere else than in a voice channel. Times are ISO 8601."""

    id: int
    creator_id: int
    name: str
    description: str | None
    location: str
    start_time: str
    end_time: str
    status: int = 1  # scheduled


@dataclass
class Guild:
    id: int
    name: str
    owner_id: int
    boost_level: int = 0
    locale: str = "en-US"
    roles: dict[int, Role] = field(default_factory=dict)
    members: dict[int, Member] = field(default_factory=dict)
    features: list[str] = field(default_factory=list)
    events: dict[int, ScheduledEvent] = field(default_factory=dict)

    @property
    def file_limit(self) -> int:
        """Return the attachment size limit in bytes; boosts raise it from level 2 on."""
        return BOOST_FILE_LIMITS.get(self.boost_level, DEFAULT_FILE_LIMIT)

    def base_permissions(self, user_id: int) -> int:
        """Return the permissions from a member's roles, before any channel's overwrites."""
        if user_id == self.owner_id:
            return permissions.ALL
        member = self.members.get(user_id)
        if member is None:
            return 0
        allowed = self.roles[self.id].permissions
        for role_id in member.role_ids:
            allowed |= self.roles[role_id].permissions
        return permissions.ALL if allowed & permissions.ADMINISTRATOR else allowed


@dataclass
class Overwrite:
    """Permissions granted to or taken from a role (`type` 0) or a member (1) in one channel."""

    id: int
    type: int
    allow: int = 0
    deny: int = 0


@dataclass
class Channel:
    id: int
    type: int
    name: str | None = None
    guild_id: int | None = None
    nsfw: bool = False
    topic: str | None = None
    position: int = 0
    overwrites: list[Overwrite] = field(default_factory=list)
    recipient_ids: list[int] = field(default_factory=list)
    parent_id: int | None = None
    owner_id: int | None = None
    archived: bool = False
    locked: bool = False
    created_at: str = ""

    @property
    def is_thread(self) -> bool:
        """Return whether this is a thread."""
        return self.type in (PUBLIC_THREAD, PRIVATE_THREAD)

    def apply_overwrites(self, allowed: int, guild: Guild, user_id: int) -> int:
        """Apply the overwrites to `allowed` in Discord's order: everyone, all roles together, the member."""
        overwrites = {overwrite.id: overwrite for overwrite in self.overwrites}
        roles = [overwrites[role_id] for role_id in guild.members[user_id].role_ids if role_id in overwrites]
        everyone = [overwrites[guild.id]] if guild.id in overwrites else []
        own = [overwrites[user_id]] if user_id in overwrites else []
        for layer in (everyone, roles, own):
            for overwrite in layer:
                allowed &= ~overwrite.deny
            for overwrite in layer:
                allowed |= overwrite.allow
        return allowed


@dataclass
class Attachment:
    """A file of a message; the file store has its bytes under its id."""

    id: int
    filename: str
    size: int
    content_type: str | None = None
    width: int | None = None
    height: int | None = None
    description: str | None = None
    title: str | None = None
    ephemeral: bool = False
    channel_id: int = 0


@dataclass
class Reaction:
    emoji: str
    user_ids: list[int] = field(default_factory=list)


@dataclass
class Revision:
    """The state of a message from `at` (seconds since 1970) on."""

    at: float
    content: str
    attachments: list[str]
    components: list[Json]
    embeds: list[Json]
    flags: int


@dataclass
class Message:
    """A message in its present state; `history` has all its states, the present one last."""

    id: int
    channel_id: int
    author_id: int
    created_at: float
    type: int = 0
    content: str = ""
    embeds: list[Json] = field(default_factory=list)
    components: list[Json] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    flags: int = 0
    edited_at: float | None = None
    mention_ids: list[int] = field(default_factory=list)
    mention_role_ids: list[int] = field(default_factory=list)
    mention_everyone: bool = False
    reference: Json | None = None
    reactions: list[Reaction] = field(default_factory=list)
    thread_id: int | None = None
    nonce: str | int | None = None
    pinned: bool = False
    visible_to: int | None = None
    interaction: Json | None = None
    history: list[Revision] = field(default_factory=list)
    deleted: bool = False

    @property
    def ephemeral(self) -> bool:
        """Return whether only one user sees this."""
        return bool(self.flags & EPHEMERAL)

    @property
    def loading(self) -> bool:
        """Return whether this still shows that the bot is thinking."""
        return bool(self.flags & LOADING)

    @property
    def v2(self) -> bool:
        """Return whether this is made of Components V2."""
        return bool(self.flags & COMPONENTS_V2)

    @property
    def text(self) -> str:
        """Return all visible text: the content, the text displays and the embeds."""
        parts = [self.content]
        parts += [part["content"] for part in walk_components(self.components) if part["type"] == 10]
        for embed in self.embeds:
            parts += [embed.get("title", ""), embed.get("description", ""), embed.get("footer", {}).get("text", "")]
            parts += [f"{each['name']}\n{each['value']}" for each in embed.get("fields", [])]
        return "\n".join(part for part in parts if part)

    @property
    def buttons(self) -> list[Json]:
        """Return all buttons, top to bottom."""
        return [part for part in walk_components(self.components) if part["type"] == 2]

    @property
    def labels(self) -> list[str]:
        """Return the labels of the buttons, with the emoji first if a button has both."""
        return [button_label(button) for button in self.buttons]

    def record_revision(self, at: float) -> None:
        """Append the present state to the history."""
        names = [attachment.filename for attachment in self.attachments]
        self.history.append(Revision(at, self.content, names, self.components, self.embeds, self.flags))


def button_label(button: Json) -> str:
    """Return the emoji and the label of a button as one text."""
    emoji = (button.get("emoji") or {}).get("name") or ""
    return f"{emoji} {button.get('label') or ''}".strip()


def walk_components(components: Iterable[Json]) -> Iterator[Json]:
    """Yield every component, parents before children."""
    left = [*components][::-1]
    while left:
        component = left.pop()
        yield component
        single = (component.get("accessory"), component.get("component"))
        left += [*(component.get("components") or []), *filter(None, single)][::-1]


@dataclass
class Application:
    """The bot's application; `privileged_intents` and `redirect_uris` are those of its settings."""

    id: int = 0
    bot_id: int = 0
    owner_id: int = 0
    name: str = "Atelier"
    token: str = "a-token-for-the-stand-in"
    privileged_intents: int = 0
    client_secret: str = "a-secret-for-the-stand-in"
    redirect_uris: list[str] = field(default_factory=list)


class World:
    """All users, guilds, channels and messages. The `add_` methods build it; its dicts are keyed by id."""

    def __init__(self, clock: Clock | None = None, *, application: Application | None = None) -> None:
        self.clock = clock or Clock()
        self._last_id = 0
        self.users: dict[int, User] = {}
        self.guilds: dict[int, Guild] = {}
        self.channels: dict[int, Channel] = {}
        self.messages: dict[int, Message] = {}
        self.commands: dict[int, Json] = {}
        self.application = application or self._new_application()

    def _new_application(self) -> Application:
        owner = self.add_user("operator")
        bot_id = self.new_id()
        application = Application(id=bot_id, bot_id=bot_id, owner_id=owner.id)
        self.users[bot_id] = User(bot_id, application.name, bot=True)
        return application

    def new_id(self) -> int:
        """Return a new snowflake for the present time."""
        self._last_id = max(self._last_id + 1, (int(self.clock.time() * 1000) - _EPOCH_MS) << 22)
        return self._last_id

    def reserve_ids(self, last: int) -> None:
        """Make all new ids greater than `last`."""
        self._last_id = max(self._last_id, last)

    @property
    def bot(self) -> User:
        """Return the bot's own account."""
        return self.users[self.application.bot_id]

    def add_user(self, name: str, *, installed: bool = False, account_days: float = 365, **more: Any) -> User:
        """Add an account of a certain age, which its id tells, without an avatar unless one is given."""
        made_at = self.clock.time() - account_days * DAY_S
        account_id = ((int(made_at * 1000) - _EPOCH_MS) << 22) + len(self.users)
        user = User(account_id, name, installed=installed, **more)
        self.users[user.id] = user
        return user

    def add_guild(
        self, name: str = "Studio", *members: User, owner: User | None = None, bot: bool = True, boost_level: int = 0
    ) -> Guild:
        """Add a guild with `members`; with `bot=False` the application is not installed there."""
        owner = owner or (members[0] if members else self.users[self.application.owner_id])
        guild = Guild(self.new_id(), name, owner.id, boost_level)
        guild.roles[guild.id] = Role(guild.id, "@everyone", permissions.EVERYONE, position=0)
        self.guilds[guild.id] = guild
        for user in {owner.id: owner, **{user.id: user for user in members}}.values():
            self.add_member(user, guild)
        if bot:
            self.add_member(self.bot, guild)
        return guild

    def add_member(
        self, user: User, guild: Guild, *roles: Role, nick: str | None = None, member_days: float = 30
    ) -> Member:
        """Make a user a member of a guild, who joined it some days ago."""
        joined_at = iso(self.clock.time() - member_days * DAY_S)
        member = Member(user.id, [role.id for role in roles], nick, joined_at)
        guild.members[user.id] = member
        return member

    def add_role(self, guild: Guild, name: str, permissions: int = 0, *, mentionable: bool = False) -> Role:
        """Add a role to a guild."""
        role = Role(self.new_id(), name, permissions, len(guild.roles), mentionable)
        guild.roles[role.id] = role
        return role

    def add_channel(
        self,
        guild: Guild,
        name: str = "general",
        *,
        nsfw: bool = False,
        bot_denied: int = 0,
        everyone_denied: int = 0,
    ) -> Channel:
        """Add a text channel; `bot_denied` and `everyone_denied` are the permissions denied there."""
        channel = Channel(self.new_id(), TEXT, name, guild.id, nsfw, position=len(self.channels))
        if bot_denied:
            channel.overwrites.append(Overwrite(self.application.bot_id, 1, deny=bot_denied))
        if everyone_denied:
            channel.overwrites.append(Overwrite(guild.id, 0, deny=everyone_denied))
        self.channels[channel.id] = channel
        return channel

    def add_thread(self, parent: Channel, name: str, *, owner: User, private: bool = False) -> Channel:
        """Add a thread below a text channel."""
        kind = PRIVATE_THREAD if private else PUBLIC_THREAD
        thread = Channel(self.new_id(), kind, name, parent.guild_id, parent.nsfw, parent_id=parent.id)
        thread.owner_id, thread.created_at = owner.id, self.clock.iso()
        self.channels[thread.id] = thread
        return thread

    def dm_channel(self, *users: User) -> Channel:
        """Return the direct-message channel of these users, or of a single user with the bot."""
        recipients = users if len(users) > 1 else (*users, self.bot)
        ids = sorted(user.id for user in recipients)
        for channel in self.channels.values():
            if channel.type in (DM, GROUP_DM) and sorted(channel.recipient_ids) == ids:
                return channel
        kind = DM if len(ids) == 2 else GROUP_DM
        channel = Channel(self.new_id(), kind, recipient_ids=ids)
        self.channels[channel.id] = channel
        return channel

    def channel_guild(self, channel: Channel) -> Guild | None:
        """Return the guild of a channel, None for direct messages."""
        return None if channel.guild_id is None else self.guilds[channel.guild_id]

    def channel_messages(self, channel: Channel) -> list[Message]:
        """Return the messages of a channel that still exist, oldest first."""
        return [message for message in self.messages.values() if message.channel_id == channel.id]

    def can_see(self, user: User, message: Message) -> bool:
        """Return whether a user can see a message."""
        if message.visible_to is not None:
            return message.visible_to == user.id
        return bool(self.permissions(user, self.channels[message.channel_id]))

    def permissions(self, user: User, channel: Channel) -> int:
        """Return the user's permission bits in a channel; 0 means that they cannot see it."""
        guild = self.channel_guild(channel)
        if guild is None:
            return permissions.DIRECT_MESSAGE if user.id in channel.recipient_ids else 0
        base = guild.base_permissions(user.id)
        if base == permissions.ALL or not base:
            return base
        source = self.channels[channel.parent_id] if channel.is_thread and channel.parent_id else channel
        allowed = source.apply_overwrites(base, guild, user.id)
        return allowed if allowed & permissions.VIEW_CHANNEL else 0

    def file_limit(self, channel: Channel) -> int:
        """Return the size limit in bytes of an attachment that the bot posts to a channel."""
        guild = self.channel_guild(channel)
        return guild.file_limit if guild else DEFAULT_FILE_LIMIT
