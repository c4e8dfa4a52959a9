"""Time how long the model has nothing to do with 20 queued and 150 ms to Discord: `python -m benchmarks.idle`.

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

from benchmarks.harness import Scene, open_scene, run
from preview.state.core import RecordedRequest

QUEUED, LATENCY = 20, 0.15
SECONDS = 40.0
AIM = 0.05
BEGINS = re.compile(r"^(\S+ \S+) .* begins after ([0-9.]+) s without a step to make")


async def measure(given: argparse.Namespace) -> bool:
    """Keep 20 waiting for a while, then read in the GPU process's log how long it was without work."""
    async with open_scene(given, 2 * QUEUED, latency=LATENCY) as scene:
        await _keep_waiting(scene)
        end = time.time()
        drawn = scene.count("drawn") + scene.count("answered")
        gaps, requests = _gaps(scene.bot.lines), list(scene.server.requests)
    seconds = end - gaps[0][0]
    post, edit = _mean_seconds(requests, "POST", "/channels/"), _mean_seconds(requests, "PATCH", "/webhooks/")
    print(f"{drawn} grids drawn in {seconds:.0f} s; posting one took {post:.3f} s, editing a notice {edit:.3f} s\n")
    return _report(sum(idle for _, idle in gaps[1:]), seconds, drawn, post, edit)


def _gaps(lines: Sequence[str]) -> list[tuple[float, float]]:
    """Give when each job began (Unix seconds) and how long the model had had nothing to do before."""
    found = filter(None, map(BEGINS.search, lines))
    return [(datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S,%f").timestamp(), float(match[2])) for match in found]


def _report(idle: float, seconds: float, drawn: int, post: float, edit: float) -> bool:
    each = (seconds - idle) / drawn
    awaited = {"the upload awaited": post, f"the upload and {QUEUED} edits awaited": post + QUEUED * edit}
    print(f"| {QUEUED} queued, {1000 * LATENCY:.0f} ms to Discord | the model has nothing to do |\n| --- | --- |")
    print(f"| Atelier, measured | {idle / seconds:.1%} |")
    for what, waits in awaited.items():
        print(f"| {what} before the next job, computed | {waits / (waits + each):.1%} |")
    return idle / seconds < AIM


async def _keep_waiting(scene: Scene) -> None:
    people = itertools.cycle(scene.people)
    end = asyncio.get_running_loop().time() + SECONDS
    while asyncio.get_running_loop().time() < end:
        missing = QUEUED - scene.count("waiting")
        asked = [await scene.imagine(next(people)) for _ in range(missing)]
        await asyncio.gather(*(each.response() for each in asked))
        await asyncio.sleep(0.05)


def _mean_seconds(requests: Sequence[RecordedRequest], method: str, path: str) -> float:
    good = (each for each in requests if each.method == method and each.status == 200)
    return statistics.mean(each.seconds for each in good if each.path.startswith(path))


if __name__ == "__main__":
    sys.exit(run(measure, __doc__))
