"""The bot as a child process of the preview, with a few lines of Python in place of the bot."""

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
from tests.support.timing import TIMEOUT_S

ABOUT = {"model": "none", "known": {}, "examples": []}
CLEAN_EXIT_BOT = """
import pathlib, signal, sys, time
def shut_down(*_):
    pathlib.Path("shut-down").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, shut_down)
print("ready", flush=True)
while True:
    time.sleep(60)
"""
SIGTERM_IGNORING_BOT = (
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
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
bot = [sys.executable, "-c", {bot!r}]
asyncio.run(run(bot, os.environ, pathlib.Path("data"), {about!r}, port=0, browser=False))
"""


@asynccontextmanager
async def running_bot(code: str) -> AsyncIterator[BotSupervisor]:
    """Run Python code as the bot, and wait for its first output."""
    bot, has_output = BotSupervisor([sys.executable, "-c", code]), asyncio.Event()
    bot.environment = os.environ
    bot.on_change = lambda: has_output.set() if bot.state()["words"] else None
    task = asyncio.create_task(bot.run_forever())
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await has_output.wait()
        yield bot
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.fixture(autouse=True)
def shutdown_marker(tmp_path, monkeypatch):
    """Return the file that the bot writes when it shuts down cleanly."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "shut-down"


async def test_the_bot_can_shut_down_cleanly(shutdown_marker):
    async with running_bot(CLEAN_EXIT_BOT):
        assert not shutdown_marker.exists()
    assert shutdown_marker.exists()


async def test_a_bot_that_does_not_stop_is_killed(monkeypatch):
    monkeypatch.setattr(supervisor, "STOP_TIMEOUT_S", 0.2)
    before = set(psutil.Process().children())  # processes of other tests, such as multiprocessing's tracker
    async with running_bot(SIGTERM_IGNORING_BOT):
        assert set(psutil.Process().children()) - before
    assert not set(psutil.Process().children()) - before


async def test_the_bots_child_processes_end_with_it():
    async with running_bot(WITH_CHILD) as bot:
        child = psutil.Process(int(bot.state()["words"].split()[1]))
        assert child.is_running()
    await asyncio.to_thread(psutil.wait_procs, [child], TIMEOUT_S)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


async def test_the_child_processes_of_a_killed_bot_end_too():
    async with running_bot(WITH_CHILD) as bot:
        child = psutil.Process(int(bot.state()["words"].split()[1]))
        child.parent().kill()
        await asyncio.to_thread(psutil.wait_procs, [child], TIMEOUT_S)
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


async def test_a_bot_that_is_stopped_while_it_starts_ends_with_its_child_processes(monkeypatch):
    start, may_go_on, has_output = asyncio.create_subprocess_exec, asyncio.Event(), asyncio.Event()

    async def start_slowly(*command, **settings):
        process = await start(*command, **settings)
        await may_go_on.wait()
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start_slowly)
    bot = BotSupervisor([sys.executable, "-c", WITH_CHILD])
    bot.environment, bot.on_change = os.environ, has_output.set
    task = asyncio.create_task(bot.run_forever())
    async with asyncio.timeout(TIMEOUT_S):
        await has_output.wait()
        child = psutil.Process(int(bot.state()["words"].split()[1]))
        processes = [child, child.parent()]
        task.cancel()
        await asyncio.sleep(0)
        may_go_on.set()
        await asyncio.wait([task])
    await asyncio.to_thread(psutil.wait_procs, processes, TIMEOUT_S)
    assert not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in processes)


async def test_a_bot_that_exits_is_reported_and_restarted(monkeypatch):
    monkeypatch.setattr(supervisor, "RESTART_DELAYS_S", (0.01,))
    states: list[bool] = []
    bot = BotSupervisor([sys.executable, "-c", "print('ouch', flush=True); raise SystemExit(1)"])
    bot.environment = os.environ
    restarted = asyncio.Event()

    def record_state() -> None:
        alive = bot.state()["alive"]
        if states[-1:] != [alive]:
            states.append(alive)
        if len(states) == 4:
            restarted.set()

    bot.on_change = record_state
    task = asyncio.create_task(bot.run_forever())
    async with asyncio.timeout(TIMEOUT_S):
        await restarted.wait()
    task.cancel()
    await asyncio.wait([task])
    assert states == [True, False, True, False]
    assert bot.state()["words"] == "ouch"


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (
            "10:00 WARNING bot: the disk is nearly full\n10:01 INFO db.retention: forgot 0 jobs\n",
            "the disk is nearly full",
        ),
        ("10:00 ERROR bot: oh\nTraceback\nValueError: no\n10:01 INFO bot: bye\n", "ValueError: no"),
        ("10:01 INFO db.retention: forgot 0 jobs\n", "It exited: SIGKILL."),
    ],
)
async def test_the_reason_for_an_exit_is_the_last_line_of_weight(output, words):
    program = f"import os, sys; sys.stderr.write({output!r}); sys.stderr.flush(); os.kill(os.getpid(), 9)"
    bot = BotSupervisor([sys.executable, "-c", program])
    bot.environment = os.environ
    stopped = asyncio.Event()
    bot.on_change = lambda: None if bot.state()["alive"] else stopped.set()
    task = asyncio.create_task(bot.run_forever())
    async with asyncio.timeout(TIMEOUT_S):
        await stopped.wait()
    task.cancel()
    await asyncio.wait([task])
    assert bot.state()["words"].endswith(words)


async def test_an_error_that_only_the_operator_can_fix_ends_the_preview(tmp_path, capsys):
    bot = [sys.executable, "-c", "import sys; sys.exit(2)"]
    assert await run(bot, os.environ, tmp_path / "data", ABOUT, port=0, browser=False) == 2
    assert "the bot cannot start" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("folder", "port", "reason"),
    [("file/below", 0, "cannot be used"), ("data", 70_000, "cannot listen on port 70000")],
)
async def test_an_unusable_folder_or_port_is_reported_in_one_line(tmp_path, capsys, folder, port, reason):
    (tmp_path / "file").touch()
    assert await run(["true"], os.environ, tmp_path / folder, ABOUT, port=port, browser=False) == 2
    printed = capsys.readouterr().err
    assert reason in printed
    assert printed.count("\n") == 1


async def test_a_damaged_world_is_reported(tmp_path, capsys):
    (tmp_path / "world").mkdir()
    (tmp_path / "world" / "world.json").write_text('{"format": 1, "application"')
    assert await run(["true"], os.environ, tmp_path, ABOUT, port=0, browser=False) == 2
    assert "delete that folder to start over" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals a child when its parent dies")
async def test_the_bot_stops_when_the_preview_is_killed(shutdown_marker):
    code = PREVIEW_SCRIPT.format(bot=CLEAN_EXIT_BOT, about=ABOUT)
    root = str(Path(supervisor.__file__).parents[1])
    preview = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env=os.environ | {"PYTHONPATH": root}, stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert preview.stderr is not None
    async with asyncio.timeout(TIMEOUT_S):
        while b"ready" not in await preview.stderr.readline():
            pass
        (bot,) = psutil.Process(preview.pid).children()
        preview.send_signal(signal.SIGKILL)
        await preview.wait()
        await asyncio.to_thread(bot.wait)
    assert shutdown_marker.exists()
