"""Let many people vote in one second: `python -m benchmarks.session_votes --people 300`.

Every press must be answered within Discord's three seconds, the tally must be exact, and the votes must post nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import random
import sqlite3
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.harness import SUMMARY_COLUMNS, response_seconds, start_bot, summarize, table
from benchmarks.kills import SCRIPTED_BOT
from preview import FakeDiscord, Message, World
from tests.support.bot_harness import make_model

SECONDS = 1.0
LIMIT_S = 3.0
LOAD_TIMEOUT_S = 120.0


async def measure(people: int) -> bool:
    """Start a jam, let `people` vote in it, print the times, and return whether everything was right."""
    with tempfile.TemporaryDirectory(prefix="atelier-votes-") as name:
        folder, server = Path(name), FakeDiscord(World(), limits=())
        users = [server.world.add_user(f"person {number}") for number in range(people)]
        channel = server.world.add_channel(server.world.add_guild("Studio", *users))
        settings: dict[str, object] = {
            "data_dir": folder / "data",
            "model": make_model(folder / "model", name="Painter", native_size=64),
        }
        async with server:
            bot = await start_bot(SCRIPTED_BOT, server, folder, settings)
            try:
                await bot.wait_for_log(" is ready on ", LOAD_TIMEOUT_S)
                await server.wait_connected()
                await server.wait_commands()
                options: dict[str, Any] = {"prompt": "a castle --steps 4", "where": "here", "minutes": 60}
                await server.person(users[0]).command("jam start", channel, **options)
                message = await server.wait_for(
                    channel, lambda each: "round 1 of" in each.content, 60, description="the first round"
                )
                await asyncio.sleep(1.0)
                before, cpu = len(server.messages(channel)), bot.cpu_seconds()
                choices = [random.randint(1, 4) for _ in users]
                seconds = await asyncio.gather(
                    *(
                        _vote(server, user, message, choice, SECONDS * number / people)
                        for number, (user, choice) in enumerate(zip(users, choices, strict=True))
                    )
                )
                posts, cpu = len(server.messages(channel)) - before, bot.cpu_seconds() - cpu
            finally:
                await bot.stop()
            stored = _stored_votes(folder / "data" / "atelier.sqlite3")
    votes = {user.id: str(choice - 1) for user, choice in zip(users, choices, strict=True)}
    answered = [user.id for user, after in zip(users, seconds, strict=True) if after < math.inf]
    lost = sum(stored.get(person) != votes[person] for person in answered)
    print(table(f"{people} votes in {SECONDS:g} s", SUMMARY_COLUMNS, {"answered after": summarize(seconds)}, "ms"))
    print(f"{len(answered)} answered, {lost} of them not counted; {len(stored)} counted; {posts} posts")
    print(f"tally {dict(sorted(Counter(stored.values()).items()))}")
    print(f"{1000 * cpu / max(1, len(stored)):.1f} ms of the bot's CPU time for each vote")
    return max(seconds) < LIMIT_S and stored == votes and posts <= 1


async def _vote(server: FakeDiscord, user: Any, message: Message, choice: int, after: float) -> float:
    await asyncio.sleep(after)
    return await response_seconds(await server.person(user).press(message, str(choice)))


def _stored_votes(path: Path) -> dict[int, str]:
    with contextlib.closing(sqlite3.connect(path)) as database:
        return dict(database.execute("SELECT person, choice FROM ballots"))


def main() -> int:
    """Parse the command line, measure, and return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=300)
    return 0 if asyncio.run(measure(parser.parse_args().people)) else 1


if __name__ == "__main__":
    sys.exit(main())
