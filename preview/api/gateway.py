"""The gateway: HELLO, IDENTIFY, READY, heartbeats, RESUME with replay, and events by intents."""
# ruff: noqa: ASYNC109 (each wait in a test has its own timeout)

from __future__ import annotations

import asyncio
import json
import secrets
import time
import zlib
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from preview.state import payloads
from preview.state.core import FakeDiscordState
from preview.state.event_bus import StateEvent
from preview.state.world import Json
from preview.validation.json_text import parse_json
from preview.validation.shapes import check_body

DISPATCH, HEARTBEAT, IDENTIFY, RESUME, RECONNECT, INVALID_SESSION, HELLO, HEARTBEAT_ACK = 0, 1, 2, 6, 7, 9, 10, 11
PRESENCE, VOICE, REQUEST_MEMBERS = 3, 4, 8
GUILDS, MESSAGE_CONTENT = 1 << 0, 1 << 15
PRIVILEGED = 1 << 1 | 1 << 8 | MESSAGE_CONTENT
MAX_REPLAY_EVENTS = 2000
MAX_PAYLOAD_BYTES, MAX_PAYLOADS_PER_MINUTE = 4096, 120


@dataclass(eq=False)
class GatewayConnection:
    """One WebSocket connection with its compression."""

    socket: web.WebSocketResponse
    transport: asyncio.BaseTransport | None
    compressor: Any = None
    session: GatewaySession | None = None
    received: list[float] = field(default_factory=list)

    async def send(self, payload: Json) -> None:
        """Send one payload; a closed connection drops it."""
        text = json.dumps(payload)
        try:
            if self.compressor is None:
                await self.socket.send_str(text)
            else:
                compressed = self.compressor.compress(text.encode()) + self.compressor.flush(zlib.Z_SYNC_FLUSH)
                await self.socket.send_bytes(compressed)
        except (ConnectionError, RuntimeError):
            return


@dataclass
class GatewaySession:
    """A session, which survives a lost connection: it has the events already sent, by sequence number."""

    id: str
    shard: tuple[int, int]
    intents: int
    sequence: int = 0
    events: list[Json] = field(default_factory=list)
    connection: GatewayConnection | None = None
    outbox: asyncio.Queue[Json] = field(default_factory=asyncio.Queue)

    def wants(self, guild_id: int | None, intent: int) -> bool:
        """Return whether an event goes to this session, by its shard and its intents; intent 0 needs none."""
        number, count = self.shard
        shard = 0 if guild_id is None else (guild_id >> 22) % count
        return shard == number and (not intent or bool(self.intents & intent))

    def add(self, event: str, data: Json) -> None:
        """Number an event and queue it for the connection, if there is one."""
        self.sequence += 1
        payload = {"op": DISPATCH, "t": event, "s": self.sequence, "d": data}
        self.events.append(payload)
        del self.events[:-MAX_REPLAY_EVENTS]
        if self.connection:
            self.outbox.put_nowait(payload)


class Gateway:
    """All gateway sessions; `heartbeats` has the monotonic times of the heartbeats received."""

    def __init__(self, core: FakeDiscordState, *, heartbeat_interval: float = 41.25) -> None:
        self._core = core
        self.heartbeat_interval = heartbeat_interval
        self.sessions: dict[str, GatewaySession] = {}
        self.connections: set[GatewayConnection] = set()
        self.heartbeats: list[float] = []
        self.identifies: list[Json] = []
        self.resumes: list[Json] = []
        self.refuse_status: int | None = None

    # --- events

    def dispatch(
        self,
        event: str,
        data: Json,
        *,
        guild_id: int | None = None,
        intent: int = 0,
        without_content: Json | None = None,
    ) -> None:
        """Send an event to the sessions that want it; those without the content intent get `without_content`."""
        for session in self.sessions.values():
            if session.wants(guild_id, intent):
                readable = without_content is None or session.intents & MESSAGE_CONTENT
                session.add(event, data if readable else without_content or data)

    @property
    def connected(self) -> bool:
        """Return whether a bot is connected."""
        return any(session.connection for session in self.sessions.values())

    async def wait_connected(self, timeout: float | None = None) -> None:
        """Wait until a bot is connected."""
        await self._core.event_bus.wait_until(
            lambda: self.connected or None, timeout, "the bot to connect to the gateway"
        )

    # --- fault injection

    async def drop(self, code: int = 4000, *, resumable: bool = True) -> None:
        """Close all connections; unless `resumable`, the response to RESUME is an invalid session."""
        if not resumable:
            self.sessions.clear()
        await asyncio.gather(*(each.socket.close(code=code) for each in list(self.connections)))

    def abort(self) -> None:
        """Abort all connections without a closing handshake."""
        for connection in list(self.connections):
            if isinstance(connection.transport, asyncio.Transport):
                connection.transport.abort()

    async def reconnect(self) -> None:
        """Ask the bot to reconnect and resume."""
        for connection in list(self.connections):
            await connection.send({"op": RECONNECT, "d": None})

    async def invalidate(self, *, resumable: bool = False) -> None:
        """Invalidate all sessions; unless `resumable`, the bot must identify again."""
        for connection in list(self.connections):
            if not resumable and connection.session:
                self.sessions.pop(connection.session.id, None)
            await connection.send({"op": INVALID_SESSION, "d": resumable})

    # --- one connection

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Handle a WebSocket connection."""
        if self.refuse_status:
            return web.Response(status=self.refuse_status)
        socket = web.WebSocketResponse(max_msg_size=1 << 20)
        await socket.prepare(request)
        compress = request.query.get("compress")
        compressor = zlib.compressobj() if compress == "zlib-stream" else None
        connection = GatewayConnection(socket, request.transport, compressor)
        self.connections.add(connection)
        sender: asyncio.Task[None] | None = None
        try:
            await connection.send({"op": HELLO, "d": {"heartbeat_interval": int(self.heartbeat_interval * 1000)}})
            async for message in socket:
                if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                    continue
                if not await self._within_limits(connection, message.data):
                    break
                await self._receive(connection, _parse_payload(message.data))
                if connection.session and sender is None:
                    sender = asyncio.create_task(self._send_events(connection, connection.session))
        except ValueError:
            await socket.close(code=4002)
        finally:
            self._remove_connection(connection, sender)
        return socket

    def _remove_connection(self, connection: GatewayConnection, sender: asyncio.Task[None] | None) -> None:
        if sender:
            sender.cancel()
        self.connections.discard(connection)
        session = connection.session
        if session and session.connection is connection:
            session.connection = None
        self._core.event_bus.publish(StateEvent("gateway", detail="closed"))

    async def _send_events(self, connection: GatewayConnection, session: GatewaySession) -> None:
        while session.connection is connection:
            await connection.send(await session.outbox.get())

    async def _within_limits(self, connection: GatewayConnection, data: str | bytes) -> bool:
        now = time.monotonic()
        connection.received = [at for at in connection.received if now - at < 60] + [now]
        if len(data) > MAX_PAYLOAD_BYTES:
            await connection.socket.close(code=4002)
            return False
        if len(connection.received) > MAX_PAYLOADS_PER_MINUTE:
            await connection.socket.close(code=4008)
            return False
        return True

    async def _receive(self, connection: GatewayConnection, payload: Json) -> None:
        op, data = payload.get("op"), payload.get("d")
        if op == HEARTBEAT:
            self.heartbeats.append(time.monotonic())
            await connection.send({"op": HEARTBEAT_ACK, "d": None})
        elif op == IDENTIFY:
            await self._identify(connection, data or {})
        elif op == RESUME:
            await self._resume(connection, data or {})
        elif op == REQUEST_MEMBERS and connection.session:
            self._send_members(connection.session, data or {})
        elif op not in (PRESENCE, VOICE):
            await connection.socket.close(code=4001)

    async def _identify(self, connection: GatewayConnection, data: Json) -> None:
        app = self._core.world.application
        self.identifies.append(data)
        if connection.session:
            await connection.socket.close(code=4005)
            return
        if data.get("token") != app.token:
            await connection.socket.close(code=4004)
            return
        intents = int(data.get("intents") or 0)
        if intents & PRIVILEGED & ~app.privileged_intents:
            await connection.socket.close(code=4014)
            return
        number, count = data.get("shard") or (0, 1)
        session = GatewaySession(secrets.token_hex(16), (number, count), intents, connection=connection)
        stale = [each for each in self.sessions.values() if each.shard == session.shard and not each.connection]
        for each in stale:
            del self.sessions[each.id]
        self.sessions[session.id] = session
        connection.session = session
        self._send_ready(session)
        self._core.event_bus.publish(StateEvent("gateway", detail="identified"))

    def _send_ready(self, session: GatewaySession) -> None:
        """Send READY and, if the session has the guilds intent, a GUILD_CREATE for each guild."""
        core = self._core
        bot = core.world.bot
        guilds = [each for each in core.world.guilds.values() if bot.id in each.members]
        guilds = [each for each in guilds if session.wants(each.id, 0)]
        ready: Json = {
            "v": 10,
            "user": payloads.current_user(bot) | {"bot": True},
            "guilds": [{"id": str(each.id), "unavailable": True} for each in guilds],
            "session_id": session.id,
            "session_type": "normal",
            "resume_gateway_url": core.gateway_url,
            "shard": list(session.shard),
            "application": payloads.partial_application(core),
            "private_channels": [],
            "_trace": [],
        }
        session.add("READY", ready)
        for each in guilds:
            if session.wants(each.id, GUILDS):
                session.add("GUILD_CREATE", payloads.guild_create(core, each))

    async def _resume(self, connection: GatewayConnection, data: Json) -> None:
        self.resumes.append(data)
        session = self.sessions.get(str(data.get("session_id")))
        seen = int(data.get("seq") or 0)
        lost = session and session.events and session.events[0]["s"] > seen + 1
        if data.get("token") != self._core.world.application.token:
            await connection.socket.close(code=4004)
            return
        if session is None or lost or seen > session.sequence:
            await connection.send({"op": INVALID_SESSION, "d": False})
            return
        session.connection, connection.session = connection, session
        session.outbox = asyncio.Queue()
        for payload in session.events:
            if payload["s"] > seen:
                session.outbox.put_nowait(payload)
        session.add("RESUMED", {"_trace": []})
        self._core.event_bus.publish(StateEvent("gateway", detail="resumed"))

    def _send_members(self, session: GatewaySession, data: Json) -> None:
        guild = self._core.world.guilds.get(int(data.get("guild_id") or 0))
        if guild is None:
            return
        ids = data.get("user_ids")
        wanted = [int(each) for each in (ids if isinstance(ids, list) else [ids])] if ids else list(guild.members)
        members = [payloads.member(self._core, guild, each) for each in wanted if each in guild.members]
        session.add(
            "GUILD_MEMBERS_CHUNK",
            {
                "guild_id": str(guild.id),
                "members": members,
                "chunk_index": 0,
                "chunk_count": 1,
                "not_found": [str(each) for each in wanted if each not in guild.members],
                "nonce": data.get("nonce"),
            },
        )


def _parse_payload(data: str | bytes) -> Json:
    """Return a payload of the bot. Raise ValueError if it is no object with `op`, or a field has the wrong type."""
    payload = parse_json(data)
    if not isinstance(payload, dict) or check_body(payload):
        raise ValueError("no payload")
    if payload.get("op") in (IDENTIFY, RESUME, REQUEST_MEMBERS) and not isinstance(payload.get("d"), dict):
        raise ValueError("no data")
    return payload
