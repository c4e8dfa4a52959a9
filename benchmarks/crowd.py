"""Time the answers to 300 simultaneous /imagine against one alone: `python -m benchmarks.crowd`."""

from __future__ import annotations

import argparse
import asyncio
import math
import sys

from benchmarks.harness import SPREAD, Scene, open_scene, run, seconds_to_answer, spread, table

PEOPLE, EACH = 100, 3
AIM = 3.0  # seconds, after which Discord says "The application did not respond"
ALONE = 7


async def measure(given: argparse.Namespace) -> bool:
    """Let one person ask a few times, then everybody at once."""
    async with open_scene(given, PEOPLE, waiting_in_all=2 * PEOPLE * EACH, waiting_per_person=2 * EACH) as scene:
        alone = [await _alone(scene, number) for number in range(ALONE)]
        used = scene.bot.processor_seconds()
        asked = [await scene.imagine(person) for _ in range(EACH) for person in scene.people]
        times = await asyncio.gather(*map(seconds_to_answer, asked))
        used = scene.bot.processor_seconds() - used
    answered = [seconds for seconds in times if seconds < math.inf]
    print(table("time to the first answer", SPREAD, {"alone": spread(alone), "300 at once": spread(times)}))
    print(f"\n{len(answered)} of {len(times)} answered within {AIM:.0f} s; the bot used {used:.2f} s of processor time")
    return len(answered) == len(times)


async def _alone(scene: Scene, number: int) -> float:
    person = scene.people[number]
    with scene.bot.not_drawing():
        asked = await scene.imagine(person)
        seconds = await seconds_to_answer(asked)
        await seconds_to_answer(await scene.cancel(person, asked))
    return seconds


if __name__ == "__main__":
    sys.exit(run(measure, __doc__))
