"""The GPU process of another machine: an actor of Ray that runs one engine with that machine's own settings."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from generation import logs
from generation.cluster.event_merger import EventMerger
from generation.cluster.inventory import Inventory
from generation.cluster.node import NodeSettings, restricted
from generation.cluster.versions import Versions, own_versions
from generation.engine.base import Engine
from generation.errors import UserError, first_line
from generation.files.metadata import MetadataPolicy
from generation.messages import Crashed, Event, Inbound, Ready
from generation.models.files.upscaler import describe_upscaler
from generation.worker.engine_loader import LoadEngine, load_engine
from generation.worker.gpu_main import run_engine

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What a node says of itself before it loads anything."""

    versions: Versions
    inventory: Inventory
    device: str
    capacity: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a node generates for a bot: the models that both have, whether prompts go into files, and the log's form.

    `load` replaces the real engine in tests. With `describes`, the node's captioner is the bot's, and used.
    """

    models: frozenset[str]
    include_prompts: bool
    log_config: logs.LogConfig
    load: LoadEngine | None = None
    describes: bool = False


class Drawer:
    """Runs the engine of one device; `run` yields its events until it ends."""

    def __init__(self, index: int) -> None:
        self._settings = NodeSettings.from_environment()
        self._device = self._settings.devices[index]
        self._events = EventMerger()
        self._outer, self._inner = multiprocessing.Pipe()

    def report(self) -> NodeReport:
        """Return what this machine has."""
        return NodeReport(own_versions(), self._settings.take_inventory(), self._device, self._settings.capacity)

    def take(self, message: Inbound) -> None:
        """Hand a message to the engine, as a pipe from the bot would."""
        with contextlib.suppress(OSError):  # the engine has ended
            self._outer.send(message)

    def run(self, assignment: Assignment) -> Iterator[tuple[Event, ...]]:
        """Load the engine, serve jobs, and yield the events; the last one is `Crashed` if it fails."""
        logs.configure(assignment.log_config)
        threading.excepthook = lambda failed: self._end(failed.exc_value or failed.exc_type())
        threading.Thread(target=self._serve, args=(assignment,), name="engine", daemon=True).start()
        yield from self._events.batches()

    def _serve(self, assignment: Assignment) -> None:
        try:
            engine = self._load(assignment)
            self._events.emit(Ready(engine.model, engine.device))
            run_engine(engine, self._inner)
            self._events.close()
        except BaseException as error:
            self._end(error)

    def _load(self, assignment: Assignment) -> Engine:
        settings = self._settings
        registry = restricted(settings.load_registry(), assignment.models)
        if assignment.load is not None:
            return assignment.load(registry, self._device, settings.threads, self._events.emit)
        return load_engine(
            registry,
            self._device,
            settings.threads,
            self._events.emit,
            metadata_policy=MetadataPolicy(include_prompts=assignment.include_prompts),  # the bot signs
            classifier=settings.classifier,
            upscaler=describe_upscaler(Path(settings.upscaler)) if settings.upscaler else None,
            memory=settings.memory,
            describer=settings.describer if assignment.describes else "",
            compile_unets=settings.compile_unets,
            fp8=settings.fp8,
            processes=len(settings.devices),
        )

    def _end(self, error: BaseException) -> None:
        """End the stream with the reason; the bridge then ends, and Ray ends this process with it."""
        if isinstance(error, UserError):
            self._events.emit(Crashed(str(error), permanent=True))
        else:
            log.critical("the engine ends because of an unexpected error", exc_info=error)
            self._events.emit(Crashed(f"{type(error).__name__}: {first_line(error)}".removesuffix(": ")))
        self._events.close()
