"""Measure the bot's processor time per job, beside that of an earlier commit: `python -m benchmarks.job_cost [COMMIT]`.

Twenty jobs wait while others are drawn by the tests' engine, which paints at once, so that the rate is that of many
GPUs. Each round runs the bot of this tree and that of a checkout of COMMIT, so that whatever else the machine does hits
both. Only the bot's own process counts. Needs git for COMMIT; the checkout is removed afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness import ROOT, BenchmarkHarness, response_seconds, run, start_harness
from tests.support.bot_harness import make_model

WAITING = 20
PROMPT = "a mosaic"  # has shapes, as a picture has, instead of one colour
TARGET_MS = 25.0
PROGRAM = Path("benchmarks", "scripted_bot.py")


async def measure(args: argparse.Namespace) -> bool:
    """Run the rounds, and print each tree's median."""
    with _trees(args.commit) as trees:
        costs: dict[str, list[float]] = {name: [] for name in trees}
        for _ in range(args.rounds):
            for name, tree in trees.items():
                costs[name].append(await _measure_one(args, tree))
    print(
        f"| the bot's processor time per job, {args.jobs} jobs | median of {args.rounds} | best |\n| --- | --- | --- |"
    )
    for name, found in costs.items():
        print(f"| {name} | {statistics.median(found):.1f} ms | {min(found):.1f} ms |")
    return statistics.median(costs["this tree"]) <= TARGET_MS


async def _measure_one(args: argparse.Namespace, tree: Path) -> float:
    """Return the milliseconds of the bot's process for each job."""
    with tempfile.TemporaryDirectory(prefix="atelier-model-") as name:
        args.model = make_model(Path(name) / "painter", name="Painter", native_size=256)
        program = str(tree / PROGRAM)
        settings = {"jobs_at_once": 4, "pythonpath": tree}
        people = 2 * WAITING  # in as many channels, since Discord lets a bot post once a second in each
        async with start_harness(args, people, program=[program], channels=people, **settings) as harness:
            await _draw(harness, WAITING)
            before, drawn = harness.bot.cpu_seconds(), harness.count("answered")
            await _draw(harness, args.jobs)
            return 1000 * (harness.bot.cpu_seconds() - before) / (harness.count("answered") - drawn)


async def _draw(harness: BenchmarkHarness, jobs: int) -> None:
    """Keep jobs waiting until so many more are answered."""
    people, asked, end = itertools.cycle(harness.people), harness.count(), harness.count("answered") + jobs
    while harness.count("answered") < end:
        waiting = harness.count("waiting") + asked - harness.count()  # with those that are not stored yet
        requests = [await harness.imagine(next(people), PROMPT) for _ in range(WAITING - waiting)]
        asked += len(requests)
        await asyncio.gather(*map(response_seconds, requests))
        await asyncio.sleep(0.05)


@contextmanager
def _trees(commit: str | None) -> Iterator[dict[str, Path]]:
    """Yield the folders to measure by name."""
    if commit is None:
        yield {"this tree": ROOT}
        return
    with tempfile.TemporaryDirectory(prefix="atelier-before-") as name:
        before = Path(name, "tree")
        subprocess.run(["git", "worktree", "add", "--detach", str(before), commit], cwd=ROOT, check=True)
        try:
            yield {commit: before, "this tree": ROOT}
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(before)], cwd=ROOT, check=True)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("commit", nargs="?", help="the commit to compare with")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=200)


if __name__ == "__main__":
    sys.exit(run(measure, __doc__, _add_arguments))
