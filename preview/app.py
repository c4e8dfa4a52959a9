"""`main.py preview`: run the fake Discord, the page and the real bot until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from preview.page.site import Page
from preview.seed_data import make_world
from preview.server import FakeDiscord
from preview.state.persistence import WorldStorage
from preview.state.world import Json
from preview.supervisor import BotSupervisor, StartupError

MAX_PORT = 65_535


async def run(
    bot: Sequence[str], environment: Mapping[str, str], folder: Path, about: Json, *, port: int, browser: bool
) -> int:
    """Run the preview until cancelled and return the exit code.

    `bot` is the command line of the bot. `environment` is its environment, to which the address of the fake Discord
    is added. `folder` stores all data. `about` describes the model to the page.
    """
    try:
        with _lock_folder(folder):
            await _serve(bot, environment, folder, about, port, browser)
    except StartupError as reason:
        print(f"atelier preview: {reason}", file=sys.stderr)
        return 2
    print(f"Stopped. Messages and pictures are saved in {folder}.", file=sys.stderr)
    return 0


async def _serve(
    bot: Sequence[str], environment: Mapping[str, str], folder: Path, about: Json, port: int, browser: bool
) -> None:
    server = _create_server(folder / "world", port)
    supervisor = BotSupervisor(bot)
    gallery_port = _free_port(port + 1 if 0 < port < MAX_PORT else 0)
    page = Page(server, about | {"gallery": f"http://127.0.0.1:{gallery_port}/"}, supervisor.state)
    await _start_server(server, port)
    try:
        overrides = {
            "DISCORD_API_URL": server.api_url,
            "DISCORD_TOKEN": server.world.application.token,
            "DATA_DIR": str((folder / "bot").resolve()),
            **gallery_settings(server, gallery_port),
        }
        supervisor.environment = {**environment, **overrides}
        supervisor.on_change = page.publish_bot_state
        address = f"http://127.0.0.1:{server.port}/"
        print(f"Atelier's preview is at {address} (press Ctrl-C to stop)", flush=True)
        print(f"The gallery of its pictures is at http://127.0.0.1:{gallery_port}/", flush=True)
        if browser:
            _open_browser(address)
        with contextlib.suppress(asyncio.CancelledError):
            await supervisor.run_forever()
    finally:
        await server.close()


def gallery_settings(server: FakeDiscord, port: int) -> dict[str, str]:
    """Return the bot's settings for a gallery on a port, and allow the fake Discord's logins to lead there."""
    address, application = f"http://127.0.0.1:{port}", server.world.application
    application.redirect_uris = [f"{address}/login/done"]
    return {
        "GALLERY_PORT": str(port),
        "GALLERY_URL": address,
        "DISCORD_CLIENT_SECRET": application.client_secret,
    }


def _free_port(wanted: int) -> int:
    """Return the port `wanted`, or another one if it is taken."""
    for port in (wanted, 0):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)) as probe:
            return int(probe.getsockname()[1])
    raise StartupError("no port is free for the gallery")


def _create_server(folder: Path, port: int) -> FakeDiscord:
    try:
        has_saved_world = WorldStorage(folder).load() is not None
    except (ValueError, KeyError, TypeError) as error:
        raise StartupError(f"{folder} cannot be read ({error!r}); delete that folder to start over") from None
    return FakeDiscord(None if has_saved_world else make_world(), folder=folder, port=port)


@contextlib.contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    """Lock the folder, so that no second preview writes to it. Raise StartupError if it is locked or unusable."""
    lock = FileLock(folder / "lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout:
        raise StartupError(f"another preview is already using {folder}") from None
    except OSError as error:
        raise StartupError(f"{folder} cannot be used: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()


async def _start_server(server: FakeDiscord, port: int) -> None:
    try:
        await server.start()
    except (OSError, OverflowError) as error:
        await server.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise StartupError(f"port {port} is taken; try --port {port + 1}, or --port 0 for any free port") from None
        raise StartupError(f"cannot listen on port {port}: {error}") from None


def _open_browser(address: str) -> None:
    """Open the page if there is a display; a browser in the terminal would get in the way."""
    if sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        # Some browsers stay in the foreground, and Ctrl-C must not wait for them.
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
