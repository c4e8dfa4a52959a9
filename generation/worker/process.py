"""One GPU process as the bot sees it: a pipe, a thread that reads it and a thread that writes it."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import multiprocessing
import queue
import signal
import threading
from collections.abc import Callable
from typing import Any

from generation import logs
from generation.engine.base import Engine
from generation.messages import Crashed, Inbound
from generation.worker.gpu_main import main

EXIT_GRACE = 1.0  # seconds that a process has to exit by itself

log = logging.getLogger(__name__)


class GpuProcess:
    """A running process, called `name` in the log; its methods never block the event loop.

    `on_event` is called in the event loop for every message, then `on_end` once, with the exit code (−9: killed by
    signal 9). Raises OSError if the system cannot start another process.
    """

    def __init__(
        self,
        load: Callable[[Callable[[Any], None]], Engine],
        on_event: Callable[[Any], None],
        on_end: Callable[[int | None], None],
        name: str = "gpu",
    ) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._loop = asyncio.get_running_loop()
        self._on_event, self._on_end = on_event, on_end
        self._outbox: queue.SimpleQueue[Inbound | None] = queue.SimpleQueue()
        self._pipe, child_end = spawn.Pipe()
        self._process = spawn.Process(target=main, args=(child_end, load, logs.for_process(name)), name=name)
        self._process.start()
        atexit.register(self._process.kill)  # multiprocessing's own exit handler would wait for it forever
        child_end.close()
        self._writer = threading.Thread(target=self._write, name="gpu pipe writer", daemon=True)
        self._writer.start()
        threading.Thread(target=self._read, name="gpu pipe reader", daemon=True).start()

    def send(self, message: Inbound) -> None:
        """Queue a message to be sent by the writer thread; it is lost if the process has ended."""
        self._outbox.put(message)

    def kill(self) -> None:
        """Kill the process immediately; harmless if it has ended."""
        self._process.kill()

    def _write(self) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the reader notices and reports it
            while (message := self._outbox.get()) is not None:
                self._pipe.send(message)

    def _read(self) -> None:
        try:
            while True:
                self._call_in_loop(self._on_event, self._pipe.recv())
        except (EOFError, OSError):  # OSError: it ended in the middle of a message
            self._process.join(EXIT_GRACE)
        except Exception:
            log.exception("the GPU process sent a message that cannot be read")
            self._call_in_loop(self._on_event, Crashed("it sent a message that cannot be read"))
        self._reap()
        self._call_in_loop(self._on_end, self._process.exitcode)

    def _reap(self) -> None:
        self._process.kill()
        self._process.join()
        self._outbox.put(None)
        self._writer.join()
        self._pipe.close()
        atexit.unregister(self._process.kill)

    def _call_in_loop(self, callback: Callable[[Any], None], value: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the event loop is closed
            self._loop.call_soon_threadsafe(callback, value)


def describe_exit(exit_code: int | None) -> str:
    """Return a description of how a process ended."""
    if exit_code is None or exit_code >= 0:
        return f"ended with exit code {exit_code}"
    name = next((known.name for known in signal.Signals if known == -exit_code), f"signal {-exit_code}")
    hint = " (it may have run out of memory)" if name == "SIGKILL" else ""
    return f"was killed by {name}{hint}"
