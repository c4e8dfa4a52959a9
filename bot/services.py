"""The service container: config, database, policy, images, queue and workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bot.config import GENERATED, Config, ConfigError
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
from db.connection import DATABASE_FILE
from db.database import Database
from db.image_files import ImageStore
from db.retention import Retention, retention_days_by_guild
from generation.cluster.membership import Cluster
from generation.errors import UserError
from generation.models.adapters import scan_adapters
from generation.models.model import describe_model
from generation.models.model_files import check_classifier_files, require_local_files
from generation.models.registry import ModelRegistry
from generation.models.upscaler import describe_upscaler
from generation.queue.limits import QueueLimits
from generation.queue.queue import Queue
from generation.worker.devices import list_devices, worker_names
from generation.worker.engine_loader import load_engine
from generation.worker.fleet import Fleet
from generation.worker.worker import LocalWorker


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
        queue = Queue(fleet.workers, _limits(config), clock=clock)
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


def find_unusable_files(config: Config) -> list[str]:
    """Return what is wrong with the models, other files and the device, one sentence each."""

    def certificate() -> None:
        if config.signing_certificate != GENERATED:  # that one is made at the start
            metadata_policy(config)

    checks: list[tuple[str, Callable[[], object]]] = [
        *(("MODEL", partial(_require_usable_model, ref)) for ref in config.models),
        ("LORAS", partial(scan_adapters, config.loras, None)),
        ("EMBEDDINGS", partial(scan_adapters, None, config.embeddings)),
        ("CONTROLS", partial(scan_adapters, None, None, config.controls)),
        ("UPSCALER", lambda: describe_upscaler(config.upscaler) if config.upscaler else None),
        ("SIGNING_CERTIFICATE", certificate),
        ("DEVICE", partial(list_devices, config.device)),
    ]
    problems = []
    for setting, check in checks:
        try:
            check()
        except (ConfigError, UserError, OSError) as error:
            problems.append(str(error) if setting in str(error) else f"{setting}: {error}")
    return problems


def _require_usable_model(ref: str) -> None:
    require_local_files(describe_model(ref))


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


def make_worker(
    config: Config,
    registry: ModelRegistry | None = None,
    device: str | None = None,
    *,
    name: str = "",
    processes: int = 1,
) -> LocalWorker:
    """Build a worker for `registry`, or all configured models, on `device`, or the first one that DEVICE names.

    `processes` is the number of workers that share the machine. Raises like `load_registry` and `list_devices`. Also
    raises UserError for a model on this machine whose files are incomplete or damaged, FileNotFoundError if the
    upscaler does not exist, UserError if its file is not an upscaler, and ConfigError if images cannot be signed as
    configured.
    """
    registry = registry or load_registry(config)
    for model in registry.models:
        require_local_files(model)
    if config.sensitive_classifier and Path(config.sensitive_classifier).is_dir():
        check_classifier_files(config.sensitive_classifier)
    upscaler = describe_upscaler(config.upscaler) if config.upscaler else None
    return LocalWorker(
        registry,
        device or _own_device(config),
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
            processes=processes,
        ),
        name=name,
    )


def _own_device(config: Config) -> str:
    devices = list_devices(config.device)
    if not devices:
        raise ConfigError("DEVICE=none: this machine generates nothing itself")
    return devices[0]


def _limits(config: Config) -> QueueLimits:
    return QueueLimits(
        waiting_per_person=config.waiting_per_person,
        running_per_person=config.running_per_person,
        waiting_in_all=config.waiting_in_all,
    )
