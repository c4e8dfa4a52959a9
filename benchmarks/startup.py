"""Measure the time from start to first image, both processes' memory, and the cost of progress and previews.

`python -m benchmarks.startup`. The first image is generated from the command line (`main.py imagine`), and by the bot
with the fake Discord, requested as soon as the model is ready. Then the bot's CPU use is measured with few and with
many waiting jobs, and the engine's with and without progress and previews, alternately.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import pickle
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.harness import BOT_COMMAND, ROOT, BenchmarkHarness, resolve_model, run, start_harness
from generation.messages import Event, Loading, Progress

REPEATS, WAITING, SAMPLE_S = 5, 40, 20.0
TARGET_SHARE = 0.02
IMAGE_TIMEOUT_S = 600.0


async def measure(args: argparse.Namespace) -> bool:
    """Measure both ways to start, then waiting jobs, then previews."""
    with tempfile.TemporaryDirectory(prefix="atelier-start-") as name:
        print("| from start to first image | wall | CPU |\n| --- | --- | --- |")
        model = resolve_model(args.model, Path(name))
        wall, cpu = await asyncio.to_thread(_generate_from_cli, model, args.threads, Path(name))
        print(f"| main.py imagine | {wall:.1f} s | {cpu:.1f} s |", flush=True)
        start = time.monotonic()
        async with start_harness(args, 1 + WAITING) as harness:
            ready = time.monotonic() - start
            await harness.imagine(harness.people[0])
            await _wait_for_jobs(harness, "answered")
            print(f"| the bot, ready after {ready:.1f} s | {time.monotonic() - start:.1f} s | |\n")
            print("| memory after one grid | |\n| --- | --- |")
            print("".join(f"| {name} | {size / 2**20:.0f} MB |\n" for name, size in harness.bot.memory().items()))
            await _measure_bot_cpu(harness)
        return _measure_preview_cost(model, args.threads)


def _generate_from_cli(model: str, threads: int, folder: Path) -> tuple[float, float]:
    """Generate one grid from the command line; return the wall time and the CPU time of all its processes."""
    before, start = _children_cpu_seconds(), time.monotonic()
    subprocess.run(
        [sys.executable, *BOT_COMMAND, "imagine", "a red boat on the sea"],
        cwd=folder,
        env=os.environ | {"MODEL": model, "THREADS": str(threads), "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )
    return time.monotonic() - start, _children_cpu_seconds() - before


def _children_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


async def _wait_for_jobs(harness: BenchmarkHarness, state: str, number: int = 1) -> None:
    async with asyncio.timeout(IMAGE_TIMEOUT_S):
        while harness.count(state) < number:  # noqa: ASYNC110 (a database has no event to wait for)
            await asyncio.sleep(0.02)


async def _measure_bot_cpu(harness: BenchmarkHarness) -> None:
    """Measure the CPU use of the bot's own process during generation, with few and with many waiting jobs."""
    shares = []
    for people in (harness.people[:3], harness.people[3 : WAITING + 1]):
        await asyncio.gather(*[asyncio.create_task(_request_image(harness, person)) for person in people])
        cpu, start = harness.bot.cpu_seconds(), time.monotonic()
        await asyncio.sleep(SAMPLE_S)
        shares.append((harness.bot.cpu_seconds() - cpu) / (time.monotonic() - start))
    print("| the bot's own process while generating | of a core |\n| --- | --- |")
    print(f"| up to 3 jobs | {shares[0]:.2%} |\n| up to {WAITING + 1} jobs | {shares[1]:.2%} |\n", flush=True)


async def _request_image(harness: BenchmarkHarness, person: object) -> None:
    request = await harness.imagine(person)  # type: ignore[arg-type]
    await request.response()


class Listener:
    """Replaces the pipe to the bot: pickles the engine's events, but progress only if `wants_progress`."""

    def __init__(self) -> None:
        self.wants_progress, self.finished, self.previews = False, False, 0

    def on_event(self, event: Event) -> None:
        """Receive an event."""
        if isinstance(event, Progress):
            self.previews += event.preview is not None
        if self.wants_progress or not isinstance(event, Progress):
            pickle.dumps(event)
        if not isinstance(event, Progress | Loading):
            self.finished = True


REPORTING_MODES = {"silent": (False, 1e9), "with progress": (True, 1e9), "with a preview at every step": (True, 0.0)}


def _measure_preview_cost(model: str, threads: int) -> bool:
    """Generate grids silently, with progress, and with a preview at every step, alternately.

    Returns whether one preview a second costs less than `TARGET_SHARE` of a core.
    """
    import torch

    from generation.engine.denoising.engine import DenoisingEngine

    torch.set_num_threads(threads)
    listener = Listener()
    engine = DenoisingEngine.load(model, "cpu", listener.on_event)
    rounds = [{mode: _grid(engine, listener, mode, turn) for mode in REPORTING_MODES} for turn in range(REPEATS + 1)]
    del rounds[0]  # warm-up
    engine.close()
    print("| one grid, CPU time | | of silent |\n| --- | --- | --- |")
    for mode in REPORTING_MODES:
        seconds = statistics.median(each[mode] for each in rounds)
        print(f"| {mode} | {seconds:.3f} s | {statistics.median(each[mode] / each['silent'] for each in rounds):.3f} |")
    cost = statistics.median(each["with a preview at every step"] - each["with progress"] for each in rounds)
    share = max(0.0, cost) / max(1, listener.previews)
    print(f"\na preview takes {1000 * share:.1f} ms of a core, with at most one a second: {share:.2%}")
    return share < TARGET_SHARE


def _grid(engine: Any, listener: Listener, mode: str, turn: int) -> float:
    """Generate one grid in a reporting mode; return the CPU time."""
    from benchmarks.engine import UPLOAD_LIMIT, params_for
    from generation.engine.denoising import engine as engines
    from generation.messages import Generate

    params = params_for(engine, 0, (1.0, 1.0), engine.model.num_inference_steps)
    listener.wants_progress, preview_interval = REPORTING_MODES[mode]
    listener.finished, listener.previews = False, 0
    start = time.process_time()
    with patch.object(engines, "PREVIEW_INTERVAL_S", preview_interval):
        engine.add(Generate(f"{turn} {mode}", params, turn, UPLOAD_LIMIT))
        while not listener.finished:
            engine.step() if engine.busy else time.sleep(0.001)
    return time.process_time() - start


if __name__ == "__main__":
    sys.exit(run(measure, __doc__))
