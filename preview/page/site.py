"""The page: its files, the feed that keeps it up to date, and what people do on it."""

from __future__ import annotations

import asyncio
import json
import mimetypes
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from aiohttp import WSCloseCode, WSMsgType, web
from aiohttp.typedefs import Handler

from preview.api.server import StandIn
from preview.page import view
from preview.page.actions import ACTIONS, Deed, carry_out
from preview.people.options import PersonError
from preview.people.person import Person
from preview.state.feed import Event
from preview.state.files import Upload
from preview.state.world import Json, User

FILES = Path(__file__).parent / "static"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
OWN_SITE = ("same-origin", "none")
LONGEST_ASKING = 1 << 16  # bytes of a message on the feed


class Page:
    """Serve the page beside a stand-in that has not been started yet.

    `about` is shown as it is: what the model knows, example prompts. `bot_state` tells how the bot does; announce a
    change with `bot_changed()`.
    """

    def __init__(self, server: StandIn, about: Json, bot_state: Callable[[], Json]) -> None:
        self._core = server.core
        self._about = about
        self._bot_state = bot_state
        self._run = secrets.token_hex(8)
        self._sockets: set[web.WebSocketResponse] = set()
        server.app.middlewares.append(refuse_other_sites)
        server.app.add_routes(
            [
                web.get("/", self._index),
                web.get("/feed", self._feed),
                web.post("/do/{action}", self._act),
                web.get("/page/{name:[a-z-]+[.](?:js|css|svg)}", self._file),
            ]
        )
        server.app.on_shutdown.append(self._hang_up)

    def bot_changed(self) -> None:
        """Tell everybody how the bot does now."""
        self._core.feed.publish(Event("bot"))

    async def _index(self, _: web.Request) -> web.Response:
        return _file("index.html")

    async def _file(self, request: web.Request) -> web.Response:
        return _file(request.match_info["name"])

    async def _hang_up(self, _: web.Application) -> None:
        for socket in list(self._sockets):
            await socket.close(code=WSCloseCode.GOING_AWAY)

    # --- the feed

    async def _feed(self, request: web.Request) -> web.WebSocketResponse:
        viewer = self._viewer(request.query.get("as", ""))
        socket = web.WebSocketResponse(heartbeat=20.0, max_msg_size=LONGEST_ASKING)
        await socket.prepare(request)
        self._sockets.add(socket)
        with self._core.feed.subscription() as events:
            await socket.send_json(self._greeting(viewer))
            telling = asyncio.create_task(self._tell(socket, viewer, events))
            try:
                await self._answer_asking(socket, viewer)
            finally:
                telling.cancel()
                self._sockets.discard(socket)
        return socket

    def _viewer(self, name: str) -> User:
        people = [each for each in self._core.world.users.values() if not each.bot]
        return next((each for each in people if each.name == name), people[0])

    def _greeting(self, viewer: User) -> Json:
        return {"kind": "hello", "run": self._run, "about": self._about, "bot": self._bot()} | view.surroundings(
            self._core, viewer
        )

    def _bot(self) -> Json:
        return self._bot_state() | {"connected": self._core.gateway.connected}

    async def _tell(self, socket: web.WebSocketResponse, viewer: User, events: asyncio.Queue[Event]) -> None:
        """Pass on what the viewer may know; things are described as they are when they are sent."""
        with suppress(ConnectionError):
            while True:
                news = self._news(await events.get(), viewer)
                if news is not None:
                    await socket.send_json(news)

    def _news(self, event: Event, viewer: User) -> Json | None:
        match event.kind:
            case "message_create" | "message_update" if event.message and not event.message.deleted:
                if self._core.world.sees(viewer, event.message):
                    return {"kind": "message", "message": view.message(self._core, event.message, viewer)}
            case "message_delete" if event.message and event.message.visible_to in (None, viewer.id):
                return {"kind": "gone", "message": str(event.message.id), "channel": str(event.message.channel_id)}
            case "typing" if event.detail != str(viewer.id):
                return {"kind": "typing", "user": event.detail, "channel": str(event.channel_id)}
            case "channel" | "guild":
                return {"kind": "places"} | view.surroundings(self._core, viewer)
            case "commands":
                return {"kind": "commands"}
            case "gateway" | "bot":
                return {"kind": "bot", "bot": self._bot()}
        return None

    async def _answer_asking(self, socket: web.WebSocketResponse, viewer: User) -> None:
        """Answer what the page asks for on the feed, so that no older state can overtake a newer one."""
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            try:
                asked = json.loads(message.data)
                channel = self._core.world.channels.get(int(asked["open"]))
                before = int(asked.get("before") or 0) or None
            except (ValueError, KeyError, TypeError):
                continue
            if channel and self._core.world.permissions(viewer, channel):
                await socket.send_json({"kind": "contents"} | view.contents(self._core, viewer, channel, before))

    # --- what people do

    async def _act(self, request: web.Request) -> web.Response:
        action = request.match_info["action"]
        if action not in ACTIONS:
            raise web.HTTPNotFound
        try:
            return web.json_response(await carry_out(action, await self._deed(request)), headers=HEADERS)
        except PersonError as error:
            return web.json_response({"error": str(error)}, status=422, headers=HEADERS)

    async def _deed(self, request: web.Request) -> Deed:
        form = await request.post()
        try:
            given = json.loads(str(form["json"]))
        except (KeyError, ValueError):
            raise web.HTTPBadRequest from None
        uploads = [(name, each) for name, each in form.items() if isinstance(each, web.FileField)]
        files = {name: Upload(each.filename, each.file.read(), each.content_type) for name, each in uploads}
        person = Person(self._core, self._viewer(str(given.get("as"))))
        return Deed(self._core, person, given, files)


def _file(name: str) -> web.Response:
    """Answer with one of the page's files as it is now: they are small, and who works on them sees every change."""
    try:
        body = (FILES / name).read_bytes()
    except FileNotFoundError:
        raise web.HTTPNotFound from None
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return web.Response(body=body, headers=HEADERS | {"Content-Type": f"{kind}; charset=utf-8"})


@web.middleware
async def refuse_other_sites(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what a browser sends on behalf of another site, a link on one included."""
    if request.headers.get("Sec-Fetch-Site", "none") not in OWN_SITE:
        return web.Response(status=403, text="Cross-site requests are refused. Type the address into the browser.")
    return await handler(request)
