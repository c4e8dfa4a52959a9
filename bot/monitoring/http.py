"""Monitoring over HTTP on loopback only: /metrics for Prometheus, /health for other tools."""

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
from bot.monitoring.metrics import CurrentClient, Metrics
from bot.monitoring.worker_metrics import WORKER_STATES
from bot.services import Services
from generation.messages import Ready
from generation.worker.fleet import NO_WORKER
from generation.worker.worker import Broken, Restarting, Worker, WorkerState

LOADING_TIMEOUT_S = 1800.0  # seconds without a ready worker; loading a large model from a slow disk takes long
MACHINE_TIMEOUT_S = 60.0  # seconds without any machine of the cluster, where this one generates nothing
DATABASE_TIMEOUT_S = 5.0  # seconds
MIN_FREE_BYTES = 64 * 2**20  # bytes


@asynccontextmanager
async def serve_monitoring(services: Services, current_client: CurrentClient) -> AsyncIterator[None]:
    """Serve metrics and health inside the block if METRICS_PORT is set. Raises ConfigError if the port is taken."""
    if not services.config.metrics_port:
        yield
        return
    metrics = Metrics(services, current_client)
    runner = web.AppRunner(_app(metrics, Health(services, current_client)), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await _bind(runner, services.config.metrics_port)
        yield
    finally:
        await runner.cleanup()
        await metrics.close()


async def _bind(runner: web.AppRunner, port: int) -> None:
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    except OSError as error:
        raise ConfigError(f"METRICS_PORT {port} cannot be used: {error.strerror}") from None


def _app(metrics: Metrics, health: Health) -> web.Application:
    async def get_metrics(_: web.Request) -> web.Response:
        return web.Response(body=await metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def get_health(_: web.Request) -> web.Response:
        problems = await health.problems()
        body = {"healthy": not problems, "troubles": problems, **health.by_worker(), **health.of_cluster()}
        return web.json_response(body, status=503 if problems else 200)

    async def get_links(_: web.Request) -> web.Response:
        links = "".join(f'<p><a href="{path}">{path}</a></p>' for path in ("/health", "/metrics"))
        return web.Response(text=f"<!doctype html><title>Atelier</title>{links}", content_type="text/html")

    app = web.Application()
    app.add_routes([web.get("/", get_links), web.get("/metrics", get_metrics), web.get("/health", get_health)])
    return app


class Health:
    """Check whether the bot can deliver images."""

    def __init__(self, services: Services, current_client: CurrentClient) -> None:
        self._services = services
        self._current_client = current_client
        self._loading_since: float | None = None
        self._on_worker_state()
        services.fleet.subscribe(self._on_worker_state)

    async def problems(self) -> list[str]:
        """Return the current problems as text; an empty list if there are none."""
        found = (
            None if _is_connected(self._current_client()) else "not connected to Discord",
            self._worker_problem(self._services.fleet.state),
            await self._storage_problem(),
        )
        return [problem for problem in found if problem]

    def by_worker(self) -> dict[str, dict[str, str]]:
        """Return the state of each of several workers; one that is broken is no problem while others are ready."""
        workers = self._services.fleet.workers
        if len(workers) <= 1 and self._services.cluster is None:
            return {}
        return {"workers": {worker.name: _describe(worker) for worker in workers}}

    def of_cluster(self) -> dict[str, dict[str, str]]:
        """Return what keeps machines of the cluster from generating; the bot is healthy while any worker is ready."""
        if (cluster := self._services.cluster) is None:
            return {}
        return {"cluster": {**({"head": cluster.problem} if cluster.problem else {}), **cluster.refused}}

    def _on_worker_state(self) -> None:
        if isinstance(self._services.fleet.state, Ready):
            self._loading_since = None
        elif self._loading_since is None:
            self._loading_since = time.monotonic()

    def _worker_problem(self, state: WorkerState) -> str | None:
        if isinstance(state, Broken):
            return f"the model cannot be loaded: {state.reason}"
        if state is NO_WORKER and self._has_waited(MACHINE_TIMEOUT_S):
            return NO_WORKER.reason
        if self._has_waited(LOADING_TIMEOUT_S):
            return "the model takes too long to load"
        return None

    def _has_waited(self, seconds: float) -> bool:
        return self._loading_since is not None and time.monotonic() - self._loading_since > seconds

    async def _storage_problem(self) -> str | None:
        try:
            async with asyncio.timeout(DATABASE_TIMEOUT_S):
                if not await self._services.db.jobs.is_writable():
                    return "the database cannot be written to"
        except TimeoutError:
            return "the database does not answer"
        free = (await asyncio.to_thread(shutil.disk_usage, self._services.config.data_dir)).free
        return f"only {free >> 20} MiB of disk space left" if free < MIN_FREE_BYTES else None


def _describe(worker: Worker) -> str:
    if worker.draining:
        return "drained"
    state = worker.state
    reason = f": {state.reason}" if isinstance(state, Restarting | Broken) else ""
    return WORKER_STATES[type(state)] + reason


def _is_connected(client: discord.Client | None) -> bool:
    if not isinstance(client, discord.AutoShardedClient) or client.is_closed() or not client.is_ready():
        return False
    return all(not shard.is_closed() for shard in client.shards.values())
