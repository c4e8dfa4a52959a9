"""The web gallery beside the harness's bot, and visitors with cookies of their own."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
from yarl import URL

from bot.gallery.server import GalleryServer
from bot.services import Services
from db.together.canvases import Canvas
from db.together.sessions import Round, SessionKind
from generation.params import Tile
from preview import Channel, Message, User
from tests.support.bot_harness import BotHarness, eventually, first_tile
from tests.support.sessions import make_session
from tests.support.timing import TIMEOUT_S


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Answer:
    """An answer of the gallery."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class Visitor:
    """A browser: its cookies, and its way through the login."""

    def __init__(self, gallery: GalleryHarness) -> None:
        self.gallery = gallery
        self.csrf = ""
        self.http = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.close()

    async def log_in(self, user: User) -> Self:
        """Log in at the fake Discord as a user."""
        response = await self.get("/login")
        url = URL(response.headers["Location"])
        form = dict(url.query) | {"user": str(user.id)}
        async with self.http.post(url.with_query(None), data=form, allow_redirects=False) as answer:
            back = answer.headers["Location"]
        async with self.http.get(back, allow_redirects=False) as done:
            assert done.status == 302, await done.text()
        self.csrf = (await self.json("/api/me"))["csrf"]
        return self

    async def get(self, path: str, **options: Any) -> Answer:
        """Return an answer, with its body read."""
        return await self._send("GET", path, **options)

    async def post(self, path: str, *, headers: dict[str, str] | None = None, **options: Any) -> Answer:
        """Send what a page of the gallery sends."""
        own = {"Origin": self.gallery.url, "X-Atelier-CSRF": self.csrf} | (headers or {})
        return await self._send("POST", path, headers=own, **options)

    async def json(self, path: str, **query: str) -> Any:
        """Return the JSON of an address."""
        response = await self.get(path, params=query)
        assert response.status == 200, response.text
        return json.loads(response.body)

    async def _send(self, method: str, path: str, **options: Any) -> Answer:
        url = URL(f"http://127.0.0.1:{self.gallery.port}{path}", encoded="%" in path)
        async with self.http.request(method, url, allow_redirects=False, **options) as answer:
            return Answer(answer.status, answer.headers, await answer.read())


class GalleryHarness:
    """The gallery of a running bot."""

    def __init__(self, harness: BotHarness, services: Services, port: int) -> None:
        self.harness, self.services, self.port = harness, services, port
        self.url = f"http://127.0.0.1:{port}"
        self.server = GalleryServer(services, harness.app.current_client)

    def visitor(self) -> Visitor:
        """Return a new browser."""
        return Visitor(self)

    async def draw(self, prompt: str, user: User | None = None, channel: Channel | None = None) -> tuple[Tile, Message]:
        """Draw a result and wait until it is in the index; return its first tile."""
        channel = channel or self.harness.channel
        before = {message.id for message in self.harness.server.messages(channel)}
        await self.harness.imagine(prompt, user, channel)
        result = await self.harness.server.wait_for(
            channel, lambda message: message.id not in before and "U1" in message.labels, description="a result"
        )
        tile = first_tile(result)
        await self.wait_indexed(tile.job_id)
        return tile, result

    async def wait_indexed(self, job_id: str) -> None:
        """Wait until a result is in the index."""
        async with asyncio.timeout(TIMEOUT_S):
            while not await self.services.db.picture_index.vectors_of_jobs([job_id]):  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def store_sessions(self, tile: Tile, child: Tile) -> dict[str, str]:
        """Store an ended session of each kind that made a picture, and a family that it begins; return their ids."""
        db, made = self.services.db, {}
        for kind in SessionKind:
            session = make_session(
                id=secrets.token_hex(6),
                kind=kind,
                guild_id=self.harness.guild.id,
                channel_id=self.harness.channel.id,
                settings={"theme": "<b>the sea</b>"},
            )
            await db.sessions.add(session, 9)
            await db.sessions.add_round(
                Round(session_id=session.id, number=1, job_id=tile.job_id, facts={"words": "a sea"})
            )
            await db.sessions.end(session.id, 2000.0)
            made[kind.value] = session.id
        await db.canvases.add(Canvas(session_id=made["canvas"], columns=3, rows=3, cell=64, neighbours=False))
        for statement in (
            """INSERT INTO contest_entries (session, person, job_id, tile_index, at, place, rank)
               VALUES (:contest, :person, :job, 0, 1, 1, 1)""",
            """INSERT INTO canvas_pieces (session, person, name, x, y, words, job_id, tile_index, placed_at)
               VALUES (:canvas, :person, 'ada', 0, 0, 'a <b>boat</b>', 'piece', 0, 1)""",
            "INSERT INTO canvas_cells SELECT session, 1, 2, number FROM canvas_pieces WHERE session = :canvas",
            "INSERT INTO lineage VALUES (:child, :job, 0, 'made')",
        ):
            values = made | {"person": self.harness.ada.id, "job": tile.job_id, "child": child.job_id}
            await db.connection.write(statement, values)
        return made


@asynccontextmanager
async def open_gallery(harness: BotHarness, *, login: bool = True, **more: Any) -> AsyncIterator[GalleryHarness]:
    """Run the bot with its gallery; visitors log in unless `login` is False."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    application = harness.server.world.application
    application.redirect_uris = [f"{url}/login/done"]
    settings = {"gallery_url": url, "discord_client_secret": application.client_secret} if login else {}
    async with harness.bot(gallery_port=port, **settings, **more) as services:
        await eventually(lambda: harness.client is not None and harness.client.is_ready())
        gallery = GalleryHarness(harness, services, port)
        await gallery.server.start(port)
        try:
            yield gallery
        finally:
            await gallery.server.close()
