"""Time the lag of the bot's event loop beside drawing, against an empty loop: `python -m benchmarks.lag`.

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

from benchmarks.harness import ROOT, SPREAD, Scene, open_scene, run, seconds_to_answer, spread, table

QUEUED, SECONDS = 20, 15.0
ASK_EVERY = 0.5  # seconds between two commands: a bot that nobody talks to is hardly late
AIM = 0.1  # seconds


async def measure(given: argparse.Namespace) -> bool:
    """Let people ask and cancel, with drawing stopped and with drawing, and read both probes."""
    with tempfile.TemporaryDirectory(prefix="atelier-lag-") as name:
        ours, empty = Path(name) / "bot", Path(name) / "alone"
        async with open_scene(given, 2 * QUEUED, program=probe(ours, "bot")) as scene, _running(empty):
            with scene.bot.not_drawing():
                await _fill(scene)
                still = await _talk(scene)
            used = scene.bot.processor_seconds()
            drawing = await _talk(scene)
            used = scene.bot.processor_seconds() - used
        rows = {
            "an empty loop, drawing stopped": spread(_lags(empty, still)),
            "the bot's, drawing stopped": spread(_lags(ours, still)),
            "an empty loop, drawing": spread(_lags(empty, drawing)),
            "the bot's, drawing": spread(_lags(ours, drawing)),
        }
    print(table(f"event-loop lag, {QUEUED} queued", SPREAD, rows, unit="ms"))
    print(f"\nbeside drawing the bot used {used / (drawing[1] - drawing[0]):.1%} of a processor core")
    return rows["the bot's, drawing"][1] < AIM


def probe(file: Path, what: str) -> tuple[str, ...]:
    """Give the arguments for Python that start a probe."""
    return "-m", "benchmarks.lag_probe", str(file), what


@contextlib.asynccontextmanager
async def _running(file: Path) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, *probe(file, "alone"), env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def _fill(scene: Scene) -> None:
    for person in itertools.cycle(scene.people):
        if scene.count("waiting") >= QUEUED:
            return
        await seconds_to_answer(await scene.imagine(person))


async def _talk(scene: Scene) -> tuple[float, float]:
    """Ask and cancel for a while; give when that was."""
    start = time.monotonic()
    for person in itertools.cycle(scene.people):
        if time.monotonic() - start > SECONDS:
            break
        asked = await scene.imagine(person)
        await seconds_to_answer(asked)
        if scene.count("waiting") > QUEUED:
            await seconds_to_answer(await scene.cancel(person, asked))
        await asyncio.sleep(ASK_EVERY)
    return start, time.monotonic()


def _lags(file: Path, between: tuple[float, float]) -> list[float]:
    pairs = (map(float, line.split()) for line in file.read_text().splitlines())
    return [lag for at, lag in pairs if between[0] <= at <= between[1]]


if __name__ == "__main__":
    sys.exit(run(measure, __doc__))
