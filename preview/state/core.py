"""The state that all parts of the fake Discord share: the world, its clock, the records and the events."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote

from aiohttp import web

from preview.state import payloads, permissions, reactions
from preview.state.errors import ApiError, Problem, snowflake
from preview.state.event_bus import EventBus, StateEvent
from preview.state.files import FileStore
from preview.state.interactions import RESPONSE_TIMEOUT_S, Interaction
from preview.state.logins import Logins
from preview.state.mentions import notified_user_ids, resolve_mentions
from preview.state.world import TEXT, Attachment, Channel, Guild, Json, Message, World

CDN_URL_LIFETIME_S = 24 * 3600.0
GUILDS, GUILD_MESSAGES, GUILD_REACTIONS, GUILD_TYPING = 1 << 0, 1 << 9, 1 << 10, 1 << 11
DIRECT_MESSAGES, DIRECT_REACTIONS, DIRECT_TYPING, MESSAGE_CONTENT = 1 << 12, 1 << 13, 1 << 14, 1 << 15


@dataclass(frozen=True)
class Violation:
    """A request body that broke Discord's rules."""

    method: str
    path: str
    problems: tuple[Problem, ...]
    body: object

    def __str__(self) -> str:
        listed = "; ".join(f"{each.path}: {each.message} [{each.code}]" for each in self.problems)
        return f"{self.method} {self.path}: {listed}"


@dataclass
class RecordedRequest:
    """One REST request of the bot: its time, its body and the response."""

    at: float
    method: str
    path: str
    body: Json | list[Json] | None = None
    files: list[tuple[str, int]] = field(default_factory=list)
    status: int = 0
    code: int | None = None
    seconds: float = 0.0
    response: object = None


@dataclass(frozen=True)
class Ping:
    """A message notified a user."""

    at: float
    message_id: int
    user_id: int


class SendEvent(Protocol):
    """Send an event to the gateway's sessions (see `Gateway.dispatch`)."""

    def __call__(
        self,
        event: str,
        data: Json,
        *,
        guild_id: int | None = None,
        intent: int = 0,
        without_content: Json | None = None,
    ) -> None: ...


class FakeDiscordState:
    """The state that the REST API, the gateway, the CDN and the simulated users work on."""

    send_event: SendEvent  # set by the server, whose gateway needs this state first

    def __init__(self, world: World, files: FileStore) -> None:
        self.world = world
        self.clock = world.clock
        self.files = files
        self.event_bus = EventBus()
        self.response_timeout = RESPONSE_TIMEOUT_S
        self.base_url = ""
        self.interactions: dict[int, Interaction] = {}
        self.interactions_by_token: dict[str, Interaction] = {}
        self.requests: list[RecordedRequest] = []
        self.violations: list[Violation] = []
        self.pings: list[Ping] = []
        self.crashes: list[BaseException] = []
        self.gateway_url = ""
        self.shards = 1
        self.logins = Logins(world)
        self._secret = secrets.token_bytes(16)

    def add_interaction(self, interaction: Interaction) -> None:
        """Store an interaction under its id and its token."""
        self.interactions[interaction.id] = self.interactions_by_token[interaction.token] = interaction

    # --- CDN addresses

    def cdn_url(self, attachment: Attachment) -> str:
        """Return the signed address of an attachment, valid for a day."""
        place = "ephemeral-attachments" if attachment.ephemeral else "attachments"
        path = f"/{place}/{attachment.channel_id}/{attachment.id}/{quote(attachment.filename)}"
        issued = int(self.clock.time())
        expires = f"{issued + int(CDN_URL_LIFETIME_S):x}"
        return f"{self.base_url}{path}?ex={expires}&is={issued:x}&hm={self.sign_cdn_path(path, expires)}&"

    def sign_cdn_path(self, path: str, expires: str) -> str:
        """Return the signature of a CDN address."""
        return hmac.new(self._secret, f"{path}{expires}".encode(errors="surrogateescape"), hashlib.sha256).hexdigest()

    # --- lookups, limited to what the bot can see

    def channel(self, channel_id: str | int) -> Channel:
        """Return a channel that the bot can see. Raise Unknown Channel or Missing Access."""
        channel = self.world.channels.get(snowflake(channel_id, "channel_id"))
        if channel is None:
            raise ApiError(10003)
        if not self.world.permissions(self.world.bot, channel):
            raise ApiError(50001)
        return channel

    def message(self, channel: Channel, message_id: str | int) -> Message:
        """Return a message of a channel. Ephemeral messages are unknown to the channel API."""
        message = self.world.messages.get(snowflake(message_id, "message_id"))
        if message is None or message.channel_id != channel.id or message.visible_to is not None:
            raise ApiError(10008)
        return message

    def guild(self, guild_id: str | int) -> Guild:
        """Return a guild that the bot is a member of. Raise Unknown Guild or Missing Access."""
        guild = self.world.guilds.get(snowflake(guild_id, "guild_id"))
        if guild is None:
            raise ApiError(10004)
        if self.world.bot.id not in guild.members:
            raise ApiError(50001)
        return guild

    def require(self, channel: Channel, needed: int) -> None:
        """Raise Missing Permissions unless the bot has all `needed` permissions in a channel."""
        if needed & ~self.world.permissions(self.world.bot, channel):
            raise ApiError(50013)

    # --- changes to messages

    def update_mentions(self, message: Message, allowed: Json | None) -> None:
        """Resolve the mentions of a message under `allowed_mentions`."""
        channel = self.world.channels[message.channel_id]
        author = self.world.users[message.author_id]
        can_mention_everyone = bool(self.world.permissions(author, channel) & permissions.MENTION_EVERYONE)
        resolved = resolve_mentions(self.world, message, allowed, can_mention_everyone=can_mention_everyone)
        message.mention_ids, message.mention_role_ids = resolved.user_ids, resolved.role_ids
        message.mention_everyone = resolved.everyone

    def add_message(self, message: Message) -> None:
        """Add a new message to the world, record its pings and publish it."""
        self.world.messages[message.id] = message
        message.record_revision(self.clock.time())
        if not message.loading:
            self._record_pings(message)
        self._dispatch_message(message, "MESSAGE_CREATE")

    def update_message(self, message: Message, *, edited: bool = True, was_loading: bool = False) -> None:
        """Publish a changed message. The end of a deferral pings like a new message."""
        if edited and not was_loading:
            message.edited_at = self.clock.time()
        message.record_revision(self.clock.time())
        if was_loading:
            self._record_pings(message)
        self._dispatch_message(message, "MESSAGE_UPDATE")

    def delete_message(self, message: Message) -> None:
        """Delete a message."""
        message.deleted = True
        self.world.messages.pop(message.id, None)
        channel = self.world.channels[message.channel_id]
        if message.visible_to is None:
            out = {"id": str(message.id), "channel_id": str(channel.id)} | self._guild_field(channel)
            self.dispatch("MESSAGE_DELETE", out, channel, GUILD_MESSAGES, DIRECT_MESSAGES)
        self.publish_deleted([message])

    def publish_deleted(self, messages: list[Message]) -> None:
        """Publish the deletion of messages to the event bus, but not to the bot."""
        for message in messages:
            self.event_bus.publish(StateEvent("message_delete", message=message, channel_id=message.channel_id))

    def react(self, message: Message, emoji: str, user_id: int, *, add: bool) -> None:
        """Add or remove a reaction and publish it."""
        if not reactions.set_reaction(message, emoji, user_id, add=add):
            return
        channel = self.world.channels[message.channel_id]
        out: Json = {
            "user_id": str(user_id),
            "channel_id": str(channel.id),
            "message_id": str(message.id),
            "emoji": payloads.emoji(emoji),
            "burst": False,
            "type": 0,
        } | self._guild_field(channel)
        guild = self.world.channel_guild(channel)
        if add:
            out["message_author_id"] = str(message.author_id)
        if add and guild:
            out["member"] = payloads.member(self, guild, user_id)
        event = "MESSAGE_REACTION_ADD" if add else "MESSAGE_REACTION_REMOVE"
        self.dispatch(event, out, channel, GUILD_REACTIONS, DIRECT_REACTIONS)
        self.event_bus.publish(StateEvent("message_update", message=message, channel_id=channel.id))

    def _record_pings(self, message: Message) -> None:
        at = self.clock.time()
        self.pings += [Ping(at, message.id, user_id) for user_id in notified_user_ids(self.world, message)]

    def _dispatch_message(self, message: Message, event: str) -> None:
        channel = self.world.channels[message.channel_id]
        if message.visible_to is None:
            guild_fields = self._guild_field(channel)
            if guild := self.world.channel_guild(channel):
                guild_fields["member"] = payloads.member(self, guild, message.author_id, with_user=False)
            full, without_content = (
                payloads.message(self, message) | guild_fields,
                payloads.message_without_content(self, message) | guild_fields,
            )
            self.dispatch(event, full, channel, GUILD_MESSAGES, DIRECT_MESSAGES, without_content=without_content)
        self.event_bus.publish(StateEvent(event.lower(), message=message, channel_id=channel.id))

    def _guild_field(self, channel: Channel) -> Json:
        return {"guild_id": str(channel.guild_id)} if channel.guild_id else {}

    def dispatch(
        self,
        event: str,
        data: Json,
        channel: Channel,
        guild_intent: int,
        direct_intent: int = 0,
        *,
        without_content: Json | None = None,
    ) -> None:
        """Send an event about a channel to the bot if it can see the channel (see `Gateway.dispatch`)."""
        if not self.world.permissions(self.world.bot, channel):
            return
        intent = guild_intent if channel.guild_id else direct_intent
        self.send_event(event, data, guild_id=channel.guild_id, intent=intent, without_content=without_content)

    def start_typing(self, channel: Channel, user_id: int) -> None:
        """Publish that a user is typing."""
        out = {"channel_id": str(channel.id), "user_id": str(user_id), "timestamp": int(self.clock.time())}
        self.dispatch("TYPING_START", out | self._guild_field(channel), channel, GUILD_TYPING, DIRECT_TYPING)
        self.event_bus.publish(StateEvent("typing", channel_id=channel.id, detail=str(user_id)))

    # --- changes to guilds and channels

    def dispatch_channel(self, channel: Channel, change: str) -> None:
        """Publish a changed channel or thread; `change` is CREATE, UPDATE or DELETE."""
        entity = "CHANNEL" if channel.type == TEXT or channel.guild_id is None else "THREAD"
        self.dispatch(f"{entity}_{change}", payloads.channel(self, channel), channel, GUILDS, GUILDS)
        self.event_bus.publish(StateEvent("channel", channel_id=channel.id, detail=change.lower()))

    def delete_channel(self, channel: Channel) -> None:
        """Delete a channel with its threads and messages."""
        for thread in [each for each in self.world.channels.values() if each.parent_id == channel.id]:
            self.delete_channel(thread)
        self.dispatch_channel(channel, "DELETE")
        for message in self.world.channel_messages(channel):
            self.world.messages.pop(message.id)
            message.deleted = True
        del self.world.channels[channel.id]

    def join_guild(self, guild: Guild) -> None:
        """Add the bot to a guild while it is running."""
        self.world.add_member(self.world.bot, guild)
        created = payloads.guild_create(self, guild)
        del created["unavailable"]  # only in READY's guilds; discord.py recognises a new guild by its absence
        self.send_event("GUILD_CREATE", created, guild_id=guild.id, intent=GUILDS)

    def leave_guild(self, guild: Guild) -> None:
        """Remove the bot from a guild while it is running."""
        guild.members.pop(self.world.bot.id, None)
        self.send_event("GUILD_DELETE", {"id": str(guild.id)}, guild_id=guild.id, intent=GUILDS)


CORE = web.AppKey("core", FakeDiscordState)
