"""A read-only client for Discord's REST API, with a short timeout."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import aiohttp

from bot.config import Config

T = TypeVar("T")

REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=10)


class DaemonExecutor(ThreadPoolExecutor):
    """Run each call in a daemon thread: looking up a name may take minutes, and must not delay the program's end."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Start a call; return its future result."""
        future: Future[T] = Future()

        def run() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(fn(*args, **kwargs))
                except BaseException as error:
                    future.set_exception(error)

        threading.Thread(target=run, name="doctor", daemon=True).start()
        return future


class UnreachableError(Exception):
    """Discord did not answer as expected; the text says how."""


class UnauthorizedError(Exception):
    """Discord rejects the token."""


class RestClient:
    """Sends GET requests with the bot's token; `skew` is how many seconds this machine's clock is ahead."""

    def __init__(self, session: aiohttp.ClientSession, url: str, clock: Callable[[], float]) -> None:
        self.session = session
        self._url, self._clock = url, clock
        self.skew: float | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, config: Config, clock: Callable[[], float] = time.time) -> AsyncIterator[RestClient]:
        """Open a session with the bot's token."""
        asyncio.get_running_loop().set_default_executor(DaemonExecutor())  # in which names are looked up
        headers = {"Authorization": f"Bot {config.discord_token}", "User-Agent": "DiscordBot (Atelier doctor)"}
        async with aiohttp.ClientSession(headers=headers, timeout=REQUEST_TIMEOUT) as session:
            yield cls(session, config.discord_api_url, clock)

    async def get(self, path: str, **query: str | int) -> Any:
        """Return the JSON at `path`. Raises UnauthorizedError and UnreachableError."""
        try:
            async with self.session.get(f"{self._url}{path}", params=query, allow_redirects=False) as response:
                self._measure_skew(response.headers.get("Date"))
                if response.status == 401:
                    raise UnauthorizedError
                if response.status != 200:
                    raise UnreachableError(f"Discord answered {response.status} to {path}")
                return await response.json(content_type=None)
        except TimeoutError:
            raise UnreachableError(f"{self._url} did not answer within {REQUEST_TIMEOUT.total:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise UnreachableError(f"{self._url} cannot be reached: {error}") from None

    def _measure_skew(self, date: str | None) -> None:
        if date is not None:
            self.skew = self._clock() - parsedate_to_datetime(date).timestamp()
