"""What Prometheus is told: jobs, how long they take, the worker, the gateway and the disk."""

from __future__ import annotations

import asyncio
import math
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

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

from bot.errors import told
from bot.studio import Studio
from db.connection import DATABASE_FILE
from db.jobs import JobState
from generation.job import Job
from generation.messages import Loading, Ready
from generation.worker.worker import Broken, Restarting

SECONDS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
# They are a second series for each counter, of which nobody asks anything.
disable_created_metrics()  # type: ignore[no-untyped-call]

WORKER_STATES = {Loading: "loading", Ready: "ready", Restarting: "restarting", Broken: "broken"}


class Metrics:
    """Count what happens in a studio, and measure the rest when asked; no label is a person's or a server's."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._began: dict[str, float] = {}
        self._counting: set[asyncio.Task[None]] = set()
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(_Errors())
        self._jobs = Counter(
            "atelier_jobs", "Jobs that came to a state, since the start", ["action", "state"], registry=registry
        )
        self._waited = Histogram(
            "atelier_waiting_seconds", "From the interaction to the job's turn", buckets=SECONDS, registry=registry
        )
        self._drew = Histogram(
            "atelier_drawing_seconds", "From the job's turn to its pictures", buckets=SECONDS, registry=registry
        )
        self._present = Gauge("atelier_jobs_present", "Jobs that are under way", ["state"], registry=registry)
        self._people = Gauge("atelier_people_present", "People with jobs under way", ["state"], registry=registry)
        self._state = Enum(
            "atelier_worker_state", "The worker's state", states=[*WORKER_STATES.values()], registry=registry
        )
        self._held = Gauge("atelier_model_held", "Whether a model is in memory", ["model"], registry=registry)
        self._restarts = Counter(
            "atelier_worker_restarts", "Ends of the GPU process that were not asked for", registry=registry
        )
        self._latency = Gauge("atelier_discord_latency_seconds", "Of the gateway's heartbeats", registry=registry)
        self._database = Gauge("atelier_database_bytes", "Size of the database, its log included", registry=registry)
        self._free = Gauge("atelier_disk_free_bytes", "Room left on the disk of the data folder", registry=registry)
        studio.store.watchers.append(self._watch)
        studio.worker.subscribe(self._watch_worker)

    async def exposition(self) -> bytes:
        """Measure, and give everything in Prometheus' text format."""
        studio = self._studio
        for state, jobs in (("waiting", studio.queue.waiting), ("running", studio.queue.running)):
            self._present.labels(state).set(len(jobs))
            self._people.labels(state).set(_people(jobs))
        self._state.state(WORKER_STATES[type(studio.worker.state)])
        for model in studio.repertoire.models:
            self._held.labels(model.name).set(model.name in studio.worker.loaded_models)
        self._latency.set(studio.client.latency if studio.client and not studio.client.is_closed() else math.nan)
        database, free = await asyncio.to_thread(_disk, studio.config.data_dir)
        self._database.set(database)
        self._free.set(free)
        return generate_latest(self._registry)

    async def close(self) -> None:
        """Count what is being counted, and nothing after it."""
        self._studio.store.watchers.remove(self._watch)
        if self._counting:
            await asyncio.wait(self._counting)

    def _watch(self, job_id: str, state: JobState) -> None:
        task = asyncio.create_task(self._count(job_id, state, time.monotonic()))
        self._counting.add(task)
        task.add_done_callback(self._counting.discard)

    async def _count(self, job_id: str, state: JobState, now: float) -> None:
        record = await self._studio.store.get(job_id)
        if record is None:
            return
        self._jobs.labels(record.job.action, state).inc()
        began = self._began.pop(job_id, None)
        if state is JobState.RUNNING:
            self._began[job_id] = now
            if record.attempts == 1:
                self._waited.observe(max(0.0, self._studio.clock() - record.job.asked_at))
        elif state is JobState.GENERATED and began is not None:
            self._drew.observe(now - began)

    def _watch_worker(self) -> None:
        if isinstance(self._studio.worker.state, Restarting | Broken):
            self._restarts.inc()


class _Errors(Collector):
    """What people were told was wrong, by the class of the error."""

    def collect(self) -> Iterable[CounterMetricFamily]:
        """Give the present counts."""
        errors = CounterMetricFamily(
            "atelier_errors", "What people were told was wrong, since the start", labels=["reason"]
        )
        for reason, times in told.items():
            errors.add_metric([reason], times)
        yield errors


def _people(jobs: Iterable[Job]) -> int:
    return len({job.requester.id for job in jobs})


def _disk(data_dir: Path) -> tuple[int, int]:
    database = sum(path.stat().st_size for path in data_dir.glob(f"{DATABASE_FILE}*"))
    return database, shutil.disk_usage(data_dir).free
