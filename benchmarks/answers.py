"""Time answers while the model draws for a queue of 50, against the same with drawing stopped.

`python -m benchmarks.answers`
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
from collections.abc import Iterator, Sequence

from benchmarks.harness import SPREAD, Scene, open_scene, run, seconds_to_answer, spread, table
from preview import SimulatedUser

QUEUED = 50
ASKS, PAUSE = 100, 0.15  # how many commands, and the seconds between two, whether or not the first is answered
AIM = 1.0  # seconds
HEARTBEATS = 2.0  # seconds; Discord's own 41 would give one or two in such a short run


async def measure(given: argparse.Namespace) -> bool:
    """Fill the queue and ask, first while nothing is drawn, then while everything goes on."""
    async with open_scene(given, 2 * QUEUED, heartbeat_interval=HEARTBEATS, waiting_in_all=10 * QUEUED) as scene:
        people = itertools.cycle(scene.people)
        with scene.bot.not_drawing():
            while scene.count("waiting") < QUEUED:
                await seconds_to_answer(await scene.imagine(next(people)))
            rows = await _phase(scene, people, "drawing stopped")
        before = len(scene.server.gateway.heartbeats)
        rows |= await _phase(scene, people, "drawing")
        late = _lateness(scene.server.gateway.heartbeats[before - 1 :])
        queued, posted = scene.count("waiting"), scene.count("answered")
    print(table("time to the first answer", SPREAD, rows))
    print(f"\n{QUEUED} queued at first, {queued} at last; {posted} grids were posted meanwhile")
    print(f"{len(late)} heartbeats, one every {HEARTBEATS:.0f} s: the worst was {1000 * max(late):.0f} ms late")
    return rows["/imagine, drawing"][1] < AIM and max(late) < AIM


async def _phase(scene: Scene, people: Iterator[SimulatedUser], name: str) -> dict[str, list[float]]:
    async with scene.synced_writes() as writes:
        asks, cancels = await _ask_and_cancel(scene, people)
    rows = {"/imagine": asks, "Cancel": cancels, "for comparison, 4 kB to the disk": writes}
    return {f"{what}, {name}": spread(times) for what, times in rows.items() if times}


async def _ask_and_cancel(scene: Scene, people: Iterator[SimulatedUser]) -> tuple[list[float], list[float]]:
    """Ask at a steady pace and keep the queue as long as it is to be; whoever is too many cancels again."""
    tasks = []
    for _ in range(ASKS):
        missing = QUEUED - scene.count("waiting")
        tasks += [asyncio.create_task(_one(scene, next(people))) for _ in range(max(1, missing))]
        await asyncio.sleep(PAUSE)
    pairs = await asyncio.gather(*tasks)
    return [asked for asked, _ in pairs], [cancelled for _, cancelled in pairs if cancelled is not None]


async def _one(scene: Scene, person: SimulatedUser) -> tuple[float, float | None]:
    asked = await scene.imagine(person)
    seconds = await seconds_to_answer(asked)
    if scene.count("waiting") <= QUEUED:
        return seconds, None
    return seconds, await seconds_to_answer(await scene.cancel(person, asked))


def _lateness(heartbeats: Sequence[float]) -> list[float]:
    return [max(0.0, later - earlier - HEARTBEATS) for earlier, later in itertools.pairwise(heartbeats)]


if __name__ == "__main__":
    sys.exit(run(measure, __doc__))
