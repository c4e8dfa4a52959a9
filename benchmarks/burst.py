"""Time the answers to 300 simultaneous /imagine against one alone: `python -m benchmarks.burst`."""

from __future__ import annotations

import argparse
import asyncio
import math
import sys

from benchmarks.harness import SUMMARY_COLUMNS, BenchmarkHarness, response_seconds, run, start_harness, summarize, table

PEOPLE, REQUESTS_PER_USER = 100, 3
TARGET_S = 3.0  # seconds, after which Discord says "The application did not respond"
SOLO_REQUESTS = 7


async def measure(args: argparse.Namespace) -> bool:
    """Let one person ask a few times, then everybody at once."""
    async with start_harness(
        args, PEOPLE, waiting_in_all=2 * PEOPLE * REQUESTS_PER_USER, waiting_per_person=2 * REQUESTS_PER_USER
    ) as harness:
        alone = [await _single_request(harness, number) for number in range(SOLO_REQUESTS)]
        used = harness.bot.cpu_seconds()
        asked = [await harness.imagine(person) for _ in range(REQUESTS_PER_USER) for person in harness.people]
        times = await asyncio.gather(*map(response_seconds, asked))
        used = harness.bot.cpu_seconds() - used
    answered = [seconds for seconds in times if seconds < math.inf]
    print(
        table("time to the first answer", SUMMARY_COLUMNS, {"alone": summarize(alone), "300 at once": summarize(times)})
    )
    print(f"\n{len(answered)} of {len(times)} answered within {TARGET_S:.0f} s")
    print(f"The bot used {used:.2f} s of processor time")
    return len(answered) == len(times)


async def _single_request(harness: BenchmarkHarness, number: int) -> float:
    person = harness.people[number]
    with harness.bot.gpu_paused():
        asked = await harness.imagine(person)
        seconds = await response_seconds(asked)
        await response_seconds(await harness.cancel(person, asked))
    return seconds


if __name__ == "__main__":
    sys.exit(run(measure, __doc__))
