"""Run the bot for long at ten jobs a second, and look for leaks: `python -m benchmarks.soak --minutes 60`.

Memory, descriptors, threads and asyncio tasks are recorded every few seconds. Each series is fitted by a line over the
second half of the run, when caches are full; none may grow by more than a share of its level.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import BenchmarkHarness, gpu_process, run, start_harness

PEOPLE = 60
RATE = 10.0  # jobs a second that users ask for; the queue's limits refuse what the machine cannot do
SAMPLE_INTERVAL_S = 5.0
MAX_SILENCE_S = 60.0  # after the newest job: a bot that takes no more is flat as well
MAX_GROWTH = {"memory": 0.05, "descriptors": 0.1, "threads": 0.1, "tasks": 0.25}  # over half the run
SLACK = {"memory": 8 * 2**20, "descriptors": 8, "threads": 3, "tasks": 40}  # that is no growth in any case
PROGRAM = ("-m", "benchmarks.task_count")

Samples = dict[str, list[float]]


async def measure(args: argparse.Namespace) -> bool:
    """Ask for pictures at a steady rate, press and cancel, and sample the bot's two processes."""
    async with start_harness(args, PEOPLE, program=PROGRAM, waiting_in_all=60) as harness:
        asking = asyncio.create_task(_ask(harness))
        times, samples = await _sample(harness, 60 * args.minutes)
        asking.cancel()
        await asyncio.wait({asking})
        posted, failed, silence = harness.count("answered"), harness.count("failed"), harness.newest_job_age()
        errors = _errors(list(harness.bot.lines))
    seconds = times[-1]
    print(f"{seconds / 60:.1f} minutes, {posted} grids posted ({posted / seconds:.1f} a second), {failed} failed\n")
    flat = _print_table(times, samples)
    print(f"\n{len(errors)} errors in the log", *errors[:3], sep="\n\n")
    print(f"the newest job is {silence:.0f} s old")
    return flat and not errors and silence < MAX_SILENCE_S


def _errors(lines: list[str]) -> list[str]:
    """Return every error of the log with the lines before and after it that explain it."""
    starts = [number for number, line in enumerate(lines) if " ERROR " in line or "Traceback" in line]
    return ["\n".join(lines[max(start - 2, 0) : start + 40]) for start in starts]


async def _ask(harness: BenchmarkHarness) -> None:
    """Let users ask in turn; they cancel every tenth job."""
    pending = set[asyncio.Task[None]]()
    for number in range(10**9):
        task = asyncio.create_task(_ask_once(harness, number))
        pending.add(task)
        task.add_done_callback(pending.discard)
        await asyncio.sleep(1 / RATE)
        if number % 500 == 0:
            _forget_messages(harness)


async def _ask_once(harness: BenchmarkHarness, number: int) -> None:
    person = harness.people[number % len(harness.people)]
    request = await harness.imagine(person)
    try:
        response = await request.response()
        if number % 10 == 0 and not response.ephemeral:
            await harness.cancel(person, request)
    except (AssertionError, TimeoutError):  # too late, or it has ended meanwhile
        pass


def _forget_messages(harness: BenchmarkHarness) -> None:
    """Keep the fake Discord small: it is a program of this process and no part of the measurement."""
    core, limit = harness.server.core, harness.server.world.clock.time() - 120
    for number, interaction in list(core.interactions.items()):
        if interaction.created_at < limit:
            del core.interactions[number]
            core.interactions_by_token.pop(interaction.token, None)
    for number, message in list(core.world.messages.items()):
        if message.created_at < limit:
            del core.world.messages[number]


async def _sample(harness: BenchmarkHarness, seconds: float) -> tuple[list[float], Samples]:
    times, samples, start = list[float](), Samples(), time.monotonic()
    while (elapsed := time.monotonic() - start) < seconds:
        await asyncio.sleep(SAMPLE_INTERVAL_S)
        times.append(elapsed + SAMPLE_INTERVAL_S)
        for name, value in _values(harness).items():
            samples.setdefault(name, []).append(value)
    return times, samples


def _values(harness: BenchmarkHarness) -> dict[str, float]:
    """Return one value of each series."""
    bot = harness.bot.pid
    values = {"tasks of the bot's process": float((harness.folder / "tasks").read_text())}
    for (name, size), process in zip(harness.bot.memory().items(), (bot, gpu_process(bot)), strict=True):
        values[f"memory of {name}"] = size
        values[f"descriptors of {name}"] = len(list(Path(f"/proc/{process}/fd").iterdir()))
        values[f"threads of {name}"] = len(list(Path(f"/proc/{process}/task").iterdir()))
    return values


def _print_table(times: Sequence[float], samples: Samples) -> bool:
    """Print each series at the start, the middle and the end, and its growth; return whether all are flat."""
    flat, half = True, len(times) // 2
    print("| | first tenth | at half time | last tenth | growth in the second half |\n| --- | --- | --- | --- | --- |")
    for name, values in samples.items():
        kind, tenth = name.partition(" ")[0], max(1, len(values) // 10)
        slope, _ = statistics.linear_regression(times[half:], values[half:])
        level = statistics.mean(values[half:])
        growth = slope * (times[-1] - times[half])
        is_flat = growth <= max(MAX_GROWTH[kind] * level, SLACK[kind])
        flat &= is_flat
        middle = values[max(0, half - tenth // 2) : half + tenth // 2 + 1]
        shown = [_format(kind, statistics.median(part)) for part in (values[:tenth], middle, values[-tenth:])]
        print(f"| {name} | {' | '.join(shown)} | {_format(kind, growth)}{'' if is_flat else ' **not flat**'} |")
    return flat


def _format(kind: str, value: float) -> str:
    return f"{value / 2**20:.1f} MiB" if kind == "memory" else f"{value:.0f}"


def _add_minutes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, default=60.0)


if __name__ == "__main__":
    sys.exit(run(measure, __doc__, _add_minutes))
