"""Time the lag of the bot's event loop beside drawing, against an empty loop: `python -m benchmarks.event_loop_lag`.

The empty loop runs at the same time in a process of its own, so it shows what the machine alone costs.
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
REQUEST_INTERVAL_S = 0.5  # seconds between two commands: a bot that nobody talks to is hardly late
TARGET_S = 0.1  # seconds


async def measure(args: argparse.Namespace) -> bool:
    """Let people ask and cancel, with drawing stopped and with drawing, and read both probes."""
    with tempfile.TemporaryDirectory(prefix="atelier-lag-") as name:
        ours, empty = Path(name) / "bot", Path(name) / "alone"
        async with (
            start_harness(args, 2 * QUEUED, program=probe_command(ours, "bot")) as harness,
            _run_empty_loop(empty),
        ):
            with harness.bot.gpu_paused():
                await _fill_queue(harness)
                still = await _generate_load(harness)
            used = harness.bot.cpu_seconds()
            drawing = await _generate_load(harness)
            used = harness.bot.cpu_seconds() - used
        rows = {
            "an empty loop, drawing stopped": summarize(_lags(empty, still)),
            "the bot's, drawing stopped": summarize(_lags(ours, still)),
            "an empty loop, drawing": summarize(_lags(empty, drawing)),
            "the bot's, drawing": summarize(_lags(ours, drawing)),
        }
    print(table(f"event-loop lag, {QUEUED} queued", SUMMARY_COLUMNS, rows, unit="ms"))
    print(f"\nbeside drawing the bot used {used / (drawing[1] - drawing[0]):.1%} of a processor core")
    return rows["the bot's, drawing"][1] < TARGET_S


def probe_command(file: Path, what: str) -> tuple[str, ...]:
    """Give the arguments for Python that start a probe."""
    return "-m", "benchmarks.lag_probe", str(file), what


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
    """Ask and cancel for a while; give when that was."""
    start = time.monotonic()
    for person in itertools.cycle(harness.people):
        if time.monotonic() - start > DURATION_S:
            break
        asked = await harness.imagine(person)
        await response_seconds(asked)
        if harness.count("waiting") > QUEUED:
            await response_seconds(await harness.cancel(person, asked))
        await asyncio.sleep(REQUEST_INTERVAL_S)
    return start, time.monotonic()


def _lags(file: Path, between: tuple[float, float]) -> list[float]:
    pairs = (map(float, line.split()) for line in file.read_text().splitlines())
    return [lag for at, lag in pairs if between[0] <= at <= between[1]]


if __name__ == "__main__":
    sys.exit(run(measure, __doc__))
