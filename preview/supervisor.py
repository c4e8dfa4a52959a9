"""Run the real bot as a child process and restart it when it exits."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence

from preview.state.world import Json

RESTART_DELAYS_S = (1.0, 2.0, 5.0, 15.0)  # seconds before each restart; the last one repeats
STABLE_AFTER_S = 30.0  # seconds of running after which the delays start over
STOP_TIMEOUT_S = 15.0  # seconds to shut down before it is killed
MAX_OUTPUT_CHARS = 1000
USER_ERROR_EXIT_CODE = 2  # the bot's exit code for an error that only its operator can fix
PR_SET_PDEATHSIG = 1


class StartupError(Exception):
    """The bot or the preview cannot start; the message is the reason."""


class BotSupervisor:
    """Keep the bot running with `environment`; `on_change` is called when `state()` changes.

    The bot has its own session. So Ctrl-C in the terminal does not reach it directly; the supervisor stops it.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self.environment: Mapping[str, str] = {}
        self.on_change: Callable[[], None] = lambda: None
        self._process: asyncio.subprocess.Process | None = None
        self._output_task: asyncio.Task[None] | None = None
        self._alive = True
        self._last_line = ""

    def state(self) -> Json:
        """Return whether the bot is running or about to start, and the last line of its output."""
        return {"alive": self._alive, "words": self._last_line}

    async def run_forever(self) -> None:
        """Run the bot until cancelled. Raise StartupError if it exits with an error that only its operator can fix."""
        loop, short_runs = asyncio.get_running_loop(), 0
        try:
            while True:
                started = loop.time()
                code = await self._run_once()
                if code == USER_ERROR_EXIT_CODE:
                    raise StartupError("the bot cannot start; see the error above")
                short_runs = short_runs + 1 if loop.time() - started < STABLE_AFTER_S else 1
                delay = RESTART_DELAYS_S[min(short_runs, len(RESTART_DELAYS_S)) - 1]
                print(f"The bot exited ({_describe_exit(code)}); restarting it in {delay:.0f} s", file=sys.stderr)
                await asyncio.sleep(delay)
        finally:
            await self._stop()

    async def _run_once(self) -> int:
        """Run the bot once and return its exit code."""
        # Not asyncio's pipe: with it, wait() would also wait for all other processes that hold the write end.
        read_end, write_end = os.pipe()
        self._output_task = asyncio.create_task(self._forward_output(read_end))
        try:
            self._process = process = await asyncio.create_subprocess_exec(
                *self._command,
                env=dict(self.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=write_end,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_exit_with_parent if sys.platform == "linux" else None,
            )
        finally:
            os.close(write_end)
        self._set_alive(alive=True)
        code = await process.wait()
        await self._kill_session(process)
        self._set_alive(alive=False)
        return code

    async def _forward_output(self, pipe: int) -> None:
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb"))
        tail = ""
        while chunk := await reader.read(1 << 16):
            text = chunk.decode(errors="replace")
            sys.stderr.write(text)
            sys.stderr.flush()
            tail = (tail + text)[-MAX_OUTPUT_CHARS:]
            self._last_line = tail.strip().rpartition("\n")[2]
            self.on_change()
        transport.close()

    async def _stop(self) -> None:
        """Stop the bot as Ctrl-C would, so that it can shut down cleanly."""
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await process.wait()
            except TimeoutError:
                print(f"The bot did not stop within {STOP_TIMEOUT_S:.0f} s; killing it", file=sys.stderr)
        await self._kill_session(process)

    async def _kill_session(self, process: asyncio.subprocess.Process) -> None:
        """Kill the rest of the bot's session, its GPU processes included, and read the remaining output."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        if self._output_task:
            await self._output_task

    def _set_alive(self, *, alive: bool) -> None:
        self._alive = alive
        self.on_change()


def _describe_exit(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _exit_with_parent() -> None:
    """Make the kernel send SIGTERM to the bot when the preview is killed."""
    assert _libc is not None
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
