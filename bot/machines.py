"""Build what the bot needs to use the GPUs of other machines."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

from bot.config import Config, ConfigError, split_address
from bot.images.metadata import metadata_policy
from generation.cluster.files import ClusterFiles
from generation.cluster.membership import Cluster
from generation.cluster.node import Node
from generation.cluster.ray_settings import Head
from generation.cluster.remote import BotFiles, ClusterAccess, load_remote
from generation.cluster.scout import watch_nodes
from generation.cluster.versions import Versions, own_versions
from generation.command_line import ROOT
from generation.errors import UserError
from generation.queue.queue import Queue
from generation.worker.engine_loader import LoadEngine
from generation.worker.fleet import Fleet
from generation.worker.worker import LocalWorker

DEFAULT_FOLDER = "cluster"  # in DATA_DIR
LIST_TIMEOUT_S = 60.0


def head_of(config: Config) -> Head:
    """Return where the head of the cluster is. Raise ConfigError without CLUSTER."""
    if not config.cluster:
        raise ConfigError("CLUSTER is not set: the address of the bot's machine with a port, such as 10.0.0.5:6380")
    return Head(*split_address("CLUSTER", config.cluster))


def machine_name(config: Config) -> str:
    """Return what this machine is called among those of the cluster."""
    return config.node_name or socket.gethostname().partition(".")[0]


def cluster_files(config: Config) -> ClusterFiles:
    """Return the files of the cluster, which may be missing."""
    return ClusterFiles(config.cluster_files or config.data_dir / DEFAULT_FOLDER)


def own_address(config: Config, head: Head) -> str:
    """Return the address by which other machines reach this one: that of the network on which the head is."""
    if config.cluster_here:
        return config.cluster_here
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        with suppress(OSError):  # an address of another machine
            probe.bind((head.host, 0))
            return head.host
        probe.connect((head.host, head.port))  # nothing is sent
        return str(probe.getsockname()[0])


def list_nodes(at: Head, here: str, files: ClusterFiles) -> list[Node]:
    """Return the machines that have joined. Raise ConfigError if Ray does not say.

    It is asked in a process of its own, since it may end the process that asks.
    """
    command = [
        *(sys.executable, "-m", "generation.cluster.scout"),
        *("--host", at.host, "--port", str(at.port), "--here", here, "--files", str(files.folder.resolve())),
    ]
    try:
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIST_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise ConfigError(f"Ray at {at} did not answer within {LIST_TIMEOUT_S:g} s") from None
    if found.returncode != 0:
        last = next(reversed(found.stderr.strip().splitlines()), "no reason was given")
        raise ConfigError(f"Ray at {at} cannot be asked from here: {last}")
    return [Node(**{**each, "versions": Versions(**each["versions"])}) for each in json.loads(found.stdout)]


def make_cluster(config: Config, fleet: Fleet, queue: Queue, load: LoadEngine | None = None) -> Cluster:
    """Build what lets the machines of the cluster join; `load` replaces their engine in tests.

    Raise ConfigError if a file or a package is missing.
    """
    head, files = head_of(config), cluster_files(config)
    try:
        versions = own_versions()
        files.require()
    except UserError as error:
        raise ConfigError(f"CLUSTER is set, but {str(error)[:1].lower()}{str(error)[1:]}") from None
    access = ClusterAccess(head, config.cluster_here or head.host, files)
    bot = BotFiles(metadata_policy(config), config.sensitive_classifier, _path(config.upscaler), config.describer)

    def make_worker(node: Node, index: int, name: str) -> LocalWorker:
        return LocalWorker(
            fleet.registry,
            "cluster",
            step_timeout=config.step_timeout,
            load=partial(load_remote, access=access, node=node, index=index, bot=bot, load=load),
            name=name,
            bridge=True,
        )

    return Cluster(fleet, queue, versions, make_worker, partial(watch_nodes, access=access))


def _path(file: Path | None) -> Path | None:
    return file.resolve() if file else None
