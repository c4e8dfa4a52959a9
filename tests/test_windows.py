"""The program starts and runs without what Windows lacks. It has not been run on Windows itself."""

from __future__ import annotations

import ast
import signal
import socket
import sys
from functools import cache
from pathlib import Path

import pytest

from db import image_files
from preview import supervisor
from tests.support.timing import TIMEOUT_S
from tests.test_architecture import ROOT, sources
from tests.test_main import bot, run, server  # noqa: F401

PRETEND = ROOT / "tests" / "support" / "pretend_windows"
POSIX_MODULES = {"fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "readline", "syslog"}
# Names that Windows' Python lacks, as `module.name`; methods of the event loop under any name. Guarded uses are listed.
IN_OS = ("fchmod", "chown", "getuid", "geteuid", "getgid", "killpg", "sync", "sysconf", "statvfs", "nice", "fork")
IN_SIGNAL = ("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGKILL", "pause", "alarm")
POSIX_NAMES = {f"os.{name}" for name in IN_OS} | {f"signal.{name}" for name in IN_SIGNAL}
LOOP_METHODS = {"add_signal_handler", "remove_signal_handler", "connect_read_pipe", "connect_write_pipe"}
GUARDED = {
    "bot/cluster/ray_process.py": {"os.killpg", "os.getuid", "signal.SIGKILL"},
    "db/upkeep/backup.py": {"os.sync"},
    "generation/films/__main__.py": {"os.nice"},
    "preview/supervisor.py": {"os.killpg", "signal.SIGKILL"},
}
PROGRAM = ("bot", "cogs", "db", "generation", "preview", "main.py")


def program() -> list[Path]:
    return [path for path in sources() if path.parts[0] in PROGRAM]


@cache
def nodes(path: Path) -> list[ast.AST]:
    """Return the syntax tree of a file of the repository, the module first; several tests read it."""
    return list(ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))))


def test_no_module_of_the_program_needs_posix_to_be_imported():
    found = {str(path): names for path in program() if (names := POSIX_MODULES & set(top_level_imports(path)))}
    assert found == {}


def top_level_imports(path: Path) -> list[str]:
    module = nodes(path)[0]
    assert isinstance(module, ast.Module)
    body = module.body
    plain = [alias.name for node in body if isinstance(node, ast.Import) for alias in node.names]
    return plain + [str(node.module) for node in body if isinstance(node, ast.ImportFrom)]


def test_what_windows_lacks_is_used_only_where_it_is_guarded():
    found = {path.as_posix(): used for path in program() if (used := posix_names(path))}
    assert found == GUARDED


def posix_names(path: Path) -> set[str]:
    attributes = [node for node in nodes(path) if isinstance(node, ast.Attribute)]
    named = {f"{node.value.id}.{node.attr}" for node in attributes if isinstance(node.value, ast.Name)}
    return named & POSIX_NAMES | {node.attr for node in attributes} & LOOP_METHODS


def test_texts_are_read_and_written_as_utf8():
    """Windows would take its own code page."""
    careless = [
        f"{path}:{node.lineno}"
        for path in program()
        for node in nodes(path)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("read_text", "write_text")
        and not any(keyword.arg == "encoding" for keyword in node.keywords)
        and len(node.args) <= (node.func.attr == "write_text")
    ]
    assert careless == []


@pytest.mark.skipif(sys.platform == "win32", reason="pretends to be Windows")
async def test_the_bot_draws_stops_and_backs_up_without_posix(server, tmp_path, tiny_model):  # noqa: F811
    """SIGTERM stands for Ctrl+Break, which the program handles in the same way."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    # In fresh interpreters: a forked one has loaded what Windows lacks, and takes nothing away.
    pretend = {"PYTHONPATH": str(PRETEND), "METRICS_PORT": str(port)}
    async with bot(server, tmp_path, tiny_model, fresh=True, **pretend) as process:
        ada = server.world.add_user("ada")
        channel = server.world.add_channel(server.world.add_guild("Studio", ada))
        await server.person(ada).command("imagine", channel, prompt="a fox --steps 2")
        await server.wait_for(channel, lambda message: "U1" in message.labels)
        code, output = await run(tmp_path, "restore", "nothing.zip", fresh=True, **pretend)
        assert (code, "another Atelier is using" in output) == (2, True), output
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    assert (await run(tmp_path, "backup", "kept.zip", fresh=True, **pretend))[0] == 0
    code, output = await run(tmp_path, "restore", "kept.zip", "--replace", fresh=True, **pretend)
    assert code == 0, output


async def test_the_preview_runs_and_stops_its_bot_without_posix(tmp_path, monkeypatch):
    """The bot is told to stop, and its output read, by means that Windows has."""
    import asyncio
    import os

    monkeypatch.delattr(supervisor.os, "killpg")
    monkeypatch.setattr(asyncio.SelectorEventLoop, "connect_read_pipe", None)
    code = (
        "import os, signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(print('clean', flush=True)))\n"
        "os.write(1, b'ready\\n')\ntime.sleep(600)"
    )
    watched = supervisor.BotSupervisor([sys.executable, "-c", code])
    watched.environment, ready = dict(os.environ), asyncio.Event()
    watched.on_change = lambda: ready.set() if watched.state()["words"] == "ready" else None
    task = asyncio.create_task(watched.run_forever())
    await asyncio.wait_for(ready.wait(), TIMEOUT_S)
    task.cancel()
    await asyncio.wait([task])
    assert watched.state()["words"] == "clean"


def test_a_folder_is_not_flushed_where_that_is_impossible(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(image_files.os, "open", lambda *names: opened.append(names))
    monkeypatch.setattr(image_files.os, "name", "nt")
    image_files.fsync_folder(tmp_path)
    monkeypatch.undo()
    assert opened == []
