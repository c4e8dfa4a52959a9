"""Draining a worker loses no job: its running ones end, new ones go elsewhere, and it can be used again."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from bot.draining import Draining, describe_unknown, read_draining, set_draining
from generation.messages import Ready
from generation.queue.limits import QueueLimits
from generation.queue.queue import Queue
from generation.worker.fleet import Fleet
from generation.worker.worker import LocalWorker
from tests.generation.queue.test_queue import make_job
from tests.generation.worker.test_worker import SCRIPTED_REGISTRY, request
from tests.support import scripted_engine
from tests.support.timing import TIMEOUT_S


class Studio:
    """Two workers in real processes, their queue, and what drains them."""

    def __init__(self, folder, load_first=scripted_engine.load) -> None:
        loads = {"cuda:0": load_first, "cuda:1": scripted_engine.load}
        self.workers = [LocalWorker(SCRIPTED_REGISTRY, "cpu", 1, load=load, name=name) for name, load in loads.items()]
        self.fleet = Fleet(self.workers)
        self.queue = Queue(self.fleet.workers, QueueLimits(running_per_person=9))
        self.draining = Draining(self.fleet, self.queue, folder)
        self.drawn_by: list[str] = []

    async def draw(self, steps: int = 3):
        async with self.queue.acquire(make_job()) as slot:
            self.drawn_by.append(slot.worker.name)
            return await slot.worker.generate(request("fine", steps), lambda _: None)

    async def until(self, test) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while not test():  # noqa: ASYNC110 (processes tell it)
                await asyncio.sleep(0.005)

    async def until_ready(self) -> None:
        await self.until(lambda: all(isinstance(worker.state, Ready) for worker in self.workers))


@asynccontextmanager
async def studio(folder):
    found = Studio(folder)
    await found.fleet.start()
    try:
        await found.until_ready()
        yield found
    finally:
        await found.fleet.close()


async def test_a_drained_worker_ends_its_job_and_stops_and_can_be_used_again(tmp_path):
    async with studio(tmp_path) as found:
        first, _second = found.workers
        running = asyncio.create_task(found.draw(steps=300))
        await found.until(lambda: found.queue.running_on(first))
        await found.draining.apply(["cuda:0"])
        assert first.draining
        await asyncio.gather(*(found.draw() for _ in range(3)))
        assert found.drawn_by == ["cuda:0", "cuda:1", "cuda:1", "cuda:1"]
        assert (await running).tiles == (b"fine",)
        await found.draining.apply(["cuda:0"])
        assert first._process is None
        await found.draining.apply([])
        assert not first.draining
        await found.until_ready()
        await found.draining.apply(["cuda:1"])
        await found.draw()
        assert found.drawn_by[-1] == "cuda:0"


async def test_a_worker_drained_before_the_start_does_not_delay_the_others(tmp_path):
    found = Studio(tmp_path, load_first=scripted_engine.load_forever)
    await found.fleet.start()
    try:
        await found.draining.apply(["cuda:0"])
        await found.draw()
    finally:
        await found.fleet.close()
    assert found.drawn_by == ["cuda:1"]


async def test_a_worker_drained_before_the_start_is_started_once_it_is_used_again(tmp_path):
    found = Studio(tmp_path)
    second = found.workers[1]
    await found.fleet.start()
    try:
        await found.draining.apply(["cuda:1"])
        await found.draw()
        await found.fleet._starting
        assert second._process is None
        await found.draining.apply([])
        await found.until_ready()
    finally:
        await found.fleet.close()


async def test_a_worker_used_again_before_its_turn_has_one_process(tmp_path):
    found = Studio(tmp_path)
    second = found.workers[1]
    await found.fleet.start()
    try:
        await found.draining.apply(["cuda:1"])
        await found.draining.apply([])
        process = second._process
        await found.fleet._starting
        assert second._process is process is not None
    finally:
        await found.fleet.close()


async def test_jobs_wait_while_every_worker_is_drained(tmp_path):
    async with studio(tmp_path) as found:
        names = ["cuda:0", "cuda:1"]
        await found.draining.apply(names)
        waiting = asyncio.create_task(found.draw())
        await asyncio.sleep(0.05)
        assert len(found.queue.waiting) == 1
        await found.draining.apply(names[:1])
        assert (await waiting).tiles == (b"fine",)
        assert found.drawn_by == ["cuda:1"]


async def test_the_bot_follows_the_file_that_the_command_writes(tmp_path, monkeypatch):
    monkeypatch.setattr("bot.draining.INTERVAL_S", 0.01)
    async with studio(tmp_path) as found:
        follower = asyncio.create_task(found.draining.follow())
        set_draining(tmp_path, "cuda:1", drained=True)
        await found.until(lambda: found.workers[1].draining)
        set_draining(tmp_path, "cuda:1", drained=False)
        await found.until(lambda: not found.workers[1].draining)
        await found.until((tmp_path / "workers").exists)
        follower.cancel()
        assert describe_unknown(tmp_path, "cuda:1") == ""
        assert "sees no cuda:9 now" in (unknown := describe_unknown(tmp_path, "cuda:9"))
        assert unknown.endswith("It sees: cuda:0, cuda:1")


def test_nothing_is_called_unknown_before_the_bot_has_looked(tmp_path):
    assert describe_unknown(tmp_path, "cuda:9") == ""
    (tmp_path / "workers").write_text("")
    assert describe_unknown(tmp_path, "cuda:9").endswith("It sees: none with a name")


def test_names_are_kept_once_each_until_they_are_taken_back(tmp_path):
    data = tmp_path / "data"
    assert read_draining(data) == []
    assert set_draining(data, "alpha", drained=True) == ["alpha"]
    assert set_draining(data, "beta", drained=True) == ["alpha", "beta"]
    assert set_draining(data, "alpha", drained=True) == ["beta", "alpha"]
    assert set_draining(data, "alpha", drained=False) == ["beta"] == read_draining(data)


@pytest.mark.parametrize(
    ("name", "drained"), [("alpha", [True, True, False]), ("alpha-1", [True, False, False]), ("alp", [False] * 3)]
)
async def test_a_machines_name_drains_all_its_devices_and_an_unknown_one_is_told_once(tmp_path, caplog, name, drained):
    workers = [
        LocalWorker(SCRIPTED_REGISTRY, load=scripted_engine.load, name=each)
        for each in ("alpha-1", "alpha-2", "alphabet-1")
    ]
    fleet = Fleet(workers)
    draining = Draining(fleet, Queue(workers, QueueLimits()), tmp_path)
    for _ in range(2):
        await draining.apply([name])
    assert [worker.draining for worker in workers] == drained
    assert sum("there is no worker alp" in record.message for record in caplog.records) == (not any(drained))
