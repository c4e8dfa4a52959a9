"""Measure the model's idle time with 20 queued jobs and 150 ms to Discord: `python -m benchmarks.gpu_idle`.

For comparison, it computes the idle time if the worker awaited the upload before the next job, or the upload and an
edit for every waiting user, from the times of this run's uploads and edits.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import re
import statistics
import sys
import time
from collections.abc import Sequence
from datetime import datetime

from benchmarks.harness import BenchmarkHarness, run, start_harness
from preview.state.core import RecordedRequest

QUEUED, LATENCY_S = 20, 0.15
DURATION_S = 40.0
TARGET_SHARE = 0.05
JOB_START_LINE = re.compile(r"^(\S+ \S+) .* begins after ([0-9.]+) s without a step to make")


async def measure(args: argparse.Namespace) -> bool:
    """Keep 20 jobs waiting for a while, then read the idle times from the GPU process's log."""
    async with start_harness(args, 2 * QUEUED, latency=LATENCY_S) as harness:
        started = harness.bot.cpu_seconds()
        await _keep_queue_filled(harness)
        end, cpu = time.time(), harness.bot.cpu_seconds() - started
        generated = harness.count("drawn") + harness.count("answered")  # the stored values of JobState
        gaps, requests = _idle_gaps(harness.bot.lines), list(harness.server.requests)
    seconds = end - gaps[0][0]
    post, edit = _mean_seconds(requests, "POST", "/channels/"), _mean_seconds(requests, "PATCH", "/webhooks/")
    print(f"{generated} grids in {seconds:.0f} s; posting one took {post:.3f} s, ", end="")
    print(f"editing a status message {edit:.3f} s")
    print(f"The bot's process used {1000 * cpu / generated:.0f} ms of CPU time for each grid\n")
    return _report(sum(idle for _, idle in gaps[1:]), seconds, generated, post, edit)


def _idle_gaps(lines: Sequence[str]) -> list[tuple[float, float]]:
    """Return when each job began (Unix seconds) and how long the model was idle before it."""
    matches = filter(None, map(JOB_START_LINE.search, lines))
    return [(datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S,%f").timestamp(), float(match[2])) for match in matches]


def _report(idle: float, seconds: float, generated: int, post: float, edit: float) -> bool:
    seconds_per_grid = (seconds - idle) / generated
    awaited = {"the upload awaited": post, f"the upload and {QUEUED} edits awaited": post + QUEUED * edit}
    print(f"| {QUEUED} queued, {1000 * LATENCY_S:.0f} ms to Discord | the model is idle |\n| --- | --- |")
    print(f"| Atelier, measured | {idle / seconds:.1%} |")
    for name, wait in awaited.items():
        print(f"| {name} before the next job, computed | {wait / (wait + seconds_per_grid):.1%} |")
    return idle / seconds < TARGET_SHARE


async def _keep_queue_filled(harness: BenchmarkHarness) -> None:
    people = itertools.cycle(harness.people)
    end = asyncio.get_running_loop().time() + DURATION_S
    while asyncio.get_running_loop().time() < end:
        missing = QUEUED - harness.count("waiting")
        requests = [await harness.imagine(next(people)) for _ in range(missing)]
        await asyncio.gather(*(request.response() for request in requests))
        await asyncio.sleep(0.05)


def _mean_seconds(requests: Sequence[RecordedRequest], method: str, path: str) -> float:
    successful = (each for each in requests if each.method == method and each.status == 200)
    return statistics.mean(each.seconds for each in successful if each.path.startswith(path))


if __name__ == "__main__":
    sys.exit(run(measure, __doc__))
