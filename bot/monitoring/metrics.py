"""Prometheus metrics: jobs and their durations, the worker, the gateway and the disk."""

from __future__ import annotations

import asyncio
import math
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import discord
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Enum,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from bot.monitoring.worker_metrics import WORKER_STATES, WorkerCollector
from bot.services import Services
from bot.ui.errors import error_counts
from db.connection import DATABASE_FILE
from db.jobs import JobState
from generation.job import Job
from generation.worker.worker import Broken, Restarting, Worker

DURATION_BUCKETS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
# They would add a second, unused series for each counter.
disable_created_metrics()  # type: ignore[no-untyped-call]


CurrentClient = Callable[[], discord.Client | None]


class Metrics:
    """Count events as they happen and measure the rest on request; no label names a person or a server."""

    def __init__(self, services: Services, current_client: CurrentClient) -> None:
        self._services = services
        self._current_client = current_client
        self._started_at: dict[str, float] = {}
        self._count_tasks: set[asyncio.Task[None]] = set()
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(_ErrorCollector())
        self._jobs = Counter(
            "atelier_jobs", "Jobs that reached a state, since the start", ["action", "state"], registry=registry
        )
        self._waiting_seconds = Histogram(
            "atelier_waiting_seconds",
            "From the request to the start of generation",
            buckets=DURATION_BUCKETS,
            registry=registry,
        )
        self._generation_seconds = Histogram(
            "atelier_drawing_seconds",
            "From the start of generation to the images",
            buckets=DURATION_BUCKETS,
            registry=registry,
        )
        self._jobs_present = Gauge("atelier_jobs_present", "Unfinished jobs", ["state"], registry=registry)
        self._people_present = Gauge(
            "atelier_people_present", "People with unfinished jobs", ["state"], registry=registry
        )
        self._worker_state = Enum(
            "atelier_worker_state", "The worker's state", states=[*WORKER_STATES.values()], registry=registry
        )
        self._model_loaded = Gauge("atelier_model_held", "Whether a model is in memory", ["model"], registry=registry)
        self._restarts = Counter("atelier_worker_restarts", "Unexpected exits of the GPU process", registry=registry)
        self._latency = Gauge(
            "atelier_discord_latency_seconds", "Latency of the gateway's heartbeats", registry=registry
        )
        self._database = Gauge(
            "atelier_database_bytes", "Size of the database with its write-ahead log", registry=registry
        )
        self._disk_free = Gauge(
            "atelier_disk_free_bytes", "Free space on the disk of the data folder", registry=registry
        )
        services.db.jobs.subscribe(self._on_job_state)
        services.fleet.follow(self._on_worker_state)
        if len(services.fleet.workers) > 1 or services.cluster is not None:
            registry.register(WorkerCollector(services.fleet, services.queue))

    async def render(self) -> bytes:
        """Measure and return all metrics in Prometheus' text format."""
        services, client = self._services, self._current_client()
        for state, jobs in (("waiting", services.queue.waiting), ("running", services.queue.running)):
            self._jobs_present.labels(state).set(len(jobs))
            self._people_present.labels(state).set(_count_people(jobs))
        self._worker_state.state(WORKER_STATES[type(services.fleet.state)])
        loaded = services.fleet.loaded_models
        for model in services.registry.models:
            self._model_loaded.labels(model.name).set(model.name in loaded)
        self._latency.set(client.latency if client and not client.is_closed() else math.nan)
        database, free = await asyncio.to_thread(_disk_usage, services.config.data_dir)
        self._database.set(database)
        self._disk_free.set(free)
        return generate_latest(self._registry)

    async def close(self) -> None:
        """Finish the counts under way and stop counting."""
        self._services.db.jobs.unsubscribe(self._on_job_state)
        if self._count_tasks:
            await asyncio.wait(self._count_tasks)

    def _on_job_state(self, job_id: str, state: JobState) -> None:
        task = asyncio.create_task(self._count(job_id, state, time.monotonic()))
        self._count_tasks.add(task)
        task.add_done_callback(self._count_tasks.discard)

    async def _count(self, job_id: str, state: JobState, now: float) -> None:
        record = await self._services.db.jobs.get(job_id)
        if record is None:
            return
        self._jobs.labels(record.job.action, state).inc()
        started_at = self._started_at.pop(job_id, None)
        if state is JobState.RUNNING:
            self._started_at[job_id] = now
            if record.attempts == 1 and started_at is None:  # else it is generated again after its worker was lost
                self._waiting_seconds.observe(max(0.0, self._services.clock() - record.job.asked_at))
        elif state is JobState.GENERATED and started_at is not None:
            self._generation_seconds.observe(now - started_at)

    def _on_worker_state(self, worker: Worker) -> None:
        if isinstance(worker.state, Restarting | Broken):
            self._restarts.inc()


class _ErrorCollector(Collector):
    """Count the errors shown to users, by their class."""

    def collect(self) -> Iterable[CounterMetricFamily]:
        """Yield the current counts."""
        errors = CounterMetricFamily("atelier_errors", "Errors shown to users, since the start", labels=["reason"])
        for reason, count in error_counts.items():
            errors.add_metric([reason], count)
        yield errors


def _count_people(jobs: Iterable[Job]) -> int:
    return len({job.requester.id for job in jobs})


def _disk_usage(data_dir: Path) -> tuple[int, int]:
    database = sum(path.stat().st_size for path in data_dir.glob(f"{DATABASE_FILE}*"))
    return database, shutil.disk_usage(data_dir).free
