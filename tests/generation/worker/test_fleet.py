"""Several workers in real processes start one after another, share what they know, and end together."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from generation.errors import WorkerCrashed, WorkerLost
from generation.messages import Loading, Ready
from generation.models.registry import ModelRegistry
from generation.worker import fleet as fleet_module
from generation.worker.fleet import Fleet
from generation.worker.worker import Broken, LocalWorker, Restarting
from tests.generation.worker.test_worker import SCRIPTED_REGISTRY, request
from tests.support import scripted_engine
from tests.support.fork_servers import forked_workers
from tests.support.timing import TIMEOUT_S

TWO_MODELS = ModelRegistry.from_refs(["somebody/scripted", "somebody/other"])


def load_when_allowed(folder, name, registry, device, threads, emit):
    """Load as soon as the file `go` is there; `folder` then has the pid of the process."""
    (folder / name).write_text(str(os.getpid()))
    while not (folder / f"{name} may go").exists():
        scripted_engine.time.sleep(0.005)
    return scripted_engine.load_multi_model(registry, device, threads, emit)


@pytest.fixture(scope="module", autouse=True)
def _forked_processes():
    with forked_workers([__name__]):
        yield


def make_worker(folder: Path, name: str, registry=SCRIPTED_REGISTRY, **settings) -> LocalWorker:
    load = partial(load_when_allowed, folder, name)
    return LocalWorker(registry, "cpu", 1, load=load, retry_after=(0.0, 30.0), name=name, **settings)


@asynccontextmanager
async def running(*workers):
    fleet = Fleet(workers)
    await fleet.start()
    try:
        yield fleet
    finally:
        await fleet.close()
        assert not multiprocessing.active_children()


async def until(test):
    async with asyncio.timeout(TIMEOUT_S):
        while not test():  # noqa: ASYNC110 (processes tell it by files)
            await asyncio.sleep(0.005)


def allow(folder, *names):
    for name in names:
        (folder / f"{name} may go").touch()


def is_ready(worker):
    return isinstance(worker.state, Ready)


def ignore(_):
    pass


async def test_each_starts_when_the_one_before_it_is_ready(tmp_path):
    one, two = make_worker(tmp_path, "one"), make_worker(tmp_path, "two")
    async with running(one, two) as fleet:
        await until((tmp_path / "one").exists)
        assert isinstance(fleet.state, Loading)
        assert not multiprocessing.active_children()[1:]
        allow(tmp_path, "one")
        await until(lambda: is_ready(one))
        assert fleet.state is one.state
        assert (await one.generate(request("fine"), ignore)).tiles == (b"fine",)
        await until((tmp_path / "two").exists)
        allow(tmp_path, "two")
        await until(lambda: is_ready(two))
        assert {process.name for process in multiprocessing.active_children()} == {"gpu one", "gpu two"}


async def test_the_others_start_after_one_that_fails_or_takes_too_long(tmp_path, monkeypatch):
    broken = LocalWorker(SCRIPTED_REGISTRY, load=scripted_engine.load_another_family, name="broken")
    slow, last = make_worker(tmp_path, "slow"), make_worker(tmp_path, "last")
    monkeypatch.setattr(fleet_module, "START_TIMEOUT_S", 0.05)
    allow(tmp_path, "last")
    async with running(broken, slow, last) as fleet:
        await until(lambda: is_ready(last) and isinstance(broken.state, Broken))  # whichever is slower
        assert isinstance(slow.state, Loading)
        assert isinstance(fleet.state, Ready)


async def test_one_that_is_killed_comes_back_and_the_others_go_on(tmp_path):
    one, two = make_worker(tmp_path, "one"), make_worker(tmp_path, "two")
    allow(tmp_path, "one", "two")
    async with running(one, two) as fleet:
        await until(lambda: is_ready(one) and is_ready(two))
        started = asyncio.Event()
        dying = asyncio.create_task(one.generate(request("long", steps=10**6), lambda _: started.set()))
        await asyncio.wait_for(started.wait(), TIMEOUT_S)
        os.kill(int((tmp_path / "one").read_text()), signal.SIGKILL)
        with pytest.raises(WorkerLost, match="the GPU process of one died"):
            await dying
        assert isinstance(one.state, Restarting)
        assert isinstance(fleet.state, Ready)
        assert (await two.generate(request("fine"), ignore)).tiles == (b"fine",)
        await until(lambda: is_ready(one))


async def test_a_crash_by_an_error_of_its_own_is_no_loss(tmp_path):
    worker = make_worker(tmp_path, "one")
    allow(tmp_path, "one")
    async with running(worker):
        with pytest.raises(WorkerCrashed) as crash:
            await worker.generate(request("crash"), ignore)
        assert not isinstance(crash.value, WorkerLost)


async def test_what_one_learns_about_a_model_all_know(tmp_path):
    one, two = make_worker(tmp_path, "one", TWO_MODELS), make_worker(tmp_path, "two", TWO_MODELS)
    allow(tmp_path, "one", "two")
    async with running(one, two) as fleet:
        await until(lambda: is_ready(one) and is_ready(two))
        wanted = request("fine")
        await two.generate(replace(wanted, params=replace(wanted.params, model="other")), ignore)
        assert fleet.registry is one.registry is two.registry
        assert [model.native_size for model in fleet.registry.models] == [64, 128]
        assert fleet.loaded_models == {"scripted", "other"}
        assert one.loaded_models == {"scripted"}


async def test_closing_ends_those_that_run_load_or_wait_for_their_turn(tmp_path, monkeypatch):
    monkeypatch.setattr("generation.worker.worker.EXIT_GRACE", 0.1)
    allow(tmp_path, "ready")
    ready, loading, waiting = (make_worker(tmp_path, name) for name in ("ready", "loading", "waiting"))
    async with running(ready, loading, waiting):
        await until((tmp_path / "loading").exists)
    assert not (tmp_path / "waiting").exists()
    for worker in (ready, loading, waiting):
        with pytest.raises(WorkerCrashed):
            await worker.generate(request("fine"), ignore)


def test_its_state_is_that_of_the_most_usable_worker():
    def state_of(*states):
        workers = [LocalWorker(SCRIPTED_REGISTRY) for _ in states]
        for worker, state in zip(workers, states, strict=True):
            worker.state = state
        return Fleet(workers).state

    ready, loading = Ready(SCRIPTED_REGISTRY.default, "cpu"), Loading("unet", 0, 1)
    broken, restarting = Broken("no model"), Restarting("died")
    assert state_of(broken, restarting, loading, ready) is ready
    assert state_of(broken, restarting, loading) is loading
    assert state_of(broken, restarting) is restarting
    assert state_of(broken, Broken("another")) is broken
