"""Measure what a job costs over Ray, beside the local worker, in one run: `python -m benchmarks.cluster`.

A head and a node run on loopback, with the files of a real cluster. Both workers draw the same jobs with the tests'
engine, which takes steps of a millisecond and sends a preview with each. Needs the extra `cluster`. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.harness import quantile, run
from bot.config import Config
from generation.messages import Generate
from generation.models.registry import ModelRegistry
from generation.params import Params, PromptPart
from generation.worker.worker import LocalWorker, Worker
from tests.support import scripted_engine
from tests.support.cluster_bot import SCRIPTED, cluster_bot
from tests.support.cluster_machines import HEAD_HOST, Machines, cluster_on_loopback

NODE_HOST, NODE = "127.0.0.3", "alpha"
STEPS, CANCELLED_STEPS = 20, 10**6
SIZES = {"small": 3_000, "2 MB": 2 << 20, "8 MB": 8 << 20}  # of the image to start from, and of the result
AT_ONCE = 6
TARGET_SECONDS = 0.5  # more than the local worker needs for a job with the largest images


async def measure(args: argparse.Namespace) -> bool:
    """Measure both workers, and print their times side by side."""
    with tempfile.TemporaryDirectory(prefix="atelier-cluster-") as name, cluster_on_loopback(Path(name)) as machines:
        machines.start_head()
        node = machines.start_node(NODE_HOST, NODE, MODEL=SCRIPTED, JOBS_AT_ONCE=str(AT_ONCE))
        async with cluster_bot(_config(machines)) as bot:
            remote = await bot.worker(NODE)
            ray = [*machines.head.processes(""), *node.processes("")]
            found = {"over Ray": await Measurement(remote, ray).take(args.jobs)}
        local = LocalWorker(ModelRegistry.from_refs([SCRIPTED]), "cpu", 1, load=scripted_engine.load)
        await local.start()
        try:
            found = {"local": await Measurement(local, ()).take(args.jobs)} | found
        finally:
            await local.close()
    return _report(found)


def _config(machines: Machines) -> Config:
    address, files = str(machines.head_address), machines.files.folder
    return Config(cluster=address, cluster_here=HEAD_HOST, cluster_files=files, device="none", models=(SCRIPTED,))


class Measurement:
    """The figures of one worker, by what they say; `ray` are the processes that Ray needs for it."""

    def __init__(self, worker: Worker, ray: Iterable[psutil.Process]) -> None:
        own = psutil.Process()
        self._worker = worker
        self._processes = {
            "the bot": [own],
            "the GPU process, or bridge": own.children(),
            "Ray, and the GPU process on the node": list(ray),
        }

    async def take(self, jobs: int) -> dict[str, str]:
        """Measure, and return the rows of a table."""
        await _generate(self._worker, 0)  # so that everything is imported
        rows = {}
        for name, size in SIZES.items():
            seconds = [await _timed(lambda size=size: _generate(self._worker, size)) for _ in range(jobs)]
            rows[f"a job with {name}, median and p99"] = (
                f"{_ms(statistics.median(seconds))}, {_ms(quantile(seconds, 0.99))}"
            )
        before = self._processor_seconds()
        seconds = await _timed(lambda: self._generate_at_once(jobs))
        rows[f"{AT_ONCE} at once, a job"] = _ms(seconds / jobs)
        for name, used in self._processor_seconds().items():
            rows[f"processor time of a job: {name}"] = _ms((used - before[name]) / jobs)
        cancels = [await self._cancel() for _ in range(jobs // 4)]
        rows["to cancel, median and worst"] = f"{_ms(statistics.median(cancels))}, {_ms(max(cancels))}"
        return rows

    async def _generate_at_once(self, jobs: int) -> None:
        for _ in range(jobs // AT_ONCE):
            await asyncio.gather(*(_generate(self._worker, SIZES["small"]) for _ in range(AT_ONCE)))

    async def _cancel(self) -> float:
        began = asyncio.Event()
        request = _request(0, CANCELLED_STEPS)
        task = asyncio.create_task(self._worker.generate(request, lambda _: began.set()))
        await began.wait()
        since = time.perf_counter()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return time.perf_counter() - since

    def _processor_seconds(self) -> dict[str, float]:
        return {name: sum(map(_cpu_seconds, processes)) for name, processes in self._processes.items()}


_numbers = iter(range(10**9))


def _request(size: int, steps: int = STEPS) -> Generate:
    params = Params(
        parts=(PromptPart("echo"),), width=64, height=64, seed=1, num_inference_steps=steps, guidance_scale=1.0
    )
    return Generate(f"{next(_numbers):012x}", params, order=0, upload_limit=10**8, source=bytes(size))


async def _generate(worker: Worker, size: int) -> None:
    await worker.generate(_request(size), lambda _: None)


async def _timed(work: Callable[[], Awaitable[None]]) -> float:
    since = time.perf_counter()
    await work()
    return time.perf_counter() - since


def _cpu_seconds(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms"


def _report(found: dict[str, dict[str, str]]) -> bool:
    print(f"| {STEPS} steps of 1 ms | " + " | ".join(found) + " |\n| --- |" + " --- |" * len(found))
    for row in found["local"]:
        print(f"| {row} | " + " | ".join(rows[row] for rows in found.values()) + " |")
    largest = next(row for row in found["local"] if "8 MB" in row)
    local, remote = (float(rows[largest].split(" ms")[0]) / 1000 for rows in found.values())
    return remote - local < TARGET_SECONDS


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, default=60)


if __name__ == "__main__":
    sys.exit(run(measure, __doc__, _add_arguments))
