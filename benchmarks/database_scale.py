"""Time the bot's database queries with a million jobs, compared with ten thousand.

`python -m benchmarks.database_scale` creates both databases in the temporary folder, which takes some minutes, and
keeps them for the next run.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.harness import table
from bot.policy.policy import JobRequest, Policy, RequestContext
from bot.policy.settings import RoleLimits
from bot.policy.updates import Actor, update_settings
from db.connection import Connection, read_migrations
from db.finding.search import JobSearch
from db.guilds import AuditEntry, GuildStore
from db.jobs import JobStore
from db.preferences import PreferenceStore
from db.privacy import START_CURSOR, PersonalData
from db.stats import Stats
from db.usage import Usage
from generation.job import Action, Destination, Job, Requester
from generation.params import Params, PromptPart

PEOPLE, CHANNELS, ROLES, WORDS = 5_000, 500, 200, 10_000
GUILD, OWNER = 1, 2
NOW, YEAR_S = 1_800_000_000.0, 365 * 86_400.0  # all jobs were requested in the year before this time
REPEATS = 5  # the median counts; the slowest is printed too
TARGET_S, START_TARGET_S = 1.0, 2.0
PARAMS = Params(
    parts=(PromptPart("a red fox"),), width=512, height=512, seed=7, num_inference_steps=25, guidance_scale=7.5
)


def make_database(jobs: int) -> Path:
    """Return the path of a database with `jobs` jobs, created once per version of the migrations."""
    version = hashlib.sha256("".join(read_migrations()).encode()).hexdigest()[:8]
    path = Path(tempfile.gettempdir()) / f"atelier-scale-{version}-{jobs}.sqlite3"
    if not path.exists():
        partial = path.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        asyncio.run(_create_database(partial))
        _insert_jobs(partial, jobs)
        partial.rename(path)
    return path


async def _create_database(path: Path) -> None:
    """Create a database with one job, the template of all others."""
    async with JobStore.open(path) as store:
        await store.add_job(_job(Requester(1, "somebody")))


def _insert_jobs(path: Path, jobs: int) -> None:
    """Insert the jobs without indexes and triggers, which are created again at the end."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        dropped = database.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
        ).fetchall()
        for kind, name, _ in dropped:
            database.execute(f"DROP {kind} {name}")
        columns, template = _template_row(database)
        sql = f"INSERT OR IGNORE INTO jobs ({', '.join(columns)}) VALUES ({', '.join(f':{name}' for name in columns)})"
        database.executemany(sql, (template | row for row in _rows(jobs)))
        database.execute("DELETE FROM job_words")
        database.execute("INSERT INTO job_words (job_id, asker_id, prompt) SELECT id, asker_id, prompt FROM jobs")
        for _, _, definition in dropped:
            database.execute(definition)
        database.commit()


def _template_row(database: sqlite3.Connection) -> tuple[list[str], dict[str, Any]]:
    cursor = database.execute("SELECT * FROM jobs")
    columns = [column[0] for column in cursor.description]
    return columns, dict(zip(columns, cursor.fetchone(), strict=True))


def _rows(jobs: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of a busy server: a few users request many jobs, most request few."""
    rng = random.Random(1)
    words = [f"word{number}" for number in range(3000)]
    for number in range(jobs):
        asked_at = NOW - YEAR_S + number * YEAR_S / jobs
        started_at = asked_at + rng.expovariate(1 / 20)
        yield {
            "id": f"{rng.getrandbits(48):012x}",
            "state": "answered" if rng.random() < 0.95 else "failed",
            "action": rng.choice(("imagine", "imagine", "vary_strong", "upscale", "pick")),
            "asker_id": 1000 + int(PEOPLE * rng.random() ** 3),
            "prompt": " ".join(rng.choices(words, k=8)),
            "asked_at": asked_at,
            "started_at": started_at,
            "ended_at": started_at + 9.0,
            "seconds": rng.gauss(8.0, 2.0),
            "suffix": "png",
            "answer_id": number + 10,
            "model": "storybook",
        }


def _job(requester: Requester) -> Job:
    destination = Destination(
        guild_id=GUILD, channel_id=3, by_channel=True, token="t" * 200, token_expires_at=NOW, upload_limit=10 * 2**20
    )
    return Job(
        id="0" * 12,
        action=Action.IMAGINE,
        params=PARAMS,
        requester=requester,
        destination=destination,
        parent=None,
        asked_at=NOW,
    )


Call = Callable[[], Awaitable[Any]]


async def measure(path: Path) -> dict[str, list[float]]:
    """Return the seconds that each query took, by its name, `REPEATS` times."""
    startup = [await _start(path) for _ in range(REPEATS)]
    async with Connection.open(path) as connection:
        await _fill_settings(connection)
        (busiest,) = await connection.fetch_all(
            "SELECT asker_id AS id FROM jobs GROUP BY asker_id ORDER BY count(*) DESC LIMIT 1"
        )
        calls = _calls(connection, busiest["id"])
        return {"startup: open, last served, open jobs": startup} | {
            name: [await _timed(call) for _ in range(REPEATS)] for name, call in calls.items()
        }


async def _start(path: Path) -> float:
    before = time.perf_counter()
    async with Connection.open(path) as connection:
        store = JobStore(connection)
        await store.last_served()
        await store.open_records()
        return time.perf_counter() - before


async def _timed(call: Call) -> float:
    before = time.perf_counter()
    await call()
    return time.perf_counter() - before


async def _fill_settings(connection: Connection) -> None:
    """Store as many settings as a server can have."""
    guilds = GuildStore(connection)

    def fill(settings: Any) -> Any:
        limits = {role: RoleLimits(jobs_a_day=100_000, cooldown=0) for role in (GUILD, *range(100, 100 + ROLES))}
        return replace(settings, channels=tuple(range(1000, 1000 + CHANNELS)), bounds=limits)

    await update_settings(guilds, Actor(GUILD, OWNER), "everything", fill)
    entry = AuditEntry(guild_id=GUILD, person_id=OWNER, act="words", details="many", at=NOW)
    await guilds.block_words(entry, {f"blocked{number}": "refuse" for number in range(WORDS)})


def _calls(connection: Connection, person: int) -> Mapping[str, Call]:
    search, stats, privacy = JobSearch(connection), Stats(connection), PersonalData(connection)
    store, preferences, guilds = JobStore(connection), PreferenceStore(connection), GuildStore(connection)
    policy = Policy(guilds, Usage(connection), lambda: NOW)
    context = RequestContext(
        guild_id=GUILD,
        channel_ids=frozenset({1000}),
        person_id=person,
        role_ids=frozenset(range(100, 100 + ROLES)),
    )
    day = 86_400.0
    return {
        "/imagine: policy": lambda: policy.authorize(context, JobRequest(action=Action.IMAGINE, params=PARAMS)),
        "/imagine: preferences": lambda: preferences.get(person),
        "a button: its job": lambda: store.get("0" * 12),
        "/show: nothing typed": lambda: search.by_prompt(person, ""),
        "/show: one letter typed": lambda: search.by_prompt(person, "w"),
        "/show: two words typed": lambda: search.by_prompt(person, "word12 word7"),
        "/favourites": lambda: search.favourites(person, ""),
        "a message: its job": lambda: search.by_message(500),
        "/info: the busiest user": lambda: search.lifetime(person),
        "/info: an average user": lambda: search.lifetime(1000 + PEOPLE // 2),
        "/privacy: the busiest user": lambda: privacy.summary(person),
        "/privacy: export of fifty jobs": lambda: privacy.export_jobs(person, START_CURSOR, 50),
        "/config stats day": lambda: stats.for_guild(GUILD, NOW - day, NOW, 24),
        "/config stats week": lambda: stats.for_guild(GUILD, NOW - 7 * day, NOW, 7),
        "/config stats month": lambda: stats.for_guild(GUILD, NOW - 30 * day, NOW, 30),
        "/config audit": lambda: guilds.audit_entries(GUILD),
        "/config words list": lambda: guilds.blocked_words(GUILD),
    }


def main() -> int:
    """Print the times; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--few", type=int, default=10_000)
    args = parser.parse_args()
    few, many = (asyncio.run(measure(make_database(jobs))) for jobs in (args.few, args.jobs))
    columns = (f"{args.few:,} jobs", f"{args.jobs:,} jobs", "the slowest of five")
    rows = {name: (statistics.median(few[name]), statistics.median(many[name]), max(many[name])) for name in many}
    print(table("query", columns, rows, "ms"))
    print(f"\n{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    start, *others = rows.values()
    return 0 if start[1] < START_TARGET_S and all(row[1] < TARGET_S for row in others) else 1


if __name__ == "__main__":
    sys.exit(main())
