"""Time answers while the model draws for a queue of 50, against the same with drawing stopped.

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
REQUESTS, REQUEST_INTERVAL_S = (
    100,
    0.15,
)  # how many commands, and the seconds between two, whether or not the first is answered
TARGET_S = 1.0  # seconds
HEARTBEAT_INTERVAL_S = 2.0  # seconds; Discord's own 41 would give one or two in such a short run


async def measure(args: argparse.Namespace) -> bool:
    """Fill the queue and ask, first while nothing is drawn, then while everything goes on."""
    async with start_harness(
        args, 2 * QUEUED, heartbeat_interval=HEARTBEAT_INTERVAL_S, waiting_in_all=10 * QUEUED
    ) as harness:
        people = itertools.cycle(harness.people)
        with harness.bot.gpu_paused():
            while harness.count("waiting") < QUEUED:
                await response_seconds(await harness.imagine(next(people)))
            rows = await _measure_phase(harness, people, "drawing stopped")
        before = len(harness.server.gateway.heartbeats)
        rows |= await _measure_phase(harness, people, "drawing")
        late = _heartbeat_delays(harness.server.gateway.heartbeats[before - 1 :])
        queued, posted = harness.count("waiting"), harness.count("answered")
    print(table("time to the first answer", SUMMARY_COLUMNS, rows))
    print(f"\n{QUEUED} queued at first, {queued} at last; {posted} grids were posted meanwhile")
    print(
        f"{len(late)} heartbeats, one every {HEARTBEAT_INTERVAL_S:.0f} s: the worst was {1000 * max(late):.0f} ms late"
    )
    return rows["/imagine, drawing"][1] < TARGET_S and max(late) < TARGET_S


async def _measure_phase(
    harness: BenchmarkHarness, people: Iterator[SimulatedUser], name: str
) -> dict[str, list[float]]:
    async with harness.measure_disk_writes() as writes:
        asks, cancels = await _request_and_cancel(harness, people)
    rows = {"/imagine": asks, "Cancel": cancels, "for comparison, 4 kB to the disk": writes}
    return {f"{what}, {name}": summarize(times) for what, times in rows.items() if times}


async def _request_and_cancel(
    harness: BenchmarkHarness, people: Iterator[SimulatedUser]
) -> tuple[list[float], list[float]]:
    """Ask at a steady pace and keep the queue as long as it is to be; whoever is too many cancels again."""
    tasks = []
    for _ in range(REQUESTS):
        missing = QUEUED - harness.count("waiting")
        tasks += [asyncio.create_task(_request_once(harness, next(people))) for _ in range(max(1, missing))]
        await asyncio.sleep(REQUEST_INTERVAL_S)
    pairs = await asyncio.gather(*tasks)
    return [asked for asked, _ in pairs], [cancelled for _, cancelled in pairs if cancelled is not None]


async def _request_once(harness: BenchmarkHarness, person: SimulatedUser) -> tuple[float, float | None]:
    asked = await harness.imagine(person)
    seconds = await response_seconds(asked)
    if harness.count("waiting") <= QUEUED:
        return seconds, None
    return seconds, await response_seconds(await harness.cancel(person, asked))


def _heartbeat_delays(heartbeats: Sequence[float]) -> list[float]:
    return [max(0.0, later - earlier - HEARTBEAT_INTERVAL_S) for earlier, later in itertools.pairwise(heartbeats)]


if __name__ == "__main__":
    sys.exit(run(measure, __doc__))
