"""The benchmarks' harness: the fake Discord and its users in this process, the bot in its own. Linux only."""

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
LOAD_TIMEOUT_S = 180.0  # the model's libraries take long to import on a busy machine
STOP_TIMEOUT_S = 20.0
WRITE_INTERVAL_S = 0.1
CHANNELS = 8  # several, because Discord lets a bot post about once a second in each


class BotProcess:
    """The bot's process; `lines` has its log so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.lines: list[str] = []
        self._process = process
        self._changed = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    @property
    def exited(self) -> bool:
        """Return whether the bot has ended."""
        return self._reading.done()

    async def wait_for_log(self, text: str, seconds: float) -> None:
        """Wait until a log line contains `text`; raises TimeoutError, or RuntimeError if the bot exits."""
        async with asyncio.timeout(seconds):
            while not any(text in line for line in self.lines):
                if self._reading.done():
                    raise RuntimeError("the bot exited:\n" + "\n".join(self.lines[-20:]))
                self._changed.clear()
                await self._changed.wait()

    def cpu_seconds(self) -> float:
        """Return the CPU time that the bot's own process, without its GPU process, has used so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> dict[str, int]:
        """Return the memory of the bot's two processes in bytes, with shared memory counted proportionally (PSS)."""
        processes = {"the bot's process": self._process.pid, "the GPU process": gpu_process(self._process.pid)}
        return {name: _pss_bytes(process) for name, process in processes.items()}

    @contextmanager
    def gpu_paused(self) -> Iterator[None]:
        """Pause the GPU process during the block, while the rest of the bot runs on."""
        gpu = gpu_process(self._process.pid)
        os.kill(gpu, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(gpu, signal.SIGCONT)

    async def stop(self) -> None:
        """Terminate the bot as a service manager would, then kill what is left of its session."""
        with contextlib.suppress(ProcessLookupError, TimeoutError):
            self._process.terminate()
            await asyncio.wait_for(self._process.wait(), STOP_TIMEOUT_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._reading

    async def kill(self) -> None:
        """Kill the bot and its GPU process at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        assert self._process.stderr is not None
        while line := await self._process.stderr.readline():
            self.lines.append(line.decode(errors="replace").rstrip())
            self._changed.set()
        self._changed.set()


class BenchmarkHarness:
    """A guild with many users, and the bot that serves them."""

    def __init__(self, server: FakeDiscord, people: int, folder: Path, channels: int = CHANNELS) -> None:
        self.server = server
        users = [server.world.add_user(f"person {number}") for number in range(people)]
        guild = server.world.add_guild("Studio", *users)
        rooms = [server.world.add_channel(guild, f"studio-{number}") for number in range(channels)]
        self.people = [server.person(user) for user in users]
        self.channel_by_user = dict(zip((user.id for user in users), itertools.cycle(rooms), strict=False))
        self.folder = folder
        self.bot: BotProcess

    async def imagine(self, person: SimulatedUser, prompt: str = "a red boat on the sea") -> Interaction:
        """Send /imagine in the user's channel."""
        return await person.command("imagine", self.channel_by_user[person.user.id], prompt=prompt)

    def count(self, state: str | None = None) -> int:
        """Return the number of jobs in a state (a stored value of JobState), or of all, from the bot's database."""
        with contextlib.closing(sqlite3.connect(self.folder / "data" / "atelier.sqlite3", timeout=10)) as database:
            query = "SELECT count(*) FROM jobs WHERE ? IS NULL OR state = ?"
            (number,) = database.execute(query, (state, state)).fetchone()
        return int(number)

    def newest_job_age(self) -> float:
        """Return the age of the newest job in seconds, from the bot's database."""
        with contextlib.closing(sqlite3.connect(self.folder / "data" / "atelier.sqlite3", timeout=10)) as database:
            (newest,) = database.execute("SELECT max(asked_at) FROM jobs").fetchone()
        return float(self.server.world.clock.time() - newest)

    @asynccontextmanager
    async def measure_disk_writes(self) -> AsyncIterator[list[float]]:
        """Measure during the block how long the disk of the bot's data takes to write and sync 4 kB."""
        times: list[float] = []
        writing = asyncio.create_task(_write_periodically(self.folder / "written", times))
        try:
            yield times
        finally:
            writing.cancel()
            await asyncio.wait({writing})

    async def cancel(self, person: SimulatedUser, request: Interaction) -> Interaction:
        """Press Cancel below the response to a command."""
        return await person.press(await request.message(), "Cancel")


@asynccontextmanager
async def start_harness(
    args: argparse.Namespace,
    people: int,
    *,
    program: Sequence[str] = BOT_COMMAND,
    latency: float = 0.0,
    heartbeat_interval: float = 41.25,
    channels: int = CHANNELS,
    **settings: object,
) -> AsyncIterator[BenchmarkHarness]:
    """Start the fake Discord and the bot with `settings`, wait until the model is ready, and stop both afterwards."""
    server = FakeDiscord(World(), latency=latency, heartbeat_interval=heartbeat_interval)
    with tempfile.TemporaryDirectory(prefix="atelier-benchmark-") as name:
        folder = Path(name)
        harness = BenchmarkHarness(server, people, folder, channels)
        async with server:
            settings = {"data_dir": folder / "data", "model": resolve_model(args.model, folder)} | settings
            harness.bot = await start_bot(program, server, folder, settings | {"threads": args.threads})
            try:
                await harness.bot.wait_for_log(" is ready on ", LOAD_TIMEOUT_S)
                await server.wait_connected()
                await server.wait_commands()
                yield harness
            finally:
                await harness.bot.stop()
        if server.crashes or server.violations:
            violations = list(map(str, server.violations[:5]))
            raise RuntimeError(f"the fake Discord reports errors: {server.crashes} {violations}")


async def start_bot(
    program: Sequence[str], server: FakeDiscord, folder: Path, settings: dict[str, object]
) -> BotProcess:
    """Start a bot in its own process and session."""
    variables = {name.upper(): str(value) for name, value in settings.items()}
    address = {"DISCORD_API_URL": server.api_url, "DISCORD_TOKEN": server.world.application.token}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *program,
        cwd=folder,  # which has no .env
        env=os.environ | {"PYTHONPATH": str(ROOT)} | address | variables,
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
    """Return the process id of a bot's GPU process; raises RuntimeError if there is none."""
    for process in gpu_processes(bot):
        return process
    raise RuntimeError("the bot has no GPU process")


def gpu_processes(bot: int) -> list[int]:
    """Return the process ids of a bot's GPU processes."""
    files = Path(f"/proc/{bot}/task").glob("*/children")
    children = [int(child) for file in files for child in file.read_text().split()]
    return [child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def _pss_bytes(process: int) -> int:
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("Pss:")))


def resolve_model(name: str, folder: Path) -> str:
    """Return the model's folder or hub id; "tiny" is a model with random weights that generates five grids a second."""
    if name != "tiny":
        return str(ROOT / name) if (ROOT / name).is_dir() else name
    from tests.support.tiny_model import build_tiny_model

    return str(build_tiny_model(folder / "tiny"))


async def response_seconds(request: Interaction) -> float:
    """Return the seconds from an interaction to the bot's first response; infinite if Discord reports a failure.

    Raises RuntimeError if the response is a refusal.
    """
    try:
        response = await request.response()
    except (AssertionError, TimeoutError):
        return math.inf
    if response.ephemeral:
        raise RuntimeError(f"refused: {response.data.get('content')}")
    return response.seconds


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of the values do not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def table(title: str, columns: Sequence[str], rows: Mapping[str, Sequence[float]], unit: str = "s") -> str:
    """Return rows of seconds as a Markdown table."""
    scale, digits = (1000, 1) if unit == "ms" else (1, 3)
    lines = [f"| {title} | " + " | ".join(columns) + " |", "| --- |" + " --- |" * len(columns)]
    for name, values in rows.items():
        lines.append(f"| {name} | " + " | ".join(f"{value * scale:.{digits}f} {unit}" for value in values) + " |")
    return "\n".join(lines)


def summarize(values: Sequence[float]) -> list[float]:
    """Return the median, the 99th percentile and the maximum."""
    return [statistics.median(values), quantile(values, 0.99), max(values)]


SUMMARY_COLUMNS = ("median", "p99", "worst")


def run(
    measure: Callable[[argparse.Namespace], Coroutine[Any, Any, bool]],
    description: str | None,
    add_arguments: Callable[[argparse.ArgumentParser], None] = lambda parser: None,
) -> int:
    """Parse the command line, measure, print the machine's load before and after, and return the exit code."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", default=EMBEDDED, help='folder, hub id, or "tiny" for random weights')
    parser.add_argument("--threads", type=int, default=1, help="CPU threads for generation (1)")
    add_arguments(parser)
    args = parser.parse_args()
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # stopping the bot aborts its uploads
    before = os.getloadavg()[0]
    passed = asyncio.run(measure(args))
    after = os.getloadavg()[0]
    print(f"\n{Path(args.model).name}; {os.cpu_count()} cores, load {before:.1f} before and {after:.1f} after")
    return 0 if passed else 1
