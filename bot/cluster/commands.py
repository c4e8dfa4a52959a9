"""`cluster init`, `head`, `join` and `show`: everything that a cluster needs beside the bot."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from bot.cluster.ray_process import run_until_stopped, session_folder, taken_port
from bot.config import NO_DEVICE, Config, ConfigError
from bot.machines import cluster_files, head_of, list_nodes, machine_name, own_address
from bot.workers import find_unusable_files
from generation.cluster.files import ClusterFiles
from generation.cluster.hello import HeadUnreachable, answering, ask
from generation.cluster.node import NAME, RESOURCE, NodeSettings, labels_of
from generation.cluster.ray_settings import (
    Head,
    head_command,
    node_command,
    ray_environment,
)
from generation.cluster.versions import Versions, own_versions
from generation.command_line import as_typed
from generation.worker.devices import list_devices

REJOIN_S = 5.0  # between two attempts to find the head


def init(config: Config) -> int:
    """Write the token and the certificates of a new cluster, and say what to do with them."""
    own_versions()  # raises UserError where no cluster can run
    files = cluster_files(config)
    files.create()
    names = ", ".join(str(file) for file in (files.token, files.authority, files.authority_key))
    print(f"{files.folder}: the token and the certificates of the cluster, readable by you only.")
    print(
        "Whoever has this folder can run programs on every machine of the cluster.\n\n"
        "1. Here, set CLUSTER in .env to this machine's address, such as CLUSTER=10.0.0.5:6380.\n"
        f"   Then run: {as_typed('cluster head')}\n"
        f"2. Copy {names} to data/cluster of each other machine, for instance with scp.\n"
        f"   There run: {as_typed('cluster join ADDRESS:PORT')}"
    )
    return 0


def head(config: Config, store_bytes: int) -> int:
    """Run the head until it is stopped; machines that want to join are told which versions they need."""
    at, files, versions = head_of(config), cluster_files(config), own_versions()
    own = files.for_machine(config.cluster_here or at.host)
    folder = _session_folder(files)
    try:
        with answering(at, own, versions):
            print(f"The head of the cluster is at {at}. Other machines: {as_typed(f'cluster join {at}')}", flush=True)
            return run_until_stopped(
                head_command(at, folder, store_bytes), {**os.environ, **ray_environment(own)}, folder
            )
    except OSError as error:
        raise ConfigError(f"the head cannot listen at {at} or the ports above it: {error.strerror or error}") from None


def join(config: Config, port: int, store_bytes: int, *, once: bool = False) -> int:
    """Join the head as a machine that generates, and again whenever the connection was lost, until stopped.

    Raise ConfigError if this machine does not fit, with what to install.
    """
    at, files, versions = head_of(config), cluster_files(config), own_versions()
    settings, name = _node_settings(config), _node_name(config)
    here = own_address(config, at)
    own = files.for_machine(here)
    environment = {**os.environ, **ray_environment(own), **settings.as_environment()}
    folder = _session_folder(files)
    resources = json.dumps({RESOURCE: len(settings.devices)})
    command = node_command(at, here, port, folder, resources, labels_of(name, versions), store_bytes)
    while True:
        _wait_for_head(at, files, here, versions)
        _wait_for_ports(port)
        print(f"{name} at {here} joins {at} with {', '.join(settings.devices)}.", flush=True)
        code = run_until_stopped(command, environment, folder)
        if code == 0 or once:
            return code
        print(f"The connection to {at} was lost. It is tried again.", file=sys.stderr, flush=True)
        time.sleep(REJOIN_S)


def show(config: Config) -> int:
    """Print the machines of the cluster, and what keeps some of them from generating."""
    at, files, versions = head_of(config), cluster_files(config), own_versions()
    here = own_address(config, at)
    try:
        ask(at, files.for_machine(here))
    except HeadUnreachable as error:
        raise ConfigError(f"{error}. Is `{as_typed('cluster head')}` running there?") from None
    nodes = list_nodes(at, here, files)
    if not nodes:
        print(f"The head at {at} runs, but no machine has joined.")
    for node in nodes:
        problems = node.problems(versions, nodes)
        verdict = f"does not fit: {' '.join(problems)}" if problems else "fits"
        print(f"{node.name:<20} {node.address:<16} devices: {node.devices:<3} {verdict}")
    return 0


def with_head(config: Config, address: str | None) -> Config:
    """Return the settings with the head that the command line names, if it names one."""
    return replace(config, cluster=Config.read({"CLUSTER": address}).cluster) if address else config


def _node_settings(config: Config) -> NodeSettings:
    if config.device == NO_DEVICE:
        raise ConfigError("DEVICE=none: a machine that joins must generate. Remove it from this machine's .env.")
    if problems := find_unusable_files(config):
        raise ConfigError(*problems)
    return NodeSettings(
        models=tuple(_absolute(ref) for ref in config.models),
        devices=list_devices(config.device),
        loras=_absolute_or_empty(config.loras),
        embeddings=_absolute_or_empty(config.embeddings),
        controls=_absolute_or_empty(config.controls),
        image_adapters=_absolute_or_empty(config.image_adapters),
        upscaler=_absolute_or_empty(config.upscaler),
        classifier=_absolute(config.sensitive_classifier) if config.sensitive_classifier else "",
        describer=_absolute(config.describer) if config.describer else "",
        threads=config.threads,
        memory=config.model_memory,
        capacity=config.jobs_at_once,
        compile_unets=config.compile,
        fp8=config.fp8,
    )


def _node_name(config: Config) -> str:
    name = machine_name(config)
    if not NAME.fullmatch(name):
        raise ConfigError(f"the name of this machine, {name!r}, cannot be used: set NODE_NAME")
    return name


def _wait_for_head(at: Head, files: ClusterFiles, here: str, versions: Versions) -> None:
    """Return when the head answers. Raise ConfigError if this machine does not fit it."""
    told = False
    while True:
        try:
            answer = ask(at, files.for_machine(here))
        except HeadUnreachable as error:
            if not told:
                print(f"Waiting for the head: {error}.", file=sys.stderr, flush=True)
                told = True
            time.sleep(REJOIN_S)
            continue
        if not answer.knows_token:
            raise ConfigError(f"the head at {at} does not know this token: copy the files of `cluster init` again")
        if mismatches := versions.mismatches(answer.versions):
            raise ConfigError(*(f"this machine does not fit: {each}" for each in mismatches))
        return


def _wait_for_ports(first: int) -> None:
    """Return when no other program listens at this machine's ports; Ray itself would wait without a word."""
    told = False
    while (taken := taken_port(first)) is not None:
        if not told:
            print(
                f"Waiting for port {taken}: another program has it. If that is another node, use --port.",
                file=sys.stderr,
                flush=True,
            )
            told = True
        time.sleep(REJOIN_S)


def _session_folder(files: ClusterFiles) -> Path:
    """Return where Ray keeps its sockets and logs: beside the token, since the bot must reach them and others not."""
    return session_folder(files.folder.resolve() / "ray")


def _absolute(ref: str) -> str:
    return str(Path(ref).resolve()) if Path(ref).exists() else ref


def _absolute_or_empty(path: Path | None) -> str:
    return str(path.resolve()) if path else ""
