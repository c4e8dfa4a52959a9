"""Run the real bot as a child process and restart it when it exits."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence

from preview.state.world import Json

RESTART_DELAYS_S = (1.0, 2.0, 5.0, 15.0)  # seconds before each restart; the last one repeats
STABLE_AFTER_S = 30.0  # seconds of running after which the delays start over
STOP_TIMEOUT_S = 15.0  # seconds to shut down before it is killed
MAX_OUTPUT_CHARS = 4000
USER_ERROR_EXIT_CODE = 2  # the bot's exit code for an error that only its operator can fix
PR_SET_PDEATHSIG = 1
_ROUTINE = re.compile(r"\b(?:INFO|DEBUG)\b")  # in a line of the log, as text or as JSON
# Windows cannot send SIGTERM, and Ctrl+Break reaches only a process group of its own.
STOP_SIGNAL = getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM)
NEW_GROUP = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)


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
        self._output_ended: asyncio.Future[None] | None = None
        self._output_tail = ""
        self._alive = True
        self._last_line = ""
        self._reason = ""

    def state(self) -> Json:
        """Return whether the bot is running, and in words what it does or why it has stopped.

        That is the last line of its output, or the last one that is no routine message.
        """
        return {"alive": self._alive, "words": self._last_line if self._alive else self._reason}

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
        # Not asyncio's pipe: with it, wait() would also wait for all other processes that hold the write end. And not
        # asyncio's reader: on Windows it cannot read such a pipe.
        read_end, write_end = os.pipe()
        self._output_tail, self._output_ended = "", asyncio.get_running_loop().create_future()
        forward = (read_end, asyncio.get_running_loop(), self._output_ended)
        threading.Thread(target=self._forward_output, args=forward, name="bot output", daemon=True).start()
        try:
            process = await self._start(write_end)
        finally:
            os.close(write_end)
        self._set_alive(alive=True)
        code = await process.wait()
        await self._kill_session(process)
        self._reason = _last_problem(self._output_tail) or f"It exited: {_describe_exit(code)}."
        self._set_alive(alive=False)
        return code

    async def _start(self, output: int) -> asyncio.subprocess.Process:
        """Start the bot. If that is cancelled, the process is known all the same, so that it can be stopped."""
        starting = asyncio.create_task(
            asyncio.create_subprocess_exec(
                *self._command,
                env=dict(self.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                creationflags=NEW_GROUP,
                preexec_fn=_exit_with_parent if sys.platform == "linux" else None,
            )
        )
        try:
            return await asyncio.shield(starting)
        finally:
            self._process = await starting

    def _forward_output(self, pipe: int, loop: asyncio.AbstractEventLoop, ended: asyncio.Future[None]) -> None:
        """Read the bot's output in a thread, until all processes that write it have ended."""
        with contextlib.suppress(RuntimeError):  # the event loop is closed
            with open(pipe, "rb", buffering=0) as file:
                while chunk := file.read(1 << 16):
                    loop.call_soon_threadsafe(self._show_output, chunk.decode(errors="replace"))
            loop.call_soon_threadsafe(_set_ended, ended)

    def _show_output(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
        self._output_tail = (self._output_tail + text)[-MAX_OUTPUT_CHARS:]
        self._last_line = self._output_tail.strip().rpartition("\n")[2]
        self.on_change()

    async def _stop(self) -> None:
        """Stop the bot as Ctrl-C would, so that it can shut down cleanly."""
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            process.send_signal(STOP_SIGNAL)
            try:
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await process.wait()
            except TimeoutError:
                print(f"The bot did not stop within {STOP_TIMEOUT_S:.0f} s; killing it", file=sys.stderr)
        await self._kill_session(process)

    async def _kill_session(self, process: asyncio.subprocess.Process) -> None:
        """Kill the rest of the bot's session, its GPU processes included, and read the remaining output."""
        with contextlib.suppress(ProcessLookupError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:  # on Windows its GPU processes notice that it has ended
                process.kill()
        await process.wait()
        if self._output_ended:
            await self._output_ended

    def _set_alive(self, *, alive: bool) -> None:
        self._alive = alive
        self.on_change()


def _set_ended(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)


def _last_problem(output: str) -> str:
    """Return the last line that is no routine message: a warning, an error, or the end of a traceback."""
    lines = [line.strip() for line in output.splitlines()]
    return next((line for line in reversed(lines) if line and not _ROUTINE.search(line)), "")


def _describe_exit(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _exit_with_parent() -> None:
    """Make the kernel send SIGTERM to the bot when the preview is killed."""
    assert _libc is not None
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
