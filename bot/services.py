"""The service container: config, database, policy, images, queue and workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from bot.config import Config
from bot.draining import Draining
from bot.images.films import FilmMaker
from bot.images.link_fetcher import LinkFetcher
from bot.images.metadata import metadata_policy
from bot.images.resizing import ImageResizer
from bot.images.thumbnails import Thumbnails
from bot.images.uploads import UploadImporter
from bot.machines import machine_name, make_cluster
from bot.policy.allowlist import denial_message
from bot.policy.policy import Policy
from bot.registry import load_registry
from bot.workers import make_worker
from db.connection import DATABASE_FILE
from db.database import Database
from db.image_files import ImageStore
from db.upkeep.retention import Retention, retention_days_by_guild
from generation.cluster.membership import Cluster
from generation.models.registry import ModelRegistry
from generation.queue.limits import QueueLimits
from generation.queue.queue import Queue
from generation.worker.devices import list_devices, worker_names
from generation.worker.fleet import Fleet


@dataclass(slots=True)
class Images:
    """The image files on disk, their thumbnails, the importer of uploads, the resizer, and the maker of films."""

    files: ImageStore
    thumbnails: Thumbnails
    uploads: UploadImporter
    resizer: ImageResizer
    films: FilmMaker


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The objects that all clients, commands and jobs share."""

    config: Config
    clock: Callable[[], float]
    db: Database
    policy: Policy
    images: Images
    queue: Queue
    fleet: Fleet
    cluster: Cluster | None = None

    @property
    def registry(self) -> ModelRegistry:
        """The models and adapters that can be used."""
        return self.fleet.registry


@asynccontextmanager
async def open_services(
    config: Config, fleet: Fleet, clock: Callable[[], float] = time.time
) -> AsyncIterator[Services]:
    """Open the database and start the workers; close both at the end. Unfinished jobs stay in the store.

    Raises UnusableDatabaseError if the database is damaged or too new.
    """
    async with AsyncExitStack() as stack:
        db = await stack.enter_async_context(Database.open(config.data_dir / DATABASE_FILE, clock))
        await fleet.start()
        stack.push_async_callback(fleet.close)
        queue = Queue(fleet.workers, _limits(config))  # by a clock that nobody sets
        cluster = make_cluster(config, fleet, queue) if config.cluster else None
        if cluster is not None:
            cluster.start()
            stack.push_async_callback(cluster.close)
        await stack.enter_async_context(background_task(Draining(fleet, queue, config.data_dir).follow()))
        for person_id, when in (await db.jobs.last_served()).items():
            queue.restore_last_served(person_id, when)
        files = ImageStore(config.data_dir)
        guild_days = partial(retention_days_by_guild, db.connection)
        retention = Retention(db.connection, files, config.retention_days, guild_days, clock)
        await stack.enter_async_context(background_task(retention.run_daily()))
        yield Services(
            config=config,
            clock=clock,
            db=db,
            policy=Policy(db.guilds, db.usage, clock, partial(denial_message, config.allowed_guilds)),
            images=Images(
                files=files,
                thumbnails=Thumbnails(files),
                uploads=UploadImporter(files, LinkFetcher(config.fake_discord_origin)),
                resizer=ImageResizer(db.jobs, metadata_policy(config).load_signer()),
                films=FilmMaker(metadata_policy(config).load_signer()),
            ),
            queue=queue,
            fleet=fleet,
            cluster=cluster,
        )


@asynccontextmanager
async def background_task(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run `work` in a task, and cancel it at the end of the block."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


def make_fleet(config: Config) -> Fleet:
    """Build a worker for each device that DEVICE names. Raises like `make_worker`."""
    registry, devices = load_registry(config), list_devices(config.device)
    if not devices:
        return Fleet([], registry)
    if len(devices) == 1:
        return Fleet([make_worker(config, registry, name=machine_name(config) if config.cluster else "")])
    return Fleet(
        [
            make_worker(config, registry, device, name=name, processes=len(devices))
            for device, name in zip(devices, worker_names(devices), strict=True)
        ]
    )


def _limits(config: Config) -> QueueLimits:
    return QueueLimits(
        waiting_per_person=config.waiting_per_person,
        running_per_person=config.running_per_person,
        waiting_in_all=config.waiting_in_all,
    )
