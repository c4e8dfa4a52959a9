"""Machines join, part, come back and are refused, as a scripted scout reports them; the workers are real processes."""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from generation.cluster import membership
from generation.cluster.membership import Cluster
from generation.cluster.node import Node
from generation.cluster.scout import Nodes
from generation.cluster.versions import Versions
from generation.command_line import tool_as_typed
from generation.errors import MachineLost
from generation.messages import Ready
from generation.queue.limits import QueueLimits
from generation.queue.queue import Queue
from generation.worker.fleet import NO_WORKER, Fleet
from generation.worker.worker import LocalWorker
from tests.generation.worker.test_worker import SCRIPTED_REGISTRY, request
from tests.support import scripted_engine
from tests.support.fork_servers import forked_workers
from tests.support.timing import TIMEOUT_S

VERSIONS = Versions("0.2.0-12345678", "2.60.0", "3.11.7")
OTHER = replace(VERSIONS, ray="2.59.0")


def scout_from_file(file: Path, emit):
    """Report the nodes that a file lists whenever it changes; end without a word when it is gone."""
    known = None
    while file.exists():
        found = json.loads(file.read_text())
        if found != known:
            nodes = (Node(each[0], each[1], "10.0.0.9", each[2], Versions(*each[3])) for each in found)
            emit(Nodes(tuple(nodes)))
            known = found
        time.sleep(0.01)
    os._exit(1)  # as Ray ends a driver whose head is gone


@pytest.fixture(scope="module", autouse=True)
def _forked_processes():
    with forked_workers([__name__]):
        yield


class Room:
    """A cluster and the file that says which machines are there."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.fleet = Fleet([], SCRIPTED_REGISTRY)
        self.queue = Queue([], QueueLimits())
        self.cluster = Cluster(self.fleet, self.queue, VERSIONS, self._make_worker, partial(scout_from_file, file))

    def _make_worker(self, node: Node, index: int, name: str) -> LocalWorker:
        return LocalWorker(SCRIPTED_REGISTRY, f"cpu-{index}", 1, load=scripted_engine.load, name=name, bridge=True)

    def show(self, *nodes) -> None:
        values = [(each[0], each[1], each[2], (each[3].atelier, each[3].ray, each[3].python)) for each in nodes]
        temporary = self.file.with_suffix(".new")
        temporary.write_text(json.dumps(values))
        temporary.replace(self.file)

    @property
    def names(self) -> list[str]:
        return [worker.name for worker in self.fleet.workers]

    async def until(self, test) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while not test():  # noqa: ASYNC110 (a file tells it)
                await asyncio.sleep(0.005)

    async def until_ready(self, *names: str) -> None:
        await self.until(
            lambda: self.names == list(names) and all(isinstance(each.state, Ready) for each in self.fleet.workers)
        )


@asynccontextmanager
async def room(tmp_path):
    found = Room(tmp_path / "nodes.json")
    found.show()
    found.cluster.start()
    try:
        yield found
    finally:
        await found.cluster.close()
        await found.fleet.close()


def node(name, devices=1, versions=VERSIONS, number=1):
    return f"{name}-{number}", name, devices, versions


@pytest.fixture(autouse=True)
def retry_at_once(monkeypatch):
    monkeypatch.setattr(membership, "RETRY_S", 0.01)


async def test_a_machine_joins_with_all_its_devices_and_draws(tmp_path):
    async with room(tmp_path) as found:
        assert found.fleet.state is NO_WORKER
        found.show(node("alpha", devices=2), node("beta"))
        await found.until_ready("alpha-1", "alpha-2", "beta")
        assert [worker.state.device for worker in found.fleet.workers] == ["cpu-0:1", "cpu-1:1", "cpu-0:1"]
        grid = await found.fleet.workers[2].generate(request("fine"), lambda _: None)
        assert grid.tiles == (b"fine",)


async def test_a_machine_that_goes_loses_its_jobs_and_comes_back_as_another(tmp_path):
    async with room(tmp_path) as found:
        found.show(node("alpha"))
        await found.until_ready("alpha")
        first = found.fleet.workers[0]
        lost = asyncio.create_task(first.generate(request("fine", steps=10**6), lambda _: None))
        await asyncio.sleep(0.05)
        found.show()
        with pytest.raises(MachineLost):
            await lost
        await found.until(lambda: not found.names)
        with pytest.raises(MachineLost):
            await first.generate(request("fine"), lambda _: None)
        found.show(node("alpha", number=2))
        await found.until_ready("alpha")
        assert found.fleet.workers[0] is not first


async def test_without_the_head_no_machine_is_used_until_it_is_back(tmp_path):
    async with room(tmp_path) as found:
        found.show(node("alpha"))
        await found.until_ready("alpha")
        assert found.cluster.problem is None
        found.file.unlink()
        await found.until(lambda: not found.names)
        assert "does not answer" in found.cluster.problem
        found.show(node("alpha"))
        await found.until_ready("alpha")
        assert found.cluster.problem is None


async def test_another_version_does_not_join_and_is_told_once(tmp_path, caplog):
    async with room(tmp_path) as found:
        found.show(node("old", versions=OTHER), node("alpha"))
        await found.until_ready("alpha")
        assert tool_as_typed("pip", "install ray==2.60.0") in found.cluster.refused["old"]
        found.show(node("old", versions=OTHER))
        await found.until(lambda: not found.names)
        assert sum("old does not join" in record.message for record in caplog.records) == 1
        found.show(node("old"))
        await found.until_ready("old")
        assert not found.cluster.refused


async def test_of_two_machines_with_one_name_the_first_joins(tmp_path):
    async with room(tmp_path) as found:
        found.show(node("alpha"), node("alpha", number=2))
        await found.until_ready("alpha")
        assert "set NODE_NAME" in found.cluster.refused["alpha at 10.0.0.9"]


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("late", [node("alpha"), node("alpha", devices=2), node("alpha-2")])
async def test_a_machine_that_comes_later_never_takes_a_name_away(tmp_path, devices, late):
    async with room(tmp_path) as found:
        found.show(working := node("alpha", devices, number=5))
        await found.until(lambda: found.names)
        workers = found.fleet.workers
        found.show(late, working, node("beta"))
        await found.until(lambda: "beta" in found.names)
        assert found.fleet.workers[:devices] == workers
        assert len(set(found.names)) == len(found.names)
        fits = devices == 1 and late[1] == "alpha-2"
        assert found.names[devices:] == (["alpha-2", "beta"] if fits else ["beta"])
        assert ["set NODE_NAME" in reason for reason in found.cluster.refused.values()] == [True] * (not fits)


async def test_a_machine_does_not_take_the_name_of_the_bots_own(tmp_path):
    async with room(tmp_path) as found:
        own = LocalWorker(SCRIPTED_REGISTRY, "cpu", 1, load=scripted_engine.load, name="alpha")
        found.fleet.join(own)
        found.show(node("alpha"), node("beta"))
        await found.until(lambda: found.names == ["alpha", "beta"])
        assert found.fleet.workers[0] is own
        assert "set NODE_NAME" in found.cluster.refused["alpha at 10.0.0.9"]
