"""The worker with the real engine and a tiny model in its process, alone and beside another."""

from __future__ import annotations

import asyncio
import io
import json
import multiprocessing
import os
import shutil
import signal

import pytest
from PIL import Image, ImageChops

from bot.config import Config
from bot.services import make_fleet
from generation.errors import UserError, WorkerCrashed, WorkerLost
from generation.messages import Generate, Ready
from generation.models.registry import ModelRegistry
from generation.params import Params, PromptPart
from generation.worker import process
from generation.worker.worker import LocalWorker
from tests.support.fork_servers import engine_fork_server, engine_server
from tests.support.timing import LOAD_TIMEOUT_S, TIMEOUT_S

__all__ = ["engine_fork_server", "engine_server"]


@pytest.fixture
async def worker(tiny_model, tmp_path, engine_fork_server, monkeypatch):
    monkeypatch.setattr(process, "multiprocessing", engine_fork_server)
    second = tmp_path / "second"
    shutil.copytree(tiny_model, second, copy_function=os.symlink)
    (second / "atelier.json").unlink()
    (second / "atelier.json").write_text(json.dumps({"name": "second", "native_size": 64, "num_inference_steps": 6}))
    worker = LocalWorker(ModelRegistry.from_refs([str(tiny_model), str(second)]), "cpu", 1)
    await worker.start()
    yield worker
    await worker.close()
    assert not multiprocessing.active_children()


def request(job_id, seed, steps=6, width=64, model=""):
    params = Params(
        parts=(PromptPart("a red fox"),),
        width=width,
        height=64,
        seed=seed,
        num_inference_steps=steps,
        guidance_scale=5.0,
        model=model,
    )
    return Generate(f"{job_id:012x}", params, job_id, 10_000_000)


def ignore(_):
    pass


def same_image(one, other):
    """Compare two PNGs; other jobs in a batch may change the rounding of a value."""
    images = (Image.open(io.BytesIO(png)) for png in (one, other))
    return all(high <= 1 for _, high in ImageChops.difference(*images).getextrema())


async def start_job(worker, job_id, model=""):
    """Start a long job and return once it has made a step."""
    started = asyncio.Event()
    wanted = request(job_id, seed=1, steps=900, model=model)
    task = asyncio.create_task(worker.generate(wanted, lambda _: started.set()))
    await asyncio.wait_for(started.wait(), LOAD_TIMEOUT_S)
    return task


async def test_jobs_run_together_fail_get_cancelled_and_survive_a_crash(worker):
    seen = []
    first, other = await asyncio.gather(
        worker.generate(request(1, seed=1), seen.append), worker.generate(request(2, seed=2), ignore)
    )
    assert worker.registry.default.name == "tiny"
    assert [progress.step for progress in seen if progress.preview is None] == list(range(1, 7))
    assert same_image(first.tiles[1], other.tiles[0])
    assert not same_image(first.tiles[0], other.tiles[0])

    with pytest.raises(UserError, match="multiples of 8"):
        await worker.generate(request(3, seed=3, width=65), ignore)

    cancelled = await start_job(worker, 4)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(asyncio.shield(cancelled), TIMEOUT_S)

    dying = [await start_job(worker, 5), await start_job(worker, 6, "second")]
    assert worker.loaded_models == {"tiny", "second"}
    os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
    for task in dying:
        with pytest.raises(WorkerCrashed):
            await task
    assert worker.loaded_models == frozenset()
    for model in ("second", "tiny"):
        again = await worker.generate(request(1, seed=1, model=model), ignore)
        assert all(same_image(*tiles) for tiles in zip(again.tiles, first.tiles, strict=True))


async def test_workers_on_one_machine_generate_the_same_images_as_one_alone(worker, tiny_model):
    alone = await worker.generate(request(1, seed=1), ignore)
    fleet = make_fleet(Config(models=(str(tiny_model),), device="cpu,cpu", threads=2))
    await fleet.start()
    try:
        first, second = fleet.workers
        async with asyncio.timeout(2 * LOAD_TIMEOUT_S):
            grids = [await first.generate(request(1, seed=1), ignore)]
            while not isinstance(second.state, Ready):  # noqa: ASYNC110 (it starts after the first)
                await asyncio.sleep(0.05)
        grids += await asyncio.gather(*(each.generate(request(1, seed=1), ignore) for each in fleet.workers))
        assert [grid.tiles for grid in grids] == [alone.tiles] * 3
        assert [grid.image for grid in grids] == [alone.image] * 3
        dying = await start_job(first, 3)
        (process,) = [each for each in multiprocessing.active_children() if each.name == "gpu cpu-1"]
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(WorkerLost):
            await dying
        assert (await second.generate(request(1, seed=1), ignore)).tiles == alone.tiles
    finally:
        await fleet.close()
