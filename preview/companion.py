"""The real bot as a child process: started, watched, started again when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence

from preview.world import Json

PAUSES = (1.0, 2.0, 5.0, 15.0)  # seconds before it is started again, the last for ever
WELL_AFTER = 30.0  # seconds after which a life counts as a good one, and the pauses begin anew
PATIENCE = 15.0  # seconds that it gets to put its things in order
MENDABLE = 2  # the exit code of a bot that only a person can help
KEPT_LINES = 20
PR_SET_PDEATHSIG = 1


class CannotStart(Exception):
    """The bot or the preview cannot run like this; the text says why."""


class Companion:
    """Keep the bot running in `environment`; `changed` is called whenever `state()` says something new.

    It has a session of its own, so that Ctrl-C in the terminal reaches it once and in order: from here.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self.environment: Mapping[str, str] = {}
        self.changed: Callable[[], None] = lambda: None
        self._process: asyncio.subprocess.Process | None = None
        self._state = "starting"
        self._lines: list[str] = []
        self._lives = 0

    def state(self) -> Json:
        """Say what the bot is doing: `starting`, `running` or `stopped`, with its last words."""
        return {"state": self._state, "lives": self._lives, "words": self._lines[-1] if self._lines else ""}

    async def keep_running(self) -> None:
        """Run the bot until cancelled. Raises CannotStart when it says that only a person can help."""
        failures = 0
        try:
            while True:
                began = asyncio.get_running_loop().time()
                code = await self._live()
                if code == MENDABLE:
                    raise CannotStart("the bot cannot start; its reason is above")
                failures = 0 if asyncio.get_running_loop().time() - began > WELL_AFTER else failures + 1
                pause = PAUSES[min(failures, len(PAUSES)) - 1] if failures else PAUSES[0]
                print(f"The bot ended ({_ending(code)}); starting it again in {pause:.0f} s", file=sys.stderr)
                self._become("stopped")
                await asyncio.sleep(pause)
        finally:
            await self._stop()

    async def _live(self) -> int:
        """Run the bot once, pass its output on, and return its exit code."""
        self._lives += 1
        self._become("starting" if self._lives == 1 else "restarting")
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            env=dict(self.environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
        self._become("running")
        reading = asyncio.create_task(self._read_output(self._process))
        try:
            return await self._process.wait()
        finally:
            self._sweep(self._process.pid)
            await asyncio.wait([reading], timeout=1.0)
            reading.cancel()

    async def _read_output(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while chunk := await process.stdout.read(1 << 16):
            text = chunk.decode(errors="replace")
            sys.stderr.write(text)
            sys.stderr.flush()
            self._lines = [*self._lines, *filter(None, map(str.strip, text.splitlines()))][-KEPT_LINES:]

    async def _stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(PATIENCE):
                await process.wait()
        except TimeoutError:
            print("The bot does not end by itself; ending it by force", file=sys.stderr)
        self._sweep(process.pid)
        await process.wait()

    def _sweep(self, session: int) -> None:
        """End whatever is left of the bot's session, its drawing processes included."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(session, signal.SIGKILL)

    def _become(self, state: str) -> None:
        self._state = state
        self.changed()


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _end_with_parent() -> None:
    """Ask the kernel to tell the bot when the preview is killed without a chance to do so."""
    assert _libc is not None
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
