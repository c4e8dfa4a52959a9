"""Time how long the model has nothing to do with 20 queued and 150 ms to Discord: `python -m benchmarks.gpu_idle`.

Against what it would be if the worker waited for the upload, or for that and an edit for everybody who waits, before it
began the next job: computed from what the same run's uploads and edits took.
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
    """Keep 20 waiting for a while, then read in the GPU process's log how long it was without work."""
    async with start_harness(args, 2 * QUEUED, latency=LATENCY_S) as harness:
        await _keep_queue_filled(harness)
        end = time.time()
        drawn = harness.count("drawn") + harness.count("answered")
        gaps, requests = _idle_gaps(harness.bot.lines), list(harness.server.requests)
    seconds = end - gaps[0][0]
    post, edit = _mean_seconds(requests, "POST", "/channels/"), _mean_seconds(requests, "PATCH", "/webhooks/")
    print(f"{drawn} grids drawn in {seconds:.0f} s; posting one took {post:.3f} s, editing a notice {edit:.3f} s\n")
    return _report(sum(idle for _, idle in gaps[1:]), seconds, drawn, post, edit)


def _idle_gaps(lines: Sequence[str]) -> list[tuple[float, float]]:
    """Give when each job began (Unix seconds) and how long the model had had nothing to do before."""
    found = filter(None, map(JOB_START_LINE.search, lines))
    return [(datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S,%f").timestamp(), float(match[2])) for match in found]


def _report(idle: float, seconds: float, drawn: int, post: float, edit: float) -> bool:
    each = (seconds - idle) / drawn
    awaited = {"the upload awaited": post, f"the upload and {QUEUED} edits awaited": post + QUEUED * edit}
    print(f"| {QUEUED} queued, {1000 * LATENCY_S:.0f} ms to Discord | the model has nothing to do |\n| --- | --- |")
    print(f"| Atelier, measured | {idle / seconds:.1%} |")
    for what, waits in awaited.items():
        print(f"| {what} before the next job, computed | {waits / (waits + each):.1%} |")
    return idle / seconds < TARGET_SHARE


async def _keep_queue_filled(harness: BenchmarkHarness) -> None:
    people = itertools.cycle(harness.people)
    end = asyncio.get_running_loop().time() + DURATION_S
    while asyncio.get_running_loop().time() < end:
        missing = QUEUED - harness.count("waiting")
        asked = [await harness.imagine(next(people)) for _ in range(missing)]
        await asyncio.gather(*(each.response() for each in asked))
        await asyncio.sleep(0.05)


def _mean_seconds(requests: Sequence[RecordedRequest], method: str, path: str) -> float:
    good = (each for each in requests if each.method == method and each.status == 200)
    return statistics.mean(each.seconds for each in good if each.path.startswith(path))


if __name__ == "__main__":
    sys.exit(run(measure, __doc__))
