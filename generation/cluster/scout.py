"""Tell the bot which machines are there: another process that is a driver of Ray, so that the bot need not be one."""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from generation.cluster.files import ClusterFiles
from generation.cluster.node import Node, node_from_ray
from generation.cluster.ray_settings import Head
from generation.cluster.remote import ClusterAccess

INTERVAL_S = 2.0


@dataclass(frozen=True, slots=True)
class Nodes:
    """The machines that are there now, by name."""

    nodes: tuple[Node, ...]


def watch_nodes(emit: Callable[[Nodes], None], *, access: ClusterAccess) -> NoReturn:
    """Report the machines now and whenever they have changed, until the process is killed."""
    ray = access.connect()
    known = None
    while True:
        if (found := list_nodes(ray)) != known:
            emit(Nodes(found))
            known = found
        time.sleep(INTERVAL_S)


def list_nodes(ray: object) -> tuple[Node, ...]:
    """Return the machines that have joined, ordered by name."""
    found = filter(None, map(node_from_ray, ray.nodes()))  # type: ignore[attr-defined]
    return tuple(sorted(found, key=lambda node: (node.name, node.id)))


def main() -> None:
    """Print the machines as JSON; `cluster show` runs this in a process of its own."""
    parser = argparse.ArgumentParser()
    for name in ("host", "here", "files"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    logging.disable(logging.ERROR)
    access = ClusterAccess(Head(given.host, given.port), given.here, ClusterFiles(Path(given.files)))
    print(json.dumps([asdict(node) for node in list_nodes(access.connect())]), flush=True)


if __name__ == "__main__":
    main()
