"""The server side of the page: static files, a WebSocket with updates, and actions by POST."""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from aiohttp import WSCloseCode, WSMsgType, web
from aiohttp.typedefs import Handler

from preview.api.oauth2 import AUTHORIZE_PATH
from preview.page import view
from preview.page.actions import ACTIONS, PageAction, run_action
from preview.server import FakeDiscord
from preview.state.event_bus import StateEvent
from preview.state.files import UploadedFile
from preview.state.world import Json, User
from preview.users.options import UserActionError
from preview.users.simulated_user import SimulatedUser
from preview.validation.json_text import parse_json

STATIC_FOLDER = Path(__file__).parent / "static"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
FOREVER = "private, max-age=31536000, immutable"
ALLOWED_FETCH_SITES = ("same-origin", "none")
MAX_MESSAGE_BYTES = 1 << 16  # bytes of a message from the page


class Page:
    """Add the page to a fake Discord that has not started yet.

    `about` goes to the page unchanged: the words that the model knows, and example prompts. `bot_state` returns the
    state of the bot; call `publish_bot_state()` after a change.
    """

    def __init__(self, server: FakeDiscord, about: Json, bot_state: Callable[[], Json]) -> None:
        self._core = server.core
        self._gateway = server.gateway
        self._about = about
        self._bot_state = bot_state
        self._run = secrets.token_hex(8)
        self._files = _Files()
        self._sockets: set[web.WebSocketResponse] = set()
        server.app.middlewares.append(reject_cross_site)
        server.app.add_routes(
            [
                web.get("/", self._index),
                web.get("/feed", self._websocket),
                web.post("/do/{action}", self._handle_action),
                web.get("/page/{version:(?:[0-9a-f]{12}/)?}{name:[a-z-]+[.](?:js|css|svg)}", self._static_file),
            ]
        )
        server.app.on_shutdown.append(self._close_sockets)

    def publish_bot_state(self) -> None:
        """Send the state of the bot to all open pages."""
        self._core.event_bus.publish(StateEvent("bot"))

    async def _index(self, _: web.Request) -> web.Response:
        """Read all files anew, so that edits show on reload, and return the page."""
        self._files = _Files()
        return self._files.index()

    async def _static_file(self, request: web.Request) -> web.Response:
        return self._files.answer(request.match_info["name"], request.match_info["version"])

    async def _close_sockets(self, _: web.Application) -> None:
        for socket in list(self._sockets):
            await socket.close(code=WSCloseCode.GOING_AWAY)

    # --- updates over the WebSocket

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        viewer = self._viewer(request.query.get("as", ""))
        socket = web.WebSocketResponse(heartbeat=20.0, max_msg_size=MAX_MESSAGE_BYTES)
        await socket.prepare(request)
        self._sockets.add(socket)
        with self._core.event_bus.subscribe() as events:
            await socket.send_json(self._hello(viewer))
            sender = asyncio.create_task(self._send_events(socket, viewer, events))
            try:
                await self._answer_requests(socket, viewer)
            finally:
                sender.cancel()
                self._sockets.discard(socket)
        return socket

    def _viewer(self, name: str) -> User:
        users = [each for each in self._core.world.users.values() if not each.bot]
        return next((each for each in users if each.name == name), users[0])

    def _hello(self, viewer: User) -> Json:
        return {"kind": "hello", "run": self._run, "about": self._about, "bot": self._bot_status()} | view.server_tree(
            self._core, viewer
        )

    def _bot_status(self) -> Json:
        return self._bot_state() | {"connected": self._gateway.connected}

    async def _send_events(
        self, socket: web.WebSocketResponse, viewer: User, events: asyncio.Queue[StateEvent]
    ) -> None:
        """Send the updates that the viewer can see; each shows the state at the time of sending."""
        with suppress(ConnectionError):
            while True:
                update = self._event_update(await events.get(), viewer)
                if update is not None:
                    await socket.send_json(update)

    def _event_update(self, event: StateEvent, viewer: User) -> Json | None:
        match event.kind:
            case "message_create" | "message_update" if event.message and not event.message.deleted:
                if self._core.world.can_see(viewer, event.message):
                    return {"kind": "message", "message": view.message(self._core, event.message, viewer)}
            case "message_delete" if event.message and event.message.visible_to in (None, viewer.id):
                return {"kind": "gone", "message": str(event.message.id), "channel": str(event.message.channel_id)}
            case "typing" if event.detail != str(viewer.id) and self._can_see(viewer, event.channel_id):
                return {"kind": "typing", "user": event.detail, "channel": str(event.channel_id)}
            case "channel" | "guild":
                return {"kind": "places"} | view.server_tree(self._core, viewer)
            case "commands":
                return {"kind": "commands"}
            case "gateway" | "bot":
                return {"kind": "bot", "bot": self._bot_status()}
        return None

    def _can_see(self, viewer: User, channel_id: int | None) -> bool:
        channel = self._core.world.channels.get(channel_id or 0)
        return channel is not None and bool(self._core.world.permissions(viewer, channel))

    async def _answer_requests(self, socket: web.WebSocketResponse, viewer: User) -> None:
        """Answer requests for channel contents over the WebSocket, so that no older state overtakes a newer one."""
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            try:
                query = parse_json(message.data)
                channel = self._core.world.channels.get(int(query["open"]))
                before = int(query.get("before") or 0) or None
            except (ValueError, KeyError, TypeError):
                continue
            if channel and self._core.world.permissions(viewer, channel):
                await socket.send_json(
                    {"kind": "contents"} | view.channel_messages(self._core, viewer, channel, before)
                )

    # --- actions

    async def _handle_action(self, request: web.Request) -> web.Response:
        action = request.match_info["action"]
        if action not in ACTIONS:
            raise web.HTTPNotFound
        try:
            return web.json_response(await run_action(action, await self._parse_action(request)), headers=HEADERS)
        except UserActionError as error:
            return web.json_response({"error": str(error)}, status=422, headers=HEADERS)

    async def _parse_action(self, request: web.Request) -> PageAction:
        try:
            form = await request.post()
            payload = parse_json(str(form["json"]))
        except (ValueError, LookupError, RuntimeError, AssertionError):  # what aiohttp raises for a malformed body
            raise web.HTTPBadRequest from None
        if not isinstance(payload, dict):
            raise web.HTTPBadRequest
        uploads = [(name, each) for name, each in form.items() if isinstance(each, web.FileField)]
        files = {name: UploadedFile(each.filename, each.file.read(), each.content_type) for name, each in uploads}
        actor = SimulatedUser(self._core, self._viewer(str(payload.get("as"))))
        return PageAction(self._core, actor, payload, files)


class _Files:
    """The page's files as they are at one moment. A browser fetches each once: its address changes with any of them."""

    def __init__(self) -> None:
        # Not those that editors hide or back up: they come and go.
        self._contents = {path.name: path.read_bytes() for path in sorted(STATIC_FOLDER.glob("[a-z]*[a-z]"))}
        self._version = hashlib.sha256(repr(self._contents).encode()).hexdigest()[:12] + "/"

    def index(self) -> web.Response:
        response = self.answer("index.html")
        assert isinstance(response.body, bytes)
        response.body = response.body.replace(b'"/page/', f'"/page/{self._version}'.encode())
        return response

    def answer(self, name: str, version: str = "") -> web.Response:
        if name not in self._contents:
            raise web.HTTPNotFound
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        headers = HEADERS | {"Content-Type": f"{kind}; charset=utf-8"}
        if version == self._version:
            headers["Cache-Control"] = FOREVER
        return web.Response(body=self._contents[name], headers=headers)


@web.middleware
async def reject_cross_site(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Reject requests that a browser sends for another site; links from other sites count too."""
    is_login = request.path == AUTHORIZE_PATH and request.method == "GET"  # which other sites lead to
    if request.headers.get("Sec-Fetch-Site", "none") not in ALLOWED_FETCH_SITES and not is_login:
        return web.Response(status=403, text="Cross-site requests are refused. Type the address into the browser.")
    return await handler(request)
