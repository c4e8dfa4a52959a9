"""The bot's side of a cluster, as `bot.services` builds it, without Discord; also as a program that can be killed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bot.config import Config
from bot.machines import make_cluster
from generation.cluster.membership import Cluster
from generation.messages import Ready
from generation.models.registry import ModelRegistry
from generation.queue.limits import QueueLimits
from generation.queue.queue import Queue
from generation.worker.engine_loader import LoadEngine
from generation.worker.fleet import Fleet
from generation.worker.worker import Worker
from tests.support import scripted_engine
from tests.support.timing import LOAD_TIMEOUT_S

SCRIPTED = "somebody/scripted"


class ClusterBot:
    """A fleet and a queue whose workers are the machines of a cluster."""

    def __init__(self, fleet: Fleet, queue: Queue, cluster: Cluster) -> None:
        self.fleet, self.queue, self.cluster = fleet, queue, cluster

    async def worker(self, name: str) -> Worker:
        """Wait until a machine is ready and return its worker."""
        async with asyncio.timeout(LOAD_TIMEOUT_S):
            while True:
                for worker in self.fleet.workers:
                    if worker.name == name and isinstance(worker.state, Ready):
                        return worker
                await asyncio.sleep(0.05)


@asynccontextmanager
async def cluster_bot(config: Config, load: LoadEngine | None = scripted_engine.load) -> AsyncIterator[ClusterBot]:
    """Yield a bot without a GPU of its own, and close it at the end."""
    fleet = Fleet([], ModelRegistry.from_refs(config.models))
    queue = Queue(fleet.workers, QueueLimits())
    cluster = make_cluster(config, fleet, queue, load)
    cluster.start()
    try:
        yield ClusterBot(fleet, queue, cluster)
    finally:
        await cluster.close()
        await fleet.close()


async def _run(head: str, here: str, files: str) -> None:
    config = Config(cluster=head, cluster_here=here, cluster_files=Path(files), models=(SCRIPTED,), device="none")
    async with cluster_bot(config) as bot:
        worker = await bot.worker("alpha")
        print(f"ready on {worker.name}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_run(*sys.argv[1:]))
