"""Time the first responses to 300 simultaneous /imagine, compared with a single one: `python -m benchmarks.burst`."""

from __future__ import annotations

import argparse
import asyncio
import math
import sys

from benchmarks.harness import SUMMARY_COLUMNS, BenchmarkHarness, response_seconds, run, start_harness, summarize, table

PEOPLE, REQUESTS_PER_USER = 100, 3
TARGET_S = 3.0  # Discord's limit, after which it shows "The application did not respond"
SOLO_REQUESTS = 7


async def measure(args: argparse.Namespace) -> bool:
    """Send single requests first, then all users' requests at once."""
    async with start_harness(
        args, PEOPLE, waiting_in_all=2 * PEOPLE * REQUESTS_PER_USER, waiting_per_person=2 * REQUESTS_PER_USER
    ) as harness:
        single = [await _single_request(harness, number) for number in range(SOLO_REQUESTS)]
        cpu = harness.bot.cpu_seconds()
        requests = [await harness.imagine(person) for _ in range(REQUESTS_PER_USER) for person in harness.people]
        times = await asyncio.gather(*map(response_seconds, requests))
        cpu = harness.bot.cpu_seconds() - cpu
    in_time = [seconds for seconds in times if seconds < math.inf]
    rows = {"a single one": summarize(single), "300 at once": summarize(times)}
    print(table("time to the first response", SUMMARY_COLUMNS, rows))
    print(f"\n{len(in_time)} of {len(times)} got a response within {TARGET_S:.0f} s")
    print(f"The bot used {cpu:.2f} s of CPU time")
    return len(in_time) == len(times)


async def _single_request(harness: BenchmarkHarness, number: int) -> float:
    person = harness.people[number]
    with harness.bot.gpu_paused():
        request = await harness.imagine(person)
        seconds = await response_seconds(request)
        await response_seconds(await harness.cancel(person, request))
    return seconds


if __name__ == "__main__":
    sys.exit(run(measure, __doc__))
