"""The numbers of a server, from real jobs in a real file."""

from __future__ import annotations

import pytest

from db.connection import Connection
from db.jobs import JobStore
from db.stats import BY_ACTION, BY_MODEL, BY_PERSON, OVER_TIME, REASONS, TIMES, TOTALS, Breakdown, Percentiles, Stats
from generation.job import Action
from tests.support.jobs import ADA, BEN, make_job

DAY = 86_400.0


@pytest.fixture
async def connection(path):
    async with Connection.open(path) as connection:
        yield connection


@pytest.fixture
def store(connection, clock):
    return JobStore(connection, clock)


@pytest.fixture
def stats(connection):
    return Stats(connection)


async def store_generated_job(store, clock, *, waits=1.0, seconds=2.0, model="Painter", **changes):
    """Keep a job that was asked for now, waited and was drawn."""
    job = make_job(asked_at=clock.now, **changes)
    await store.add_job(job)
    clock.now += waits
    await store.mark_running(job.id)
    await store.mark_generated(job.id, "png", seconds, model)
    return job


async def test_an_empty_server_has_empty_numbers(stats):
    numbers = await stats.for_guild(1, 0.0, DAY, 24)
    assert (numbers.jobs, numbers.people, numbers.seconds, numbers.failed) == (0, 0, 0.0, 0)
    assert numbers.queue_time is None and numbers.generation_time is None
    assert numbers.over_time == [0] * 24
    assert numbers.by_person == numbers.by_action == numbers.by_model == []


async def test_jobs_people_and_shares_are_counted(store, clock, stats):
    await store_generated_job(store, clock, requester=ADA, seconds=10.0)
    await store_generated_job(store, clock, requester=ADA, seconds=20.0, action=Action.VARY_STRONG, model="Other")
    await store_generated_job(store, clock, requester=BEN, seconds=5.0)
    numbers = await stats.for_guild(1, 0.0, DAY, 1)
    assert (numbers.jobs, numbers.people, numbers.seconds) == (3, 2, 35.0)
    assert numbers.by_person == [Breakdown("ada", 2, 30.0), Breakdown("ben", 1, 5.0)]
    assert numbers.by_action == [Breakdown("vary_strong", 1, 20.0), Breakdown("imagine", 2, 15.0)]
    assert numbers.by_model == [Breakdown("Painter", 2, 15.0), Breakdown("Other", 1, 20.0)]


async def test_the_times_are_the_middle_one_and_what_nine_of_ten_do_not_exceed(store, clock, stats):
    for number in range(1, 12):
        await store_generated_job(store, clock, waits=float(number), seconds=100.0 * number)
    numbers = await stats.for_guild(1, 0.0, DAY, 1)
    assert numbers.queue_time == Percentiles(6.0, 10.0)
    assert numbers.generation_time == Percentiles(600.0, 1000.0)


async def test_picked_pictures_other_servers_and_other_times_do_not_count(store, clock, stats):
    await store_generated_job(store, clock)
    since, clock.now = clock.now, clock.now + 1
    kept = await store_generated_job(store, clock)
    await store_generated_job(store, clock, action=Action.PICK)
    await store_generated_job(store, clock, destination=make_job().destination.__class__(**_other_guild_destination()))
    numbers = await stats.for_guild(1, since, since + DAY, 1)
    assert numbers.jobs == 1
    assert numbers.by_person == [Breakdown(kept.requester.name, 1, 2.0)]


def _other_guild_destination():
    to = make_job().destination
    return {name: getattr(to, name) for name in to.__dataclass_fields__} | {"guild_id": 2}


async def test_failures_are_counted_by_their_reason_whatever_their_id(store, clock, stats):
    for number in range(3):
        job = make_job(asked_at=clock.now)
        await store.add_job(job)
        await store.mark_failed(
            job.id, f"Something went wrong on my side, not with your prompt. It is in the log as `{number}`."
        )
    cancelled = make_job(asked_at=clock.now)
    await store.add_job(cancelled)
    await store.cancel(cancelled.id, "Cancelled by <@11>.")
    numbers = await stats.for_guild(1, 0.0, DAY, 1)
    assert (numbers.jobs, numbers.failed, numbers.cancelled) == (4, 3, 1)
    assert numbers.failures == {"Something went wrong on my side, not with your prompt. It is": 3}


async def test_jobs_are_counted_by_the_part_of_the_time_they_fall_into(store, clock, stats):
    clock.now = 0.5
    await store_generated_job(store, clock)
    clock.now = 2 * DAY + 1
    await store_generated_job(store, clock)
    await store_generated_job(store, clock)
    assert (await stats.for_guild(1, 0.0, 3 * DAY, 3)).over_time == [1, 0, 2]


PERIOD = {"guild": 1, "since": 0.0}


@pytest.mark.parametrize(
    ("sql", "values", "covering"),
    [
        (TOTALS, {}, True),
        (TIMES, {}, True),
        (BY_PERSON, {"most": 6}, True),
        (BY_ACTION, {"most": 6}, True),
        (BY_MODEL, {"most": 6}, True),
        (OVER_TIME, {"width": DAY}, True),
        (REASONS, {"most": 3}, False),
    ],
    ids=["totals", "times", "by person", "by action", "by model", "over time", "reasons"],
)
async def test_only_the_index_of_the_period_is_read(connection, sql, values, covering):
    rows = await connection.fetch_all(f"EXPLAIN QUERY PLAN {sql}", PERIOD | values)
    reading = [row["detail"] for row in rows if row["detail"].startswith(("SCAN jobs", "SEARCH jobs"))]
    kind = "COVERING INDEX" if covering else "INDEX"
    assert reading[0] == f"SEARCH jobs USING {kind} jobs_of_guild (guild_id=? AND asked_at>?)"
    assert reading[1:] in ([], ["SEARCH jobs USING INDEX jobs_of_asker (asker_id=?)"])
