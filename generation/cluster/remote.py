"""The bridge: the process between the bot and a GPU of another machine. It is a driver of Ray; the bot is none.

Ray ends a driver whose head is gone. So the process that the bot starts for each GPU is the driver, and its end is as
ordinary to the bot as the end of a local GPU process.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from generation import logs
from generation.cluster.drawer import Assignment, Drawer, NodeReport
from generation.cluster.files import ClusterFiles
from generation.cluster.inventory import common, take_inventory
from generation.cluster.node import RESOURCE, Node
from generation.cluster.ray_settings import Head, ray_environment
from generation.cluster.versions import own_versions
from generation.engine.base import Emit
from generation.errors import MachineLost, UserError, first_line
from generation.files.metadata import MetadataPolicy, Signer
from generation.messages import (
    Cancel,
    Crashed,
    Event,
    Failed,
    Finished,
    Generate,
    Grid,
    Inbound,
    Loaded,
    Offered,
    Read,
    Ready,
)
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.params import Params, Tile
from generation.worker.engine_loader import LoadEngine
from generation.worker.gpu_main import end_process

log = logging.getLogger(__name__)

REPORT_TIMEOUT_S = 120.0  # a node reads parts of all its models' files
MESSAGES, STREAM = "messages", "stream"  # groups of calls: one at a time each, so messages stay in order


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    """How a process of the bot's machine reaches the cluster."""

    head: Head
    here: str
    files: ClusterFiles

    def connect(self) -> Any:
        """Become a driver of the cluster and return Ray."""
        os.environ.update(ray_environment(self.files.for_machine(self.here)))
        import ray

        ray.init(
            address=str(self.head),
            _node_ip_address=self.here,
            configure_logging=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        return ray


@dataclass(frozen=True, slots=True)
class BotFiles:
    """The files of the bot's machine that decide what is generated, and with what results are signed."""

    metadata_policy: MetadataPolicy
    classifier: str = ""
    upscaler: Path | None = None
    describer: str = ""


def load_remote(
    registry: ModelRegistry,
    device: str,
    threads: int,
    emit: Emit,
    *,
    access: ClusterAccess,
    node: Node,
    index: int,
    bot: BotFiles,
    load: LoadEngine | None = None,
) -> RemoteEngine:
    """Start the engine of a node's device number `index`; the node's own settings replace `device` and `threads`.

    Raise UserError if that machine cannot generate what the bot would.
    """
    ray = access.connect()
    try:
        drawer = _start_drawer(ray, node, index)
        report = ray.get(drawer.report.options(concurrency_group=MESSAGES).remote(), timeout=REPORT_TIMEOUT_S)
        offered = _compare(node, report, registry, bot)
        emit(offered)
        prompts, log_config = bot.metadata_policy.include_prompts, logs.for_process("gpu")
        assignment = Assignment(offered.models, prompts, log_config, load, describes=offered.captioner)
        stream = _stream(ray, drawer, assignment, node)
        engine = RemoteEngine(drawer, stream, registry, bot.metadata_policy.load_signer(), emit)
    except ray.exceptions.RayError as error:
        raise _lost(ray, node, error) from None
    engine.wait_until_ready()
    return engine


def _start_drawer(ray: Any, node: Node, index: int) -> Any:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    actor = ray.remote(concurrency_groups={MESSAGES: 1, STREAM: 1})(Drawer)
    return actor.options(
        name=None,
        num_cpus=0,
        resources={RESOURCE: 1},
        max_restarts=0,
        scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False),
    ).remote(index)


def _compare(node: Node, report: NodeReport, registry: ModelRegistry, bot: BotFiles) -> Offered:
    """Return what a node can generate as the bot would. Raise UserError if that is nothing."""
    own = take_inventory(registry, bot.classifier, bot.upscaler, bot.describer)
    problems = report.versions.mismatches(own_versions()) or report.inventory.problems(own)
    if problems:
        raise UserError(f"{node.name} cannot generate for this bot: {'; '.join(problems)}")
    for difference in report.inventory.differences(own):
        log.warning("%s goes without some jobs: %s", node.name, difference)
    found = report.inventory
    return Offered(
        models=common(found.models, own.models),
        loras=common(found.loras, own.loras),
        controls=common(found.controls, own.controls),
        image_adapters=common(found.image_adapters, own.image_adapters),
        missing_embeddings=frozenset(own.embeddings) - common(found.embeddings, own.embeddings),
        capacity=report.capacity,
        captioner=found.has_captioner_of(own),
    )


def _stream(ray: Any, drawer: Any, assignment: Assignment, node: Node) -> Iterator[Event]:
    """Yield a node's events; raise MachineLost or WorkerCrashed when it ends by itself."""
    stream = drawer.run.options(num_returns="streaming", concurrency_group=STREAM).remote(assignment)
    try:
        for batch in stream:
            yield from ray.get(batch)
    except ray.exceptions.RayError as error:
        raise _lost(ray, node, error) from None


def _lost(ray: Any, node: Node, error: Exception) -> Exception:
    """Return the error of an actor that ended: that of its process, or that of its machine."""
    is_alive = any(each["NodeID"] == node.id and each["Alive"] for each in ray.nodes())
    died = isinstance(error, ray.exceptions.ActorDiedError) and is_alive
    text = f"{node.name}: {'its GPU process died' if died else 'the machine, or the line to it, was lost'}"
    log.warning("%s (%s)", text, first_line(error))
    return RuntimeError(text) if died else MachineLost(text)


class RemoteEngine:
    """Looks like an engine to the bridge's loop: hands messages on to the node, and its events to the bot."""

    busy = False  # so the loop waits for the bot's messages and makes no steps

    def __init__(
        self, drawer: Any, stream: Iterator[Event], registry: ModelRegistry, signer: Signer, emit: Emit
    ) -> None:
        self._drawer, self._stream, self._registry, self._emit = drawer, stream, registry, emit
        self._signer = signer
        self._params: dict[str, Params] = {}
        self.model = registry.default
        self.device = ""

    def wait_until_ready(self) -> None:
        """Hand on how loading goes until the node is ready, then go on in a thread."""
        for event in self._stream:
            if isinstance(event, Ready):
                self.model, self.device = self._own(event.model), event.device
                break
            self._relay(event)
        else:
            raise MachineLost("the node's process ended")
        threading.Thread(target=self._relay_all, name="stream", daemon=True).start()

    def add(self, request: Generate) -> None:
        """Hand a job on; the name of the bot's default model is filled in, and there is room for a signature."""
        self._params[request.job_id] = request.params
        named = replace(request.params, model=self._registry.model_name(request.params))
        limit = request.upload_limit - self._signer.max_signature_bytes
        self._send(replace(request, params=named, upload_limit=limit))

    def cancel(self, job_id: str) -> None:
        """Hand a cancellation on."""
        self._send(Cancel(job_id))

    def step(self) -> None:
        """Make no step: the node does."""

    def close(self) -> None:
        """Do nothing: Ray ends the node's process when this one ends."""

    def _send(self, message: Inbound) -> None:
        self._drawer.take.options(concurrency_group=MESSAGES).remote(message)

    def _relay_all(self) -> None:
        for event in self._stream:
            self._relay(event)
        raise MachineLost("the node's process ended")  # the hook of threads ends this process

    def _relay(self, event: Event) -> None:
        match event:
            case Loaded(model, seconds):
                event = Loaded(self._own(model), seconds)
            case Finished(job_id, grid):
                event = Finished(job_id, self._signed(job_id, grid, self._params.pop(job_id)))
            case Read(job_id) | Failed(job_id):
                self._params.pop(job_id, None)
        self._emit(event)
        if isinstance(event, Crashed):  # the node's process cannot go on, and ends when this one does
            end_process(1)

    def _own(self, model: Model) -> Model:
        """Return a node's description of a loaded model, with this machine's paths."""
        own = self._registry.find(model.name) or model
        return replace(model, name=own.name, ref=own.ref, partner=own.partner)

    def _signed(self, job_id: str, grid: Grid, params: Params) -> Grid:
        tiles = tuple(
            self._signer.sign(tile, "png", params, str(Tile(job_id, index))) for index, tile in enumerate(grid.tiles)
        )
        is_tile = len(tiles) == 1 and grid.image == grid.tiles[0]
        image = tiles[0] if is_tile else self._signer.sign(grid.image, grid.suffix, params, job_id)
        return replace(grid, tiles=tiles, image=image)
