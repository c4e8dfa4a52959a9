"""A guild's statistics, computed from jobs in a real SQLite file."""

from __future__ import annotations

from dataclasses import replace

import pytest

from db.stats import BY_ACTION, BY_MODEL, BY_PERSON, OVER_TIME, REASONS, TIMES, TOTALS, Breakdown, Percentiles, Stats
from generation.job import Action
from tests.support.jobs import ADA, BEN, make_job

DAY = 86_400.0


@pytest.fixture
def stats(connection):
    return Stats(connection)


async def test_a_guild_without_jobs_has_empty_statistics(stats):
    numbers = await stats.for_guild(1, 0.0, DAY, 24)
    assert (numbers.jobs, numbers.people, numbers.seconds, numbers.failed) == (0, 0, 0.0, 0)
    assert numbers.queue_time is None and numbers.generation_time is None
    assert numbers.over_time == [0] * 24
    assert numbers.by_person == numbers.by_action == numbers.by_model == []


async def test_jobs_users_and_breakdowns_are_counted(post_job, stats):
    await post_job(requester=ADA, seconds=10.0)
    await post_job(requester=ADA, seconds=20.0, action=Action.VARY_STRONG, model="Other")
    await post_job(requester=BEN, seconds=5.0)
    numbers = await stats.for_guild(1, 0.0, DAY, 1)
    assert (numbers.jobs, numbers.people, numbers.seconds) == (3, 2, 35.0)
    assert numbers.by_person == [Breakdown("ada", 2, 30.0), Breakdown("ben", 1, 5.0)]
    assert numbers.by_action == [Breakdown("vary_strong", 1, 20.0), Breakdown("imagine", 2, 15.0)]
    assert numbers.by_model == [Breakdown("Painter", 2, 15.0), Breakdown("Other", 1, 20.0)]


async def test_times_are_given_as_median_and_90th_percentile(post_job, stats):
    for number in range(1, 12):
        await post_job(waits=float(number), seconds=100.0 * number)
    numbers = await stats.for_guild(1, 0.0, DAY, 1)
    assert numbers.queue_time == Percentiles(6.0, 10.0)
    assert numbers.generation_time == Percentiles(600.0, 1000.0)


async def test_picks_other_guilds_and_other_periods_do_not_count(post_job, clock, stats):
    await post_job()
    since, clock.now = clock.now, clock.now + 1
    counted = await post_job()
    await post_job(action=Action.PICK)
    await post_job(destination=replace(make_job().destination, guild_id=2))
    numbers = await stats.for_guild(1, since, since + DAY, 1)
    assert numbers.jobs == 1
    assert numbers.by_person == [Breakdown(counted.requester.name, 1, 2.0)]


async def test_failures_are_counted_by_reason_ignoring_error_ids(store, clock, stats):
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
    assert numbers.failures == {"Something went wrong on my side, not with your prompt. It is in the log as `2`.": 3}
    assert numbers.by_model == [Breakdown("", 4, 0.0)]


async def test_jobs_are_counted_per_bucket_of_the_period(post_job, clock, stats):
    clock.now = 0.5
    await post_job()
    clock.now = 2 * DAY + 1
    await post_job()
    await post_job()
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
async def test_only_the_index_over_guild_and_time_is_read(connection, sql, values, covering):
    rows = await connection.fetch_all(f"EXPLAIN QUERY PLAN {sql}", PERIOD | values)
    reads = [row["detail"] for row in rows if row["detail"].startswith(("SCAN jobs", "SEARCH jobs"))]
    kind = "COVERING INDEX" if covering else "INDEX"
    assert reads[0] == f"SEARCH jobs USING {kind} jobs_of_guild (guild_id=? AND asked_at>?)"
    assert reads[1:] in ([], ["SEARCH jobs USING INDEX jobs_of_asker (asker_id=?)"])
