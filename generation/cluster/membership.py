"""Which machines of the cluster the bot uses: their workers join and part while it runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import NoReturn

from generation.cluster.node import NAME_TAKEN, Node
from generation.cluster.scout import Nodes
from generation.cluster.versions import Versions
from generation.messages import Crashed, Event
from generation.queue.queue import Queue
from generation.worker.fleet import Fleet
from generation.worker.process import GpuProcess
from generation.worker.worker import Worker

RETRY_S = 3.0  # until the scout is started again, where the head cannot be reached

log = logging.getLogger(__name__)

MakeWorker = Callable[[Node, int, str], Worker]
_Key = tuple[str, int]  # a node's id, which is new each time it joins, and the number of its device


class Cluster:
    """Keeps the workers of other machines in step with the machines that are there."""

    def __init__(
        self,
        fleet: Fleet,
        queue: Queue,
        versions: Versions,
        make_worker: MakeWorker,
        scout: Callable[[Callable[[Nodes], None]], NoReturn],
    ) -> None:
        self._fleet, self._queue, self._versions = fleet, queue, versions
        self._make_worker, self._scout = make_worker, scout
        self._workers: dict[_Key, Worker] = {}
        self._process: GpuProcess | None = None
        self._restart: asyncio.TimerHandle | None = None
        self._closing = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._reason = ""
        self.problem: str | None = "the head of the cluster has not answered yet"
        self.refused: dict[str, str] = {}

    def start(self) -> None:
        """Start to look for machines."""
        self._restart = None
        self._process = GpuProcess(self._scout, self._on_event, self._on_end, "scout")

    async def close(self) -> None:
        """Stop looking; the fleet closes the workers."""
        self._closing = True
        if self._restart is not None:
            self._restart.cancel()
        if self._process is not None:
            self._process.kill()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _on_event(self, event: Nodes | Event) -> None:
        match event:
            case Nodes(nodes):
                self.problem = None
                self._update(nodes)
            case Crashed(text):
                self._reason = text

    def _on_end(self, exit_code: int | None) -> None:
        self._process = None
        if self._closing:
            return
        problem = f"the head of the cluster does not answer{f': {self._reason}' if self._reason else ''}"
        if problem != self.problem:
            log.warning("%s; machines join again when it is back", problem)
        self.problem, self._reason = problem, ""
        self._update(())
        self._restart = asyncio.get_running_loop().call_later(RETRY_S, self.start)

    def _update(self, nodes: tuple[Node, ...]) -> None:
        welcome = self._welcome(nodes)
        wanted = {(node.id, index): node for node in welcome for index in range(node.devices)}
        for key in self._workers.keys() - wanted.keys():
            self._part(key)
        for (node_id, index), node in wanted.items():
            if (node_id, index) not in self._workers:
                self._join((node_id, index), node)

    def _welcome(self, nodes: tuple[Node, ...]) -> list[Node]:
        """Return the machines that fit; say why others do not, once. Whoever has joined keeps its name."""
        refused, welcome, joined = dict[str, str](), list[Node](), {node_id for node_id, _ in self._workers}
        taken = {worker.name for worker in self._fleet.workers if worker not in self._workers.values()}
        for node in sorted(nodes, key=lambda node: node.id not in joined):
            if mismatches := node.versions.mismatches(self._versions):
                refused[node.name] = " ".join(mismatches)
            elif node.names & taken:
                refused[f"{node.name} at {node.address}"] = NAME_TAKEN
            else:
                taken |= node.names
                welcome.append(node)
        for name, reason in refused.items():
            if self.refused.get(name) != reason:
                log.error("%s does not join: %s", name, reason)
        self.refused = refused
        return welcome

    def _join(self, key: _Key, node: Node) -> None:
        name = node.worker_names[key[1]]
        log.info("%s joins", name)
        worker = self._workers[key] = self._make_worker(node, key[1], name)
        self._fleet.join(worker)
        self._queue.join(worker)
        self._spawn(worker.start())

    def _part(self, key: _Key) -> None:
        worker = self._workers.pop(key)
        log.warning("%s is gone; its jobs go back into the queue", worker.name)
        self._fleet.part(worker)
        self._queue.part(worker)
        self._spawn(worker.close())

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
