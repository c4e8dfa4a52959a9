"""Serve the gallery inside the bot's process, on loopback; a proxy with https makes it public."""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler
from yarl import URL

from bot.client import Client
from bot.config import Config, ConfigError
from bot.gallery.actions import Actions
from bot.gallery.login import Login
from bot.gallery.pages import Pages
from bot.gallery.pictures import Pictures
from bot.gallery.security import protect
from bot.gallery.session_pages import KINDS, SessionPages
from bot.gallery.sessions import Sessions
from bot.gallery.texts import language_of
from bot.gallery.viewers import Viewers
from bot.services import Services
from bot.ui.i18n import set_locale, tr

STATIC_FOLDER = Path(__file__).parent / "static"
FOREVER = "private, max-age=31536000, immutable"
PAGES = (
    "/",
    "/mine",
    "/find",
    "/together",
    r"/p/{tile:[0-9a-f]{12}-[0-3]}",
    r"/tree/{job_id:[0-9a-f]{12}}",
    rf"/{{kind:{KINDS}}}/{{id:[0-9a-f]{{12}}}}",
)
MAX_BODY_BYTES = 256 * 1024  # of a request, except a picture to search for
MAX_CONNECTIONS = 500
IDLE_S = 15.0  # after which a connection without a whole request is closed, so that idle ones shut nobody out
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

CurrentClient = Callable[[], Client | None]


@asynccontextmanager
async def serve_gallery(services: Services, current_client: CurrentClient) -> AsyncIterator[int]:
    """Serve the gallery inside the block if GALLERY_PORT is set; yield its port, or 0.

    Raises ConfigError if the port is taken or the login is not configured.
    """
    config = services.config
    if not config.gallery_port:
        yield 0
        return
    gallery = GalleryServer(services, current_client)
    port = await gallery.start(config.gallery_port)
    try:
        yield port
    finally:
        await gallery.close()


class GalleryServer:
    """The gallery's web server. Port 0 chooses a free one."""

    def __init__(self, services: Services, current_client: CurrentClient) -> None:
        require_login_settings(services.config)
        config, with_login = services.config, bool(services.config.gallery_url)
        self._config, self._port, self._personal_data = config, 0, services.db.personal_data
        secure = config.gallery_url.startswith("https:")
        self.sessions = Sessions(services.clock, secure=secure)
        self.viewers = Viewers(services, current_client, with_login=with_login)
        pages = Pages(services, self.viewers, self.sessions, with_login=with_login)
        actions = Actions(services, self.viewers, self.sessions, pages, with_login=with_login)
        together = SessionPages(services, self.viewers, self.sessions, pages)
        pictures = Pictures(services, self.viewers, self.sessions)
        routes = [route for each in (pages, together, actions, pictures) for route in each.routes()]
        if with_login:
            routes += Login(config, self.sessions, lambda: _application_id(current_client()), services.clock).routes()
        self._app = web.Application(client_max_size=MAX_BODY_BYTES)
        protect(self._app, self._hosts, self._origins, secure=secure)
        self._app.add_routes(routes)
        self._app.add_routes(_Files().routes())
        self._app.middlewares[:0] = [self._hear, self._speak]
        self._listener: asyncio.Server | None = None
        self._silent: set[asyncio.BaseProtocol] = set()  # connections that have not sent a request yet
        self._runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=1.0, keepalive_timeout=IDLE_S)

    async def start(self, port: int) -> int:
        """Listen on loopback and return the port; raises ConfigError if it is taken."""
        await self._runner.setup()
        try:
            self._listener = await asyncio.get_running_loop().create_server(self._accept, "127.0.0.1", port)
        except OSError as error:
            await self._runner.cleanup()
            raise ConfigError(f"GALLERY_PORT {port} cannot be used: {error.strerror}") from None
        self._port = int(self._listener.sockets[0].getsockname()[1])
        self._personal_data.subscribe(self._on_erasure)
        return self._port

    def _on_erasure(self, person_id: int) -> None:
        """Log a person out whose data are erased."""
        self.sessions.end_all(person_id)
        self.viewers.forget(person_id)

    def _accept(self) -> asyncio.BaseProtocol:
        """Serve a connection, unless there are too many: the bot's own must not run out of file descriptors."""
        server = self._runner.server
        assert server is not None, "it is set up"
        if len(server.connections) >= MAX_CONNECTIONS:
            return _Refusal()
        connection = server()
        self._silent.add(connection)
        asyncio.get_running_loop().call_later(IDLE_S, self._close_if_silent, connection)
        return connection

    def _close_if_silent(self, connection: web.RequestHandler) -> None:
        if connection in self._silent and connection.transport is not None:  # aiohttp closes only later idleness
            connection.transport.abort()
        self._silent.discard(connection)

    @web.middleware
    async def _hear(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._silent.discard(request.protocol)
        return await handler(request)

    @web.middleware
    async def _speak(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer in the language of the browser, or else in the person's at Discord."""
        session = self.sessions.find(request)
        set_locale(language_of(request.headers.get("Accept-Language", ""), session.locale if session else ""))
        return await handler(request)

    async def close(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            self._listener.close()
            self._personal_data.unsubscribe(self._on_erasure)
        await self._runner.cleanup()

    def _origins(self) -> frozenset[str]:
        if self._config.gallery_url:
            return frozenset({str(URL(self._config.gallery_url).origin())})
        return frozenset(f"http://{host}:{self._port}" for host in LOOPBACK)

    def _hosts(self) -> frozenset[str]:
        return frozenset(origin.partition("//")[2] for origin in self._origins())


class _Refusal(asyncio.Protocol):
    """Ends a connection at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


def require_login_settings(config: Config) -> None:
    """Raise ConfigError if the address of a public gallery lacks what a login needs."""
    if not config.gallery_url:
        return
    url = URL(config.gallery_url)
    if url.path not in ("", "/") or url.query_string or url.fragment:
        raise ConfigError("GALLERY_URL must be the address of the whole site, such as https://pictures.example.org")
    if url.scheme != "https" and url.host not in ("127.0.0.1", "localhost", "::1"):
        raise ConfigError("GALLERY_URL must begin with https://")
    if not config.discord_client_secret:
        raise ConfigError("GALLERY_URL needs DISCORD_CLIENT_SECRET, from the OAuth2 page of Discord's developer portal")


def _application_id(client: Client | None) -> int | None:
    return client.application_id if client is not None else None


class _Files:
    """The pages' files as this start of the bot found them: an update on the disk is served after the next one.

    A browser fetches each file once: its address changes with any of them.
    """

    def __init__(self) -> None:
        self._contents = {path.name: path.read_bytes() for path in sorted(STATIC_FOLDER.glob("[a-z]*[a-z]"))}
        self._version = hashlib.sha256(repr(self._contents).encode()).hexdigest()[:12] + "/"

    def routes(self) -> list[web.RouteDef]:
        address = r"/static/{version:(?:[0-9a-f]{12}/)?}{name:[a-z_]+[.](?:js|css|svg)}"
        return [*(web.get(path, self._index) for path in PAGES), web.get(address, self._static)]

    async def _index(self, _: web.Request) -> web.Response:
        response = self._answer("index.html")
        assert isinstance(response.body, bytes)
        response.body = response.body.replace(b'"/static/', f'"/static/{self._version}'.encode())
        return response

    async def _static(self, request: web.Request) -> web.Response:
        response = self._answer(request.match_info["name"])
        if request.match_info["version"] == self._version:
            response.headers["Cache-Control"] = FOREVER
        return response

    def _answer(self, name: str) -> web.Response:
        if name not in self._contents:
            raise web.HTTPNotFound(text=tr("There is no such page."))
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return web.Response(body=self._contents[name], headers={"Content-Type": f"{kind}; charset=utf-8"})
