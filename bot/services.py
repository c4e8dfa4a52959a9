"""The parts of the studio, joined: what exists once however many people draw."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import discord

from bot.config import Config
from bot.images.metadata import metadata_policy
from bot.images.resizing import ImageResizer
from bot.policy.allowlist import denial_message
from bot.policy.policy import Policy
from db.connection import DATABASE_FILE, Connection
from db.favourites import FavouriteStore
from db.guilds import GuildStore
from db.image_files import ImageStore
from db.jobs import JobStore
from db.preferences import PreferenceStore
from db.privacy import PersonalData
from db.reports import ReportStore
from db.retention import Retention, retention_days_by_guild
from db.search import JobSearch
from db.stats import Stats
from db.threads import ThreadStore
from db.usage import Usage
from generation import logs
from generation.models.adapters import scan_adapters
from generation.models.registry import ModelRegistry
from generation.models.upscaler import describe_upscaler
from generation.queue.queue import Queue, QueueLimits
from generation.worker.engine_loader import load_engine
from generation.worker.worker import LocalWorker, Worker

CANCEL_TIMEOUT_S = 1.0  # seconds that a job has to end, with three for the answer to who cancelled it
STOP_TIMEOUT_S = 2.0  # seconds that work has to end when the bot stops

log = logging.getLogger(__name__)


@dataclass
class Services:
    """Everything a cog needs; `tasks` holds the jobs under way by their id."""

    config: Config
    store: JobStore
    preferences: PreferenceStore
    favourites: FavouriteStore
    search: JobSearch
    reports: ReportStore
    guilds: GuildStore
    stats: Stats
    personal_data: PersonalData
    threads: ThreadStore
    policy: Policy
    images: ImageStore
    resizer: ImageResizer
    queue: Queue
    worker: Worker
    clock: Callable[[], float] = time.time
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    stopping: bool = False
    client: discord.Client | None = None  # the present one: a connection that is lost for good takes a new one

    @property
    def registry(self) -> ModelRegistry:
        """Say what there is to draw with."""
        return self.worker.registry

    def spawn(self, job_id: str, work: Coroutine[None, None, None]) -> None:
        """Run a job's work beside everything else, once earlier work on it has ended, until it is done or stopped.

        A job that was accepted in the moment of stopping is in the store, and its work begins with the next start.
        """
        if self.stopping:
            work.close()
            return
        task = asyncio.create_task(self._run_after(self.tasks.get(job_id), job_id, work), name=f"job {job_id}")
        self.tasks[job_id] = task
        task.add_done_callback(lambda _: self._discard(job_id, task))
        task.add_done_callback(lambda _: work.close())  # a task cancelled before its first step has not begun it

    async def cancel(self, job_id: str) -> None:
        """Stop a job's work at once, and give it a moment to end; harmless when there is none."""
        if task := self.tasks.get(job_id):
            task.cancel()
            await asyncio.wait({task}, timeout=CANCEL_TIMEOUT_S)

    async def cancel_all(self) -> None:
        """Stop all work and begin no more; what is unfinished stays so in the store.

        A step that takes long, or hangs, is not waited for: the worker ends it when it is closed.
        """
        self.stopping = True
        tasks = list(self.tasks.values())
        for task in tasks:
            task.cancel()
        await self.store.undo_attempts()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_TIMEOUT_S)

    async def _run_after(
        self, earlier: asyncio.Task[None] | None, job_id: str, work: Coroutine[None, None, None]
    ) -> None:
        if earlier is not None:
            await asyncio.wait({earlier})
        with logs.log_context(job=job_id, **await self._log_fields(job_id)):
            await work

    async def _log_fields(self, job_id: str) -> dict[str, int | None]:
        """Say for the log whose job it is, and from where, unless it is known from the interaction."""
        if "person" in logs.current_context() or (record := await self.store.get(job_id)) is None:
            return {}
        return {"guild": record.job.destination.guild_id, "person": record.job.requester.id}

    def _discard(self, job_id: str, task: asyncio.Task[None]) -> None:
        if self.tasks.get(job_id) is task:
            del self.tasks[job_id]


@asynccontextmanager
async def open_services(
    config: Config, worker: Worker, clock: Callable[[], float] = time.time
) -> AsyncIterator[Services]:
    """Open the store, start the worker, and close both at the end; unfinished jobs stay in the store.

    Raises UnusableDatabaseError when the database is damaged or too new, ConfigError like `make_worker`.
    """
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(Connection.open(config.data_dir / DATABASE_FILE))
        store = JobStore(connection, clock)
        await worker.start()
        stack.push_async_callback(worker.close)
        queue = Queue([worker], _limits(config), clock=clock)
        for person_id, when in (await store.last_served()).items():
            queue.restore_last_served(person_id, when)
        pictures = ImageStore(config.data_dir)
        guild_days = partial(retention_days_by_guild, connection)
        retention = Retention(connection, pictures, config.retention_days, guild_days, clock)
        await stack.enter_async_context(background_task(retention.run_daily()))
        guilds = GuildStore(connection, clock)
        policy = Policy(guilds, Usage(connection), clock, partial(denial_message, config.allowed_guilds))
        yield Services(
            config=config,
            store=store,
            preferences=PreferenceStore(connection),
            favourites=FavouriteStore(connection, clock),
            search=JobSearch(connection),
            reports=ReportStore(connection, clock),
            guilds=guilds,
            stats=Stats(connection),
            personal_data=PersonalData(connection),
            threads=ThreadStore(connection),
            policy=policy,
            images=pictures,
            resizer=ImageResizer(store, metadata_policy(config).load_signer()),
            queue=queue,
            worker=worker,
            clock=clock,
        )


@asynccontextmanager
async def background_task(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Do `work` beside the block, and stop it at the block's end."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


def load_registry(config: Config) -> ModelRegistry:
    """Describe what the settings name to draw with; a LoRA or a learnt word that cannot be used is left out.

    Raises FileNotFoundError when there is no such model or folder, Complaint when a model cannot be drawn with.
    """
    additions, unusable = scan_adapters(config.loras, config.embeddings)
    for reason in unusable:
        log.warning("left out: %s", reason)
    return ModelRegistry.from_refs(config.models, additions)


def make_worker(config: Config, registry: ModelRegistry | None = None) -> LocalWorker:
    """Make the worker that the settings ask for, to draw with what they name or with a part of it.

    Raises what `repertoire_of` does, FileNotFoundError when there is no upscaler, Complaint when its file holds another
    thing, ConfigError when the pictures cannot be signed as wanted.
    """
    upscaler = describe_upscaler(config.upscaler) if config.upscaler else None
    return LocalWorker(
        registry or load_registry(config),
        config.device,
        config.threads,
        capacity=config.jobs_at_once,
        step_timeout=config.step_timeout,
        load=partial(
            load_engine,
            metadata_policy=metadata_policy(config),
            classifier=config.sensitive_classifier,
            upscaler=upscaler,
            memory=config.model_memory,
            compile_unets=config.compile,
        ),
    )


def _limits(config: Config) -> QueueLimits:
    return QueueLimits(
        waiting_per_person=config.waiting_per_person,
        running_per_person=config.running_per_person,
        waiting_in_all=config.waiting_in_all,
    )
