"""Film processes forked from one that has imported the encoder: a fresh interpreter takes a tenth of a second."""

from __future__ import annotations

import asyncio
import io
import multiprocessing
import os
import sys
import tempfile
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import Any

from generation.films.__main__ import main


class ForkedFilm:
    """`python -m generation.films`, with the methods of `asyncio.subprocess.Process` that the bot calls."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        context = multiprocessing.get_context("forkserver")
        self._pipe, end = context.Pipe()
        self._process = context.Process(target=_run, args=(end, environment["TMPDIR"]))
        self._process.start()
        end.close()
        self._joining = threading.Lock()

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    async def communicate(self, order: bytes) -> tuple[bytes, bytes]:
        """Hand over the order; return the film and the error once the process has ended."""
        return await asyncio.to_thread(self._exchange, order)

    async def wait(self) -> int | None:
        await asyncio.to_thread(self._join)
        return self.returncode

    def kill(self) -> None:
        self._process.kill()

    def _exchange(self, order: bytes) -> tuple[bytes, bytes]:
        try:
            self._pipe.send_bytes(order)
            found: tuple[bytes, bytes] = self._pipe.recv()
        except (EOFError, OSError):  # it was killed
            found = b"", b""
        self._join()
        return found

    def _join(self) -> None:
        with self._joining:
            self._process.join()


async def fork_film(*command: str, env: Mapping[str, str], **_: Any) -> ForkedFilm:
    """Start what `asyncio.create_subprocess_exec` would start."""
    assert command == (sys.executable, "-m", "generation.films")
    return await asyncio.to_thread(ForkedFilm, env)


def _run(pipe: Connection[Any, Any], folder: str) -> None:
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    sys.stdin, sys.stdout = (SimpleNamespace(buffer=io.BytesIO(data)) for data in (pipe.recv_bytes(), b""))
    film, error, code = sys.stdout.buffer, "", 0
    try:
        main()
    except SystemExit as end:
        error, code = str(end), 1
    pipe.send((film.getvalue(), error.encode()))
    pipe.close()
    os._exit(code)
