"""For whoever watches the bot from outside: /metrics for Prometheus, /health for the rest, on loopback alone."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import discord
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from bot.config import ConfigError
from bot.metrics import Metrics
from bot.studio import Studio
from generation.messages import Ready
from generation.worker.worker import Broken, Worker

LOADING_PATIENCE = 1800.0  # seconds without a worker that draws, which a large model from a slow disk may take
DATABASE_PATIENCE = 5.0  # seconds
LEAST_FREE = 64 * 2**20  # bytes


@asynccontextmanager
async def watched(studio: Studio) -> AsyncIterator[None]:
    """Serve metrics and health for as long as the block lasts, where METRICS_PORT says so. Raises ConfigError."""
    if not studio.config.metrics_port:
        yield
        return
    metrics = Metrics(studio)
    runner = web.AppRunner(_app(metrics, Health(studio)), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await _listen(runner, studio.config.metrics_port)
        yield
    finally:
        await runner.cleanup()
        await metrics.close()


async def _listen(runner: web.AppRunner, port: int) -> None:
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    except OSError as error:
        raise ConfigError(f"METRICS_PORT {port} cannot be used: {error.strerror}") from None


def _app(metrics: Metrics, health: Health) -> web.Application:
    async def tell_metrics(_: web.Request) -> web.Response:
        return web.Response(body=await metrics.exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def tell_health(_: web.Request) -> web.Response:
        troubles = await health.troubles()
        return web.json_response({"healthy": not troubles, "troubles": troubles}, status=503 if troubles else 200)

    app = web.Application()
    app.add_routes([web.get("/metrics", tell_metrics), web.get("/health", tell_health)])
    return app


class Health:
    """Whether people get pictures."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._loading_since: float | None = None
        self._watch_worker()
        studio.worker.subscribe(self._watch_worker)

    async def troubles(self) -> list[str]:
        """Give what is wrong, in words; nothing when all is well."""
        found = (
            None if _is_connected(self._studio.client) else "there is no connection to Discord",
            self._trouble_of_worker(self._studio.worker),
            await self._trouble_of_database(),
        )
        return [trouble for trouble in found if trouble]

    def _watch_worker(self) -> None:
        if isinstance(self._studio.worker.state, Ready):
            self._loading_since = None
        elif self._loading_since is None:
            self._loading_since = time.monotonic()

    def _trouble_of_worker(self, worker: Worker) -> str | None:
        if isinstance(worker.state, Broken):
            return f"the model cannot be loaded: {worker.state.reason}"
        if self._loading_since is not None and time.monotonic() - self._loading_since > LOADING_PATIENCE:
            return "the model takes too long to load"
        return None

    async def _trouble_of_database(self) -> str | None:
        try:
            async with asyncio.timeout(DATABASE_PATIENCE):
                if not await self._studio.store.is_writable():
                    return "the database cannot be written to"
        except TimeoutError:
            return "the database does not answer"
        free = (await asyncio.to_thread(shutil.disk_usage, self._studio.config.data_dir)).free
        return f"only {free >> 20} MiB are free on the disk" if free < LEAST_FREE else None


def _is_connected(client: discord.Client | None) -> bool:
    if not isinstance(client, discord.AutoShardedClient) or client.is_closed() or not client.is_ready():
        return False
    return all(not shard.is_closed() for shard in client.shards.values())
