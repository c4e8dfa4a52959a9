"""Processes forked from one that has imported the bot and the engine, which takes longer than most tests.

They are as separate as spawned ones: each has its own folder, environment and output, and can be killed.
"""

from __future__ import annotations

import asyncio
import atexit
import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace

import pytest

from generation.worker import process

MAIN = Path(__file__).parents[2] / "main.py"
FORKING = SimpleNamespace(get_context=lambda _method: multiprocessing.get_context("forkserver"))


@contextmanager
def fork_server(modules: Sequence[str]) -> Iterator[forkserver.ForkServer]:
    """Run a fork server with modules imported, beside the default one."""
    server = forkserver.ForkServer()
    server.set_forkserver_preload(list(modules))
    yield server
    server._stop()


@contextmanager
def forking_from(server: forkserver.ForkServer) -> Iterator[SimpleNamespace]:
    """Make a fork server the default, and yield what replaces `multiprocessing` where processes are spawned."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forkserver, "connect_to_new_process", server.connect_to_new_process)
        yield FORKING


@contextmanager
def forked_workers(modules: Sequence[str]) -> Iterator[None]:
    """Fork the GPU processes of the block from one that has imported modules; spawned ones would each import them."""
    with fork_server(modules) as server, forking_from(server) as context, pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "multiprocessing", context)
        yield


@pytest.fixture(scope="session")
def engine_server() -> Iterator[forkserver.ForkServer]:
    """Yield a fork server that has imported the bot and the engine."""
    with fork_server(["tests.support.engine_preload"]) as server:
        yield server


@pytest.fixture(scope="module")
def engine_fork_server(engine_server: forkserver.ForkServer) -> Iterator[SimpleNamespace]:
    """Fork the module's processes from one with the engine."""
    with forking_from(engine_server) as context:
        yield context


class ForkedMain:
    """main.py in a process of its own, with the methods of `asyncio.subprocess.Process`."""

    def __init__(self, process: BaseProcess) -> None:
        self._process = process

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    async def wait(self) -> int:
        """Wait for the end and return the exit code."""
        await asyncio.to_thread(self._process.join)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def fork_main(arguments: Sequence[str], folder: Path, output: Path, environment: Mapping[str, str]) -> ForkedMain:
    """Run main.py in a folder; what it prints is appended to the file `output`."""
    context = multiprocessing.get_context("forkserver")
    forked = context.Process(target=_run_main, args=(list(arguments), folder, output, dict(environment)))
    forked.start()
    return ForkedMain(forked)


def _run_main(arguments: list[str], folder: Path, output: Path, environment: dict[str, str]) -> None:
    os.chdir(folder)
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [str(MAIN), *arguments]
    # The server that forked this process runs already; `multiprocessing` would start another.
    forkserver._forkserver.ensure_running = lambda: None  # type: ignore[method-assign]
    process.multiprocessing = FORKING  # type: ignore[attr-defined]
    try:
        runpy.run_path(str(MAIN), run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # which `multiprocessing` leaves out
