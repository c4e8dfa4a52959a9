"""The bot as a child of the preview: how it lives and dies, with a few lines of Python for a bot."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from preview import supervisor
from preview.app import run
from preview.supervisor import BotSupervisor

ABOUT = {"model": "none", "known": {}, "examples": []}
CLEAN_EXIT_BOT = """
import pathlib, signal, sys, time
def tidy(*_):
    pathlib.Path("tidy").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, tidy)
print("ready", flush=True)
while True:
    time.sleep(60)
"""
SIGTERM_IGNORING_BOT = (
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
)
WITH_CHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(f"child {child.pid}", flush=True)
time.sleep(600)
"""
PREVIEW_SCRIPT = """
import asyncio, os, pathlib, sys
from preview.app import run
bot = [sys.executable, "-c", {tidy!r}]
asyncio.run(run(bot, os.environ, pathlib.Path("kept"), {about!r}, port=0, browser=False))
"""


@asynccontextmanager
async def running_bot(code: str) -> AsyncIterator[BotSupervisor]:
    """Run some Python as the bot, from its first words on."""
    bot, spoken = BotSupervisor([sys.executable, "-c", code]), asyncio.Event()
    bot.environment = os.environ
    bot.on_change = lambda: spoken.set() if bot.state()["words"] else None
    task = asyncio.create_task(bot.run_forever())
    try:
        async with asyncio.timeout(20):
            await spoken.wait()
        yield bot
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.fixture(autouse=True)
def shutdown_marker(tmp_path, monkeypatch):
    """Give the file that a tidy bot leaves behind."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "tidy"


async def test_the_bot_may_put_its_things_in_order_before_it_ends(shutdown_marker):
    async with running_bot(CLEAN_EXIT_BOT):
        assert not shutdown_marker.exists()
    assert shutdown_marker.exists()


async def test_a_bot_that_does_not_end_is_ended_by_force(monkeypatch):
    monkeypatch.setattr(supervisor, "STOP_TIMEOUT_S", 0.2)
    before = set(psutil.Process().children())  # other tests' processes, such as multiprocessing's own tracker
    async with running_bot(
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    ):
        assert set(psutil.Process().children()) - before
    assert not set(psutil.Process().children()) - before


async def test_what_the_bot_started_ends_with_it():
    async with running_bot(WITH_CHILD) as bot:
        child = psutil.Process(int(bot.state()["words"].split()[1]))
        assert child.is_running()
    await asyncio.to_thread(psutil.wait_procs, [child], 20)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


async def test_a_bot_that_is_killed_takes_along_what_it_started():
    async with running_bot(WITH_CHILD) as bot:
        child = psutil.Process(int(bot.state()["words"].split()[1]))
        child.parent().kill()
        await asyncio.to_thread(psutil.wait_procs, [child], 20)
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


async def test_a_bot_that_dies_is_said_to_be_dead_and_started_again(monkeypatch):
    monkeypatch.setattr(supervisor, "RESTART_DELAYS_S", (0.01,))
    states: list[bool] = []
    bot = BotSupervisor([sys.executable, "-c", "print('ouch', flush=True); raise SystemExit(1)"])
    bot.environment = os.environ
    lives = asyncio.Event()

    def note() -> None:
        alive = bot.state()["alive"]
        if states[-1:] != [alive]:
            states.append(alive)
        if len(states) == 4:
            lives.set()

    bot.on_change = note
    task = asyncio.create_task(bot.run_forever())
    async with asyncio.timeout(20):
        await lives.wait()
    task.cancel()
    await asyncio.wait([task])
    assert states == [True, False, True, False]
    assert bot.state()["words"] == "ouch"


async def test_a_bot_that_only_a_person_can_help_ends_the_preview(tmp_path, capsys):
    bot = [sys.executable, "-c", "import sys; sys.exit(2)"]
    assert await run(bot, os.environ, tmp_path / "kept", ABOUT, port=0, browser=False) == 2
    assert "the bot cannot start" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("folder", "port", "words"),
    [("file/below", 0, "cannot be used"), ("kept", 70_000, "cannot listen on port 70000")],
)
async def test_what_cannot_be_is_said_in_one_line(tmp_path, capsys, folder, port, words):
    (tmp_path / "file").touch()
    assert await run(["true"], os.environ, tmp_path / folder, ABOUT, port=port, browser=False) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


async def test_a_damaged_world_is_said_to_be_so(tmp_path, capsys):
    (tmp_path / "world").mkdir()
    (tmp_path / "world" / "world.json").write_text('{"format": 1, "application"')
    assert await run(["true"], os.environ, tmp_path, ABOUT, port=0, browser=False) == 2
    assert "delete that folder to start over" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
async def test_the_bot_ends_with_a_preview_that_is_killed(shutdown_marker):
    code = PREVIEW_SCRIPT.format(tidy=CLEAN_EXIT_BOT, about=ABOUT)
    root = str(Path(supervisor.__file__).parents[1])
    preview = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env=os.environ | {"PYTHONPATH": root}, stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert preview.stderr is not None
    async with asyncio.timeout(30):
        while b"ready" not in await preview.stderr.readline():
            pass
        (bot,) = psutil.Process(preview.pid).children()
        preview.send_signal(signal.SIGKILL)
        await preview.wait()
        await asyncio.to_thread(bot.wait)
    assert shutdown_marker.exists()
