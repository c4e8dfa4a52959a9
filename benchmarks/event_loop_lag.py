"""Measure the lag of the bot's event loop during generation: `python -m benchmarks.event_loop_lag`.

For comparison, an empty loop runs at the same time in its own process, which shows the lag caused by the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from benchmarks.harness import (
    ROOT,
    SUMMARY_COLUMNS,
    BenchmarkHarness,
    response_seconds,
    run,
    start_harness,
    summarize,
    table,
)

QUEUED, DURATION_S = 20, 15.0
REQUEST_INTERVAL_S = 0.5  # between two commands: an idle bot has almost no lag
TARGET_S = 0.1


async def measure(args: argparse.Namespace) -> bool:
    """Let users request and cancel jobs, with the GPU process paused and running, and read both probes."""
    with tempfile.TemporaryDirectory(prefix="atelier-lag-") as name:
        ours, empty = Path(name) / "bot", Path(name) / "alone"
        async with (
            start_harness(args, 2 * QUEUED, program=probe_command(ours, "bot")) as harness,
            _run_empty_loop(empty),
        ):
            with harness.bot.gpu_paused():
                await _fill_queue(harness)
                paused = await _generate_load(harness)
            cpu = harness.bot.cpu_seconds()
            generating = await _generate_load(harness)
            cpu = harness.bot.cpu_seconds() - cpu
        rows = {
            "an empty loop, generation paused": summarize(_lags(empty, paused)),
            "the bot's loop, generation paused": summarize(_lags(ours, paused)),
            "an empty loop, generating": summarize(_lags(empty, generating)),
            "the bot's loop, generating": summarize(_lags(ours, generating)),
        }
    print(table(f"event-loop lag, {QUEUED} queued", SUMMARY_COLUMNS, rows, unit="ms"))
    print(f"\nwhile generating, the bot's process used {cpu / (generating[1] - generating[0]):.1%} of a CPU core")
    return rows["the bot's loop, generating"][1] < TARGET_S


def probe_command(file: Path, target: str) -> tuple[str, ...]:
    """Return the arguments for Python that start a probe."""
    return "-m", "benchmarks.lag_probe", str(file), target


@contextlib.asynccontextmanager
async def _run_empty_loop(file: Path) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, *probe_command(file, "alone"), env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def _fill_queue(harness: BenchmarkHarness) -> None:
    for person in itertools.cycle(harness.people):
        if harness.count("waiting") >= QUEUED:
            return
        await response_seconds(await harness.imagine(person))


async def _generate_load(harness: BenchmarkHarness) -> tuple[float, float]:
    """Request and cancel jobs for `DURATION_S`; return the start and end (time.monotonic)."""
    start = time.monotonic()
    for person in itertools.cycle(harness.people):
        if time.monotonic() - start > DURATION_S:
            break
        request = await harness.imagine(person)
        await response_seconds(request)
        if harness.count("waiting") > QUEUED:
            await response_seconds(await harness.cancel(person, request))
        await asyncio.sleep(REQUEST_INTERVAL_S)
    return start, time.monotonic()


def _lags(file: Path, between: tuple[float, float]) -> list[float]:
    pairs = (map(float, line.split()) for line in file.read_text().splitlines())
    return [lag for at, lag in pairs if between[0] <= at <= between[1]]


if __name__ == "__main__":
    sys.exit(run(measure, __doc__))
