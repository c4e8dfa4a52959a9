"""A studio to measure: the stand-in and its people here, the shipped bot in a process of its own. Linux only."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import logging
import math
import os
import signal
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from generation.models.model import EMBEDDED
from preview import FakeDiscord, Interaction, SimulatedUser, World

ROOT = Path(__file__).parents[1]
BOT_COMMAND = (str(ROOT / "main.py"),)
LOAD_TIMEOUT_S = 180.0  # seconds at most: the model's libraries take long to import on a busy machine
STOP_TIMEOUT_S = 20.0
WRITE_INTERVAL_S = 0.1
CHANNELS = 8  # Discord lets a bot post about once a second in each


class BotProcess:
    """The bot's process; `lines` is its log so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.lines: list[str] = []
        self._process = process
        self._changed = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def wait_for_log(self, text: str, seconds: float) -> None:
        """Wait until a line of the log contains `text`; raises TimeoutError or, if the bot ended, RuntimeError."""
        async with asyncio.timeout(seconds):
            while not any(text in line for line in self.lines):
                if self._reading.done():
                    raise RuntimeError("the bot ended:\n" + "\n".join(self.lines[-20:]))
                self._changed.clear()
                await self._changed.wait()

    def cpu_seconds(self) -> float:
        """Give the processor time that the bot's own process, without its GPU process, has used so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> dict[str, int]:
        """Give the bytes that the bot's two processes take, what they share counted in parts."""
        processes = {"the bot's process": self._process.pid, "the GPU process": gpu_process(self._process.pid)}
        return {who: _pss_bytes(process) for who, process in processes.items()}

    @contextmanager
    def gpu_paused(self) -> Iterator[None]:
        """Stop the GPU process for the block, and let everything else of the bot go on."""
        gpu = gpu_process(self._process.pid)
        os.kill(gpu, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(gpu, signal.SIGCONT)

    async def stop(self) -> None:
        """Stop it as a service manager would, and then whatever is left of its session."""
        with contextlib.suppress(ProcessLookupError, TimeoutError):
            self._process.terminate()
            await asyncio.wait_for(self._process.wait(), STOP_TIMEOUT_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._reading

    async def _read(self) -> None:
        assert self._process.stderr is not None
        while line := await self._process.stderr.readline():
            self.lines.append(line.decode(errors="replace").rstrip())
            self._changed.set()
        self._changed.set()


class BenchmarkHarness:
    """A guild full of people, and the bot that serves them."""

    def __init__(self, server: FakeDiscord, people: int, folder: Path) -> None:
        self.server = server
        users = [server.world.add_user(f"person {number}") for number in range(people)]
        guild = server.world.add_guild("Studio", *users)
        channels = [server.world.add_channel(guild, f"studio-{number}") for number in range(CHANNELS)]
        self.people = [server.person(user) for user in users]
        self.channel_by_user = dict(zip((user.id for user in users), itertools.cycle(channels), strict=False))
        self.folder = folder
        self.bot: BotProcess

    async def imagine(self, person: SimulatedUser) -> Interaction:
        """Type /imagine where this person usually does."""
        return await person.command("imagine", self.channel_by_user[person.user.id], prompt="a red boat on the sea")

    def count(self, state: str) -> int:
        """Count the jobs in a state, as the bot has recorded them."""
        with contextlib.closing(sqlite3.connect(self.folder / "data" / "atelier.sqlite3", timeout=10)) as database:
            (number,) = database.execute("SELECT count(*) FROM jobs WHERE state = ?", (state,)).fetchone()
        return int(number)

    @asynccontextmanager
    async def measure_disk_writes(self) -> AsyncIterator[list[float]]:
        """Measure for the block how long the disk of the bot's data takes to write 4 kB for good."""
        times: list[float] = []
        writing = asyncio.create_task(_write_periodically(self.folder / "written", times))
        try:
            yield times
        finally:
            writing.cancel()
            await asyncio.wait({writing})

    async def cancel(self, person: SimulatedUser, asked: Interaction) -> Interaction:
        """Press Cancel below the answer to a command."""
        return await person.press(await asked.message(), "Cancel")


@asynccontextmanager
async def start_harness(
    args: argparse.Namespace,
    people: int,
    *,
    program: Sequence[str] = BOT_COMMAND,
    latency: float = 0.0,
    heartbeat_interval: float = 41.25,
    **settings: object,
) -> AsyncIterator[BenchmarkHarness]:
    """Start the stand-in and the bot with `settings`, wait until the model is ready, and end both."""
    server = FakeDiscord(World(), latency=latency, heartbeat_interval=heartbeat_interval)
    with tempfile.TemporaryDirectory(prefix="atelier-benchmark-") as name:
        folder = Path(name)
        harness = BenchmarkHarness(server, people, folder)
        async with server:
            settings = {"data_dir": folder / "data", "model": resolve_model(args.model, folder)} | settings
            harness.bot = await _start(program, server, folder, settings | {"threads": args.threads})
            try:
                await harness.bot.wait_for_log(" is ready on ", LOAD_TIMEOUT_S)
                await server.wait_connected()
                await server.wait_commands()
                yield harness
            finally:
                await harness.bot.stop()
        if server.crashes or server.violations:
            raise RuntimeError(f"the stand-in objects: {server.crashes} {list(map(str, server.violations[:5]))}")


async def _start(program: Sequence[str], server: FakeDiscord, folder: Path, settings: dict[str, object]) -> BotProcess:
    own = {name.upper(): str(value) for name, value in settings.items()}
    address = {"DISCORD_API_URL": server.api_url, "DISCORD_TOKEN": server.world.application.token}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *program,
        cwd=folder,  # where there is no .env
        env=os.environ | {"PYTHONPATH": str(ROOT)} | address | own,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    return BotProcess(process)


async def _write_periodically(file: Path, times: list[float]) -> None:
    while True:
        times.append(await asyncio.to_thread(_write, file))
        await asyncio.sleep(WRITE_INTERVAL_S)


def _write(file: Path) -> float:
    start = time.monotonic()
    with file.open("wb") as out:
        out.write(bytes(4096))
        out.flush()
        os.fsync(out.fileno())
    return time.monotonic() - start


def gpu_process(bot: int) -> int:
    """Find the GPU process among a bot's children; raises RuntimeError when there is none."""
    for task in Path(f"/proc/{bot}/task").iterdir():
        for child in (task / "children").read_text().split():
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
    raise RuntimeError("the bot has no GPU process")


def _pss_bytes(process: int) -> int:
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("Pss:")))


def resolve_model(name: str, folder: Path) -> str:
    """Give the model's place; "tiny" is one with random weights that draws many grids a second."""
    if name != "tiny":
        return str(ROOT / name) if (ROOT / name).is_dir() else name
    from tests.support.tiny_model import build_tiny_model

    return str(build_tiny_model(folder / "tiny"))


async def response_seconds(asked: Interaction) -> float:
    """Give the time from what a person did to the bot's first answer; infinite when they read that it failed.

    Raises RuntimeError for an answer that is a refusal.
    """
    try:
        answer = await asked.response()
    except (AssertionError, TimeoutError):
        return math.inf
    if answer.ephemeral:
        raise RuntimeError(f"refused: {answer.data.get('content')}")
    return answer.seconds


def quantile(values: Sequence[float], share: float) -> float:
    """Give the smallest value that at least `share` of the values do not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def table(title: str, columns: Sequence[str], rows: Mapping[str, Sequence[float]], unit: str = "s") -> str:
    """Lay out rows of seconds as Markdown."""
    scale, digits = (1000, 1) if unit == "ms" else (1, 3)
    lines = [f"| {title} | " + " | ".join(columns) + " |", "| --- |" + " --- |" * len(columns)]
    for name, values in rows.items():
        lines.append(f"| {name} | " + " | ".join(f"{value * scale:.{digits}f} {unit}" for value in values) + " |")
    return "\n".join(lines)


def summarize(values: Sequence[float]) -> list[float]:
    """Give the median, the 99th percentile and the worst."""
    return [statistics.median(values), quantile(values, 0.99), max(values)]


SUMMARY_COLUMNS = ("median", "p99", "worst")


def run(measure: Callable[[argparse.Namespace], Coroutine[Any, Any, bool]], description: str | None) -> int:
    """Read the command line, measure between two looks at the machine's load, and give the exit code."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", default=EMBEDDED, help='folder, hub id, or "tiny" for random weights')
    parser.add_argument("--threads", type=int, default=1, help="CPU threads that draw (1)")
    args = parser.parse_args()
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # a bot that is stopped cuts its uploads
    before = os.getloadavg()[0]
    good = asyncio.run(measure(args))
    after = os.getloadavg()[0]
    print(f"\n{Path(args.model).name}; {os.cpu_count()} cores, load {before:.1f} before and {after:.1f} after")
    return 0 if good else 1
