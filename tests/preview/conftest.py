"""A world, a stand-in for it, and discord.py's real client."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import discord
import pytest
from discord import app_commands

from preview import StandIn, World

OPENAPI = Path(__file__).parents[3] / "shared" / "discord" / "openapi.json"


class Bot(discord.AutoShardedClient):
    """discord.py's client with a command tree."""

    def __init__(self, intents: discord.Intents | None = None) -> None:
        super().__init__(intents=intents or discord.Intents(guilds=True), guild_ready_timeout=0)
        self.tree = app_commands.CommandTree(self)
        self.errors: list[BaseException] = []
        self.tree.error(self._keep)

    async def _keep(self, interaction: discord.Interaction, error: BaseException) -> None:
        self.errors.append(getattr(error, "original", error))


@pytest.fixture
def make_bot() -> type[Bot]:
    return Bot


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def openapi() -> Path | None:
    return OPENAPI if OPENAPI.is_file() else None


@pytest.fixture
async def server(world: World, openapi: Path | None) -> AsyncIterator[StandIn]:
    async with StandIn(world, openapi=openapi, limits=()) as server:
        yield server
    assert not server.crashes
    assert not server.violations


@asynccontextmanager
async def running(bot: Bot, server: StandIn, monkeypatch: pytest.MonkeyPatch, *, sync: bool = True):
    """Run a bot against the stand-in until the block ends."""
    monkeypatch.setattr(discord.http.Route, "BASE", server.api_url)
    async with bot:
        await bot.login(server.world.application.token)
        if sync:
            await bot.tree.sync()
        task = asyncio.create_task(bot.connect())
        await bot.wait_until_ready()
        yield bot
        await bot.close()
        await task


@pytest.fixture
def run(server: StandIn, monkeypatch: pytest.MonkeyPatch) -> Callable:
    return lambda bot, **more: running(bot, server, monkeypatch, **more)
