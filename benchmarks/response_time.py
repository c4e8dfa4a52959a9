"""Time first responses with 50 jobs queued, during generation and with generation paused.

`python -m benchmarks.response_time`
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
from collections.abc import Iterator, Sequence

from benchmarks.harness import SUMMARY_COLUMNS, BenchmarkHarness, response_seconds, run, start_harness, summarize, table
from preview import SimulatedUser

QUEUED = 50
REQUESTS = 100
REQUEST_INTERVAL_S = 0.15  # between two commands, whether or not the first has a response yet
TARGET_S = 1.0
HEARTBEAT_INTERVAL_S = 2.0  # Discord's own 41 s would give one or two heartbeats in such a short run


async def measure(args: argparse.Namespace) -> bool:
    """Fill the queue and send commands, first with the GPU process paused, then during generation."""
    async with start_harness(
        args, 2 * QUEUED, heartbeat_interval=HEARTBEAT_INTERVAL_S, waiting_in_all=10 * QUEUED
    ) as harness:
        people = itertools.cycle(harness.people)
        with harness.bot.gpu_paused():
            while harness.count("waiting") < QUEUED:
                await response_seconds(await harness.imagine(next(people)))
            rows = await _measure_phase(harness, people, "generation paused")
        before = len(harness.server.gateway.heartbeats)
        rows |= await _measure_phase(harness, people, "generating")
        delays = _heartbeat_delays(harness.server.gateway.heartbeats[before - 1 :])
        queued, posted = harness.count("waiting"), harness.count("answered")
    print(table("time to the first response", SUMMARY_COLUMNS, rows))
    print(f"\n{QUEUED} queued at the start, {queued} at the end; {posted} grids were posted in between")
    print(f"{len(delays)} heartbeats, one every {HEARTBEAT_INTERVAL_S:.0f} s: ", end="")
    print(f"the worst was {1000 * max(delays):.0f} ms late")
    return rows["/imagine, generating"][1] < TARGET_S and max(delays) < TARGET_S


async def _measure_phase(
    harness: BenchmarkHarness, people: Iterator[SimulatedUser], name: str
) -> dict[str, list[float]]:
    async with harness.measure_disk_writes() as writes:
        requests, cancels = await _request_and_cancel(harness, people)
    rows = {"/imagine": requests, "Cancel": cancels, "for comparison, 4 kB to the disk": writes}
    return {f"{action}, {name}": summarize(times) for action, times in rows.items() if times}


async def _request_and_cancel(
    harness: BenchmarkHarness, people: Iterator[SimulatedUser]
) -> tuple[list[float], list[float]]:
    """Send commands at a steady rate; while the queue is longer than `QUEUED`, each user cancels again."""
    tasks = []
    for _ in range(REQUESTS):
        missing = QUEUED - harness.count("waiting")
        tasks += [asyncio.create_task(_request_once(harness, next(people))) for _ in range(max(1, missing))]
        await asyncio.sleep(REQUEST_INTERVAL_S)
    pairs = await asyncio.gather(*tasks)
    return [requested for requested, _ in pairs], [cancelled for _, cancelled in pairs if cancelled is not None]


async def _request_once(harness: BenchmarkHarness, person: SimulatedUser) -> tuple[float, float | None]:
    request = await harness.imagine(person)
    seconds = await response_seconds(request)
    if harness.count("waiting") <= QUEUED:
        return seconds, None
    return seconds, await response_seconds(await harness.cancel(person, request))


def _heartbeat_delays(heartbeats: Sequence[float]) -> list[float]:
    return [max(0.0, later - earlier - HEARTBEAT_INTERVAL_S) for earlier, later in itertools.pairwise(heartbeats)]


if __name__ == "__main__":
    sys.exit(run(measure, __doc__))
