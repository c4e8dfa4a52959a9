"""The real bot as a child process: started, watched, started again when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence

from preview.state.world import Json

PAUSES = (1.0, 2.0, 5.0, 15.0)  # seconds before it is started again, the last for ever
WELL_AFTER = 30.0  # seconds after which a life counts as a good one, and the pauses begin anew
PATIENCE = 15.0  # seconds that it gets to put its things in order
LONGEST_WORDS = 1000
MENDABLE = 2  # the exit code of a bot that only a person can help
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
        self._reading: asyncio.Task[None] | None = None
        self._alive = True
        self._last_words = ""

    def state(self) -> Json:
        """Say whether the bot lives (or is about to), and the last line that it wrote."""
        return {"alive": self._alive, "words": self._last_words}

    async def keep_running(self) -> None:
        """Run the bot until cancelled. Raises CannotStart when it says that only a person can help."""
        loop, short_lives = asyncio.get_running_loop(), 0
        try:
            while True:
                began = loop.time()
                code = await self._live()
                if code == MENDABLE:
                    raise CannotStart("the bot cannot start; its reason is above")
                short_lives = short_lives + 1 if loop.time() - began < WELL_AFTER else 1
                pause = PAUSES[min(short_lives, len(PAUSES)) - 1]
                print(f"The bot ended ({_ending(code)}); starting it again in {pause:.0f} s", file=sys.stderr)
                await asyncio.sleep(pause)
        finally:
            await self._stop()

    async def _live(self) -> int:
        """Run the bot once and return its exit code."""
        # A pipe of our own: with asyncio's, wait() would also wait for everybody else who holds its other end.
        reading, writing = os.pipe()
        self._reading = asyncio.create_task(self._pass_output_on(reading))
        try:
            self._process = process = await asyncio.create_subprocess_exec(
                *self._command,
                env=dict(self.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )
        finally:
            os.close(writing)
        self._become(alive=True)
        code = await process.wait()
        await self._sweep(process)
        self._become(alive=False)
        return code

    async def _pass_output_on(self, pipe: int) -> None:
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb"))
        heard = ""
        while chunk := await reader.read(1 << 16):
            text = chunk.decode(errors="replace")
            sys.stderr.write(text)
            sys.stderr.flush()
            heard = (heard + text)[-LONGEST_WORDS:]
            self._last_words = heard.strip().rpartition("\n")[2]
            self.changed()
        transport.close()

    async def _stop(self) -> None:
        """End the bot as Ctrl-C would, so that it puts its things in order."""
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(PATIENCE):
                    await process.wait()
            except TimeoutError:
                print("The bot does not end by itself; ending it by force", file=sys.stderr)
        await self._sweep(process)

    async def _sweep(self, process: asyncio.subprocess.Process) -> None:
        """End whatever is left of the bot's session, its drawing processes included, and read its last words."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        if self._reading:
            await self._reading

    def _become(self, *, alive: bool) -> None:
        self._alive = alive
        self.changed()


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _end_with_parent() -> None:
    """Ask the kernel to tell the bot when the preview is killed without a chance to do so."""
    assert _libc is not None
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
