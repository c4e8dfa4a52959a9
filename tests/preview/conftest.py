"""Fixtures: a world, the fake Discord that serves it, and discord.py's real client."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import discord
import pytest
import yarl
from discord import app_commands

from preview import Channel, FakeDiscord, Guild, User, World
from preview.validation.openapi import OpenApi
from tests.support.preview_page import browser, preview  # noqa: F401 (fixtures)
from tests.support.timing import RESPONSE_TIMEOUT_S, TIMEOUT_S

OPENAPI = Path(__file__).parents[3] / "shared" / "discord" / "openapi.json"
FakeDiscord.wait_timeout, FakeDiscord.response_timeout = TIMEOUT_S, RESPONSE_TIMEOUT_S


class BareBot(discord.AutoShardedClient):
    """discord.py's client with a command tree that records its errors."""

    def __init__(self, intents: discord.Intents | None = None, **more) -> None:
        intents = discord.Intents(guilds=True) if intents is None else intents
        super().__init__(intents=intents, guild_ready_timeout=0, **more)
        self.tree = app_commands.CommandTree(self)
        self.errors: list[BaseException] = []
        self.tree.error(self._record_error)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Do not pause for 5 s between sessions."""

    async def _record_error(self, interaction: discord.Interaction, error: BaseException) -> None:
        self.errors.append(getattr(error, "original", error))


class Scenario:
    """Two members, a guild and a channel."""

    def __init__(self, world: World) -> None:
        self.ada: User = world.add_user("ada", display_name="Ada 🌙 Ł")
        self.bob: User = world.add_user("bob")
        self.guild: Guild = world.add_guild("Studio", self.ada, self.bob)
        self.channel: Channel = world.add_channel(self.guild, "art")


class RestClient:
    """Call the REST API without a library; a call returns the status and the JSON or text."""

    def __init__(self, server: FakeDiscord, session: aiohttp.ClientSession) -> None:
        self._server = server
        self._session = session
        self.headers: dict[str, str] = {}

    async def __call__(self, method: str, path: str, body=None, **more):
        token = {"Authorization": f"Bot {self._server.world.application.token}"}
        url = path if path.startswith("http") else self._server.api_url + path
        more = {"json": body} | more if body is not None else more
        async with self._session.request(method, url, headers=token | more.pop("headers", {}), **more) as response:
            self.headers = dict(response.headers)
            text = await response.text()
            return response.status, json.loads(text) if text.startswith(("{", "[")) else text


@pytest.fixture
def make_bot() -> type[BareBot]:
    return BareBot


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def scenario(world: World) -> Scenario:
    return Scenario(world)


@pytest.fixture
def openapi() -> Path | None:
    return OPENAPI if OPENAPI.is_file() else None


@pytest.fixture
async def server(world: World, openapi: Path | None) -> AsyncIterator[FakeDiscord]:
    """A fake Discord whose own responses and events are checked against Discord's OpenAPI file too."""
    async with FakeDiscord(world, openapi=openapi, limits=()) as server:
        yield server
        if openapi:
            assert_own_payloads_valid(server, server.openapi)
    assert not server.crashes


@pytest.fixture
async def raw(server: FakeDiscord) -> AsyncIterator[RestClient]:
    async with aiohttp.ClientSession() as session:
        yield RestClient(server, session)


EVENTS = {
    "MESSAGE_CREATE": "MessageResponse",
    "MESSAGE_UPDATE": "MessageResponse",
    "GUILD_CREATE": "GuildResponse",
    "CHANNEL_CREATE": "GuildChannelResponse",
    "THREAD_CREATE": "ThreadResponse",
}
INTERACTION_PARTS = {"member": "GuildMemberResponse", "user": "UserResponse", "message": "MessageResponse"}


def assert_own_payloads_valid(server: FakeDiscord, openapi: OpenApi) -> None:
    for each in server.requests:
        if each.status and each.response is not None:
            body = json.loads(each.response) if each.response else None
            assert openapi.check_response(each.method, each.path, each.status, body) == [], each.path
    events = [event for session in server.gateway.sessions.values() for event in session.events]
    for event in events:
        if name := EVENTS.get(event["t"]):
            assert openapi.check_schema(name, event["d"]) == [], event
        if event["t"] == "INTERACTION_CREATE":
            for part, name in INTERACTION_PARTS.items():
                assert part not in event["d"] or openapi.check_schema(name, event["d"][part]) == [], event["d"][part]
        if event["t"] == "READY":
            assert openapi.check_schema("UserPIIResponse", event["d"]["user"]) == []


def point_discord_at(server: FakeDiscord, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point discord.py at the fake Discord; it needs the gateway address after an invalid session."""
    monkeypatch.setattr(discord.http.Route, "BASE", server.api_url)
    monkeypatch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(server.core.gateway_url))


@asynccontextmanager
async def running(bot: BareBot, server: FakeDiscord, monkeypatch: pytest.MonkeyPatch, *, sync: bool = True):
    """Run a bot against the fake Discord until the block ends."""
    point_discord_at(server, monkeypatch)
    async with bot:
        await bot.login(server.world.application.token)
        if sync:
            await bot.tree.sync()
        task = asyncio.create_task(bot.connect())
        try:
            await bot.wait_until_ready()
            yield bot
        finally:
            await bot.close()
            await task


@pytest.fixture
def run(server: FakeDiscord, monkeypatch: pytest.MonkeyPatch) -> Callable:
    return lambda bot, **more: running(bot, server, monkeypatch, **more)
