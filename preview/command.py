"""`main.py preview`: the stand-in, the page and the real bot, together until Ctrl-C."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import signal
import sys
import threading
import webbrowser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from preview.api.server import StandIn
from preview.companion import CannotStart, Companion
from preview.page.site import Page
from preview.scenery import make_world
from preview.state.storage import Storage
from preview.state.world import Json


async def run(
    bot: Sequence[str], environment: Mapping[str, str], folder: Path, about: Json, *, port: int, browser: bool
) -> int:
    """Serve the preview until SIGINT or SIGTERM and return the exit code.

    `bot` is the command line that starts the bot, `environment` what it gets besides the address of the stand-in,
    `folder` where everything is kept, `about` what the page tells of the model.
    """
    try:
        with _only_one(folder):
            await _serve(bot, environment, folder, about, port, browser)
    except CannotStart as reason:
        print(f"atelier preview: {reason}", file=sys.stderr)
        return 2
    print(f"Stopped. Messages and pictures are kept in {folder} for the next time.", file=sys.stderr)
    return 0


async def _serve(
    bot: Sequence[str], environment: Mapping[str, str], folder: Path, about: Json, port: int, browser: bool
) -> None:
    server = _stand_in(folder / "world", port)
    companion = Companion(bot)
    page = Page(server, about, companion.state)
    await _start(server, port)
    try:
        own = {
            "DISCORD_API_URL": server.api_url,
            "DISCORD_TOKEN": server.world.application.token,
            "DATA_DIR": str((folder / "bot").resolve()),
        }
        companion.environment = {**environment, **own}
        companion.changed = page.bot_changed
        address = f"http://127.0.0.1:{server.port}/"
        print(f"Atelier's preview is at {address} (Ctrl-C ends it)", flush=True)
        if browser:
            _open(address)
        await _until_stopped(companion)
    finally:
        await server.close()


def _stand_in(folder: Path, port: int) -> StandIn:
    try:
        kept = Storage(folder).load() is not None
    except (ValueError, KeyError, TypeError) as error:
        raise CannotStart(f"what is kept in {folder} cannot be read ({error!r}); remove it to begin anew") from None
    return StandIn(None if kept else make_world(), folder=folder, port=port)


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Hold the folder, so that no second preview writes to it. Raises CannotStart."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise CannotStart(f"{folder} cannot be used: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CannotStart(f"another preview is running with {folder}") from None
        yield


async def _start(server: StandIn, port: int) -> None:
    try:
        await server.start()
    except (OSError, OverflowError) as error:
        await server.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise CannotStart(f"port {port} is taken; try --port {port + 1}, or --port 0 for any free one") from None
        raise CannotStart(f"cannot listen on port {port}: {error}") from None


async def _until_stopped(companion: Companion) -> None:
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    running = asyncio.create_task(companion.keep_running(), name="the bot")
    stopped = asyncio.create_task(stopping.wait(), name="Ctrl-C")
    try:
        await asyncio.wait([running, stopped], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running
    finally:
        running.cancel()
        stopped.cancel()
        await asyncio.wait([running, stopped])
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _open(address: str) -> None:
    """Open the page where there is a screen; a browser in the terminal would be in the way."""
    if sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        # Some browsers stay in the foreground; Ctrl-C must not wait for them.
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
