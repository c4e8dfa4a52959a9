"""Send 1,000 simultaneous /imagine, more than the bot can answer in time: `python -m benchmarks.overload`.

It must answer as many as it can, post a result of each that it answered, and stop in two seconds with a short log.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
import time

from benchmarks.harness import SUMMARY_COLUMNS, BenchmarkHarness, response_seconds, run, start_harness, summarize, table

PEOPLE, REQUESTS_PER_USER = 500, 2
MIN_ANSWERED = 0.25  # of the requests, on a busy machine
MAX_STOP_S = 2.5  # from SIGTERM to the end of the process
MAX_LOG_LINES = 100
SETTLE_S = 1.0


async def measure(args: argparse.Namespace) -> bool:
    """Send all requests at once, then stop the bot in a second burst."""
    settings = {"waiting_in_all": 10 * PEOPLE * REQUESTS_PER_USER, "waiting_per_person": 10 * REQUESTS_PER_USER}
    async with start_harness(args, PEOPLE, **settings) as harness:
        cpu = harness.bot.cpu_seconds()
        times = await _burst(harness)
        await asyncio.sleep(SETTLE_S)
        cpu = harness.bot.cpu_seconds() - cpu
        answered = [seconds for seconds in times if seconds < math.inf]
        jobs = sum(harness.count(state) for state in ("waiting", "drawing", "drawn", "answered"))
        before_burst = len(harness.bot.lines)
        stopping = asyncio.create_task(_burst(harness))
        await asyncio.sleep(SETTLE_S)
        started, before_stop = time.monotonic(), len(harness.bot.lines)
        await harness.bot.stop()
        stop = time.monotonic() - started
        await stopping
        log = len(harness.bot.lines) - before_stop
        warnings = sum(" WARNING " in line or " ERROR " in line for line in harness.bot.lines[:before_burst])
    rows = {"those answered of 1,000 at once": summarize(answered or [math.inf])}
    print(table("time to the first response", SUMMARY_COLUMNS, rows))
    print(f"\n{len(answered)} of {len(times)} got a response within 3 s; {jobs} jobs were taken on")
    print(f"The bot used {cpu:.2f} s of CPU time and logged {warnings} warnings and errors")
    print(f"Stopped in a second burst after {stop:.1f} s, with {log} lines in the log")
    kept_all = len(answered) <= jobs
    return len(answered) >= MIN_ANSWERED * len(times) and kept_all and stop < MAX_STOP_S and log < MAX_LOG_LINES


async def _burst(harness: BenchmarkHarness) -> list[float]:
    requests = [await harness.imagine(person) for _ in range(REQUESTS_PER_USER) for person in harness.people]
    return await asyncio.gather(*map(response_seconds, requests))


if __name__ == "__main__":
    sys.exit(run(measure, __doc__))
