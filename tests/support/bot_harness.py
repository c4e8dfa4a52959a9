"""A studio with its real worker process, discord.py's real client, and people at the loopback stand-in."""

from __future__ import annotations

import asyncio
import io
import json
import marshal
import multiprocessing
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partialmethod
from multiprocessing import forkserver
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import discord
import pytest
from discord import app_commands
from discord.ext import commands
from discord.http import Route
from PIL import Image

from bot.app import App
from bot.client import Client
from bot.config import Config
from bot.images import films
from bot.images.inputs import FILENAME_PREFIX
from bot.jobs import status_message
from bot.jobs.tasks import TaskRegistry
from bot.registry import load_registry
from bot.services import Services, open_services
from bot.ui.i18n import CATALOGUES
from db.connection import DATABASE_FILE
from generation.params import Params, Tile
from generation.worker import process
from generation.worker.devices import list_devices, worker_names
from generation.worker.fleet import Fleet
from generation.worker.worker import LocalWorker
from preview import Channel, FakeDiscord, Message, SimulatedUser, User, World
from preview import server as server_module
from preview.validation import commands as command_rules
from tests.support import fake_engine
from tests.support.forked_films import fork_film
from tests.support.new_database import MakeDatabase
from tests.support.timing import RESPONSE_TIMEOUT_S, TIMEOUT_S

OPENAPI = Path(__file__).parents[3] / "shared" / "discord" / "openapi.json"
FakeDiscord.wait_timeout, FakeDiscord.response_timeout = TIMEOUT_S, RESPONSE_TIMEOUT_S


class BotHarness:
    """A guild with people in it, and a bot that can be started and stopped."""

    def __init__(self, server: FakeDiscord, folder: Path, make_database: MakeDatabase) -> None:
        self.server, self.folder, self._make_database = server, folder, make_database
        self.model = folder / "model"
        world = server.world
        self.ada, self.ben, self.mod = (world.add_user(name) for name in ("ada", "ben", "mod"))
        self.guild = world.add_guild("Studio", self.mod, self.ada, self.ben)
        self.channel = world.add_channel(self.guild)
        self.settings: dict[str, int] = {}

    @asynccontextmanager
    async def bot(self, clock: Callable[[], float] | None = None, **settings: Any) -> AsyncIterator[Services]:
        """Run the bot until the block ends, then stop it as SIGTERM would; its clock is Discord's unless given."""
        config = Config(
            discord_token=self.server.world.application.token,
            discord_api_url=self.server.api_url,
            data_dir=self.folder / "data",
            **{"models": (str(self.model),)} | settings,
        )
        self._make_database(config.data_dir / DATABASE_FILE)
        registry, devices = load_registry(config), list_devices(config.device)
        workers = [
            LocalWorker(
                registry,
                load=fake_engine.load,
                capacity=config.jobs_at_once or 4,
                retry_after=(0.0,) * 3 + (60.0,),
                name=name if len(devices) > 1 else "",
            )
            for name in worker_names(devices)
        ]
        async with open_services(config, Fleet(workers, registry), clock or self.server.world.clock.time) as services:
            self.app = App(services)
            self.serving = asyncio.create_task(self.app.run_forever())
            try:
                await self.server.wait_connected()
                await self.server.wait_commands()
                yield services
            finally:
                self.serving.cancel()
                await asyncio.wait({self.serving})
        if not self.serving.cancelled():
            self.serving.result()

    @property
    def client(self) -> Client | None:
        """Return the client that serves now, or served last."""
        return self.app.client

    @property
    def tasks(self) -> TaskRegistry:
        """Return the tasks of jobs under way."""
        return self.app.tasks

    def person(self, user: User) -> SimulatedUser:
        return self.server.person(user)

    async def imagine(self, prompt: str, user: User | None = None, channel: Channel | None = None, **more):
        """Type /imagine and give the interaction."""
        return await self.person(user or self.ada).command("imagine", channel or self.channel, prompt=prompt, **more)

    async def result(self, user: User | None = None, *, text: str = "", channel: Channel | None = None) -> Message:
        """Wait for a posted result that contains `text`."""
        return await self.server.wait_for(
            channel or self.channel,
            lambda message: is_result(message) and text in message.content,
            description="a result",
        )

    async def status_message(self, text: str, channel: Channel | None = None) -> Message:
        """Wait for a notice that contains `text`."""
        return await self.server.wait_for(
            channel or self.channel, lambda message: text in message.content, description=f"a notice with {text!r}"
        )

    def results(self, channel: Channel | None = None) -> list[Message]:
        return [
            message for message in self.server.world.channel_messages(channel or self.channel) if is_result(message)
        ]

    def status_messages(self) -> list[Message]:
        """Return the bot's public messages that are not results."""
        return [message for message in self.public_messages() if not is_result(message)]

    def public_messages(self) -> list[Message]:
        """Return the messages that everybody in the channel sees."""
        return [message for message in self.server.messages(self.channel) if not message.ephemeral]

    def release_slow_jobs(self) -> None:
        """Let slow prompts go on."""
        (self.model / "go").touch()


def make_model(folder: Path, **own: Any) -> str:
    """Make the folder of a model for the drawing engine, and give where it is."""
    folder.mkdir()
    (folder / "model_index.json").write_text('{"_class_name": "Painter"}')
    facts = {"size_multiple": 8, "num_inference_steps": 4} | own
    (folder / "atelier.json").write_text(json.dumps(facts))
    return str(folder)


async def eventually(test: Callable[[], object]) -> None:
    """Wait until `test()` is true, where the stand-in does not know of it."""
    async with asyncio.timeout(TIMEOUT_S):
        while not test():  # noqa: ASYNC110 (nothing there tells of it)
            await asyncio.sleep(0.01)


def is_result(message: Message) -> bool:
    return any(label in ("U1", "Vary (Subtle)") for label in message.labels)


def first_tile(message: Message) -> Tile:
    """Return the first tile that a result's buttons are about."""
    return Tile.parse(message.buttons[0]["custom_id"].partition(":")[2])


async def params_of(services: Services, message: Message) -> Params:
    """Return the params of the job with this result."""
    record = await services.db.jobs.get(first_tile(message).job_id)
    assert record is not None
    return record.job.params


async def refusal(harness: BotHarness, prompt: str, user: User | None = None, **more: Any) -> str:
    """Return why a prompt is refused, which only its author reads."""
    answer = await (await harness.imagine(prompt, user, **more)).message()
    assert answer.ephemeral
    return answer.content


def open_image(server: FakeDiscord, message: Message) -> Image.Image:
    """Open a message's only attachment."""
    (attachment,) = [each for each in message.attachments if not each.filename.startswith(FILENAME_PREFIX)]
    return Image.open(io.BytesIO(server.core.files.get(attachment.id)))


def red_png(width: int, height: int) -> bytes:
    """Return a red PNG."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, "PNG")
    return file.getvalue()


@pytest.fixture(autouse=True)
def _fast_status_edits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_message, "EDIT_INTERVAL_S", 0.02)


@pytest.fixture(autouse=True)
def _fast_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let discord.py retry at once: it pauses for 1, 3, 5, 7 and 9 s, which it does not let one set."""

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(0.0 if isinstance(seconds, int) else seconds)  # of a rate limit, they are a float

    fast = SimpleNamespace(**vars(asyncio) | {"sleep": sleep})
    for module in (discord.http, discord.webhook.async_):
        monkeypatch.setattr(module, "asyncio", fast)


@pytest.fixture(scope="session")
def fork_server() -> Iterator[SimpleNamespace]:
    """Yield a context that forks processes from one that has imported the engine, which takes longer than most tests.

    They are as separate as spawned ones, and get everything through the same pipe.
    """
    multiprocessing.set_forkserver_preload(["tests.support.fake_engine_preload"])
    yield SimpleNamespace(get_context=lambda _: multiprocessing.get_context("forkserver"))
    forkserver._forkserver._stop()


def _remember_payloads(translate: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Translate equal commands once a process: at every start of a bot it would take a sixth of most tests."""
    known: dict[tuple[object, ...], Any] = {}

    async def get_translated_payload(
        command: app_commands.Group, tree: app_commands.CommandTree, translator: app_commands.Translator
    ) -> Any:
        key = marshal.dumps(command.to_dict(tree), 2), *CATALOGUES.values()
        if key not in known:
            known[key] = await translate(command, tree, translator)
        return known[key]

    return get_translated_payload


TRANSLATE_ONCE = {
    kind: _remember_payloads(kind.get_translated_payload)
    for kind in (app_commands.Command, app_commands.Group, app_commands.ContextMenu)
}


def _remember_problems(check: Callable[..., Any]) -> Callable[..., Any]:
    """Check equal commands once a process: at every start of a bot it would take a tenth of most tests."""
    known: dict[bytes, Any] = {}

    def check_once(body: Any, **options: bool) -> Any:
        if not isinstance(body, list):
            return check(body, **options)
        key = marshal.dumps(body, 2)  # faster than JSON; later versions write equal values in different ways
        if key not in known:
            known[key] = check(body, **options)
        return known[key]

    return check_once


CHECK_BODY_ONCE, CHECK_COMMANDS_ONCE = map(_remember_problems, (server_module.check_body, command_rules.check_commands))


@pytest.fixture
async def harness(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fork_server: SimpleNamespace,
    make_database: MakeDatabase,
) -> AsyncIterator[BotHarness]:
    async with open_harness(tmp_path, monkeypatch, fork_server, make_database) as harness:
        yield harness


@asynccontextmanager
async def open_harness(
    folder: Path, monkeypatch: pytest.MonkeyPatch, fork_server: SimpleNamespace, make_database: MakeDatabase
) -> AsyncIterator[BotHarness]:
    """Run a fake Discord for a bot, and check at the end that the bot kept its rules."""
    monkeypatch.setattr(process, "multiprocessing", fork_server)
    monkeypatch.setattr(films, "asyncio", SimpleNamespace(**vars(asyncio) | {"create_subprocess_exec": fork_film}))
    # discord.py waits for two seconds for more servers before it says that it is ready.
    bot_init = partialmethod(commands.AutoShardedBot.__init__, guild_ready_timeout=0)
    monkeypatch.setattr(commands.AutoShardedBot, "__init__", bot_init)
    for kind, translate_once in TRANSLATE_ONCE.items():
        monkeypatch.setattr(kind, "get_translated_payload", translate_once)
    monkeypatch.setattr(server_module, "check_body", CHECK_BODY_ONCE)
    monkeypatch.setattr(command_rules, "check_commands", CHECK_COMMANDS_ONCE)
    make_model(folder / "model", name="Painter", native_size=64)
    openapi = OPENAPI if OPENAPI.is_file() else None
    async with FakeDiscord(World(), openapi=openapi, limits=()) as server:
        monkeypatch.setattr(Route, "BASE", server.api_url)
        yield BotHarness(server, folder, make_database)
    assert not server.crashes
    assert not server.violations, server.violations


@pytest.fixture(scope="session", autouse=True)
def _warn_without_openapi() -> None:
    if not OPENAPI.is_file():
        print("Discord's OpenAPI file is not there: requests are checked against the cross-field rules only")
