"""Statistics of a guild over a period: jobs, users, times and failures."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from db.connection import Connection

MAX_BREAKDOWN_ROWS = 6  # of each breakdown, largest first
MAX_REASONS = 200  # different beginnings of reasons, which people's languages and numbers multiply
REASON_LENGTH = 60  # characters: the rest differs between failures, for example by an error id

# The action 'pick' extracts a tile of an existing grid: it neither waits nor generates.
_FROM_PERIOD = "FROM jobs WHERE guild_id = :guild AND asked_at > :since AND action <> 'pick'"

TOTALS = f"""
    SELECT count(*) AS jobs, count(DISTINCT asker_id) AS people, coalesce(sum(seconds), 0.0) AS seconds,
           coalesce(sum(state = 'failed'), 0) AS failed, coalesce(sum(state = 'cancelled'), 0) AS cancelled
    {_FROM_PERIOD}
"""
TIMES = f"SELECT started_at - asked_at AS waiting, seconds AS drawing {_FROM_PERIOD} AND started_at IS NOT NULL"
BY_PERSON = f"""
    SELECT coalesce((SELECT asker_name FROM jobs WHERE asker_id = of ORDER BY asked_at DESC LIMIT 1), '') AS name,
           jobs, seconds
    FROM (SELECT asker_id AS of, count(*) AS jobs, coalesce(sum(seconds), 0.0) AS seconds {_FROM_PERIOD}
          GROUP BY asker_id ORDER BY seconds DESC, jobs DESC LIMIT :most)
"""
BY_ACTION = f"""
    SELECT action AS name, count(*) AS jobs, coalesce(sum(seconds), 0.0) AS seconds {_FROM_PERIOD}
    GROUP BY action ORDER BY seconds DESC, jobs DESC LIMIT :most
"""
BY_MODEL = f"""
    SELECT coalesce(model, '') AS name, count(*) AS jobs, coalesce(sum(seconds), 0.0) AS seconds {_FROM_PERIOD}
    GROUP BY name ORDER BY jobs DESC LIMIT :most
"""
OVER_TIME = f"""
    SELECT CAST((asked_at - :since) / :width AS INTEGER) AS part, count(*) AS jobs {_FROM_PERIOD} GROUP BY part
"""
REASONS = f"""
    SELECT max(ending) AS reason, count(*) AS jobs {_FROM_PERIOD} AND state = 'failed'
    GROUP BY substr(ending, 1, {REASON_LENGTH}) ORDER BY jobs DESC LIMIT :most
"""


@dataclass(frozen=True, slots=True)
class Percentiles:
    """The median and the 90th percentile of some times, in seconds."""

    median: float
    p90: float


@dataclass(frozen=True, slots=True)
class Breakdown:
    """The number of jobs of a user, an action or a model, and their generation time in seconds."""

    name: str
    jobs: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """The statistics of one guild and period; breakdowns are sorted largest first.

    `over_time` is the number of jobs in each bucket of the period. `by_model` has the jobs that no model drew under "".
    `failures` has reasons as shown to requesters, in their languages, with the number of jobs whose reasons begin so.
    """

    jobs: int
    people: int
    seconds: float
    failed: int
    cancelled: int
    queue_time: Percentiles | None
    generation_time: Percentiles | None
    by_person: list[Breakdown]
    by_action: list[Breakdown]
    by_model: list[Breakdown]
    over_time: list[int]
    failures: dict[str, int]


class Stats:
    """Compute statistics over the jobs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def for_guild(self, guild_id: int, since: float, until: float, buckets: int) -> Statistics:
        """Return a guild's statistics between two times (Unix seconds), with `buckets` counts over time."""
        period: dict[str, float] = {"guild": guild_id, "since": since}
        (totals,) = await self._connection.fetch_all(TOTALS, period)
        times = await self._connection.fetch_all(TIMES, period)
        return Statistics(
            jobs=totals["jobs"],
            people=totals["people"],
            seconds=totals["seconds"],
            failed=totals["failed"],
            cancelled=totals["cancelled"],
            queue_time=await asyncio.to_thread(_percentiles, (row["waiting"] for row in times)),
            generation_time=await asyncio.to_thread(
                _percentiles, (row["drawing"] for row in times if row["drawing"] is not None)
            ),
            by_person=await self._breakdown(BY_PERSON, period),
            by_action=await self._breakdown(BY_ACTION, period),
            by_model=await self._breakdown(BY_MODEL, period),
            over_time=await self._over_time(period, (until - since) / buckets, buckets),
            failures=await self._failures(period),
        )

    async def _breakdown(self, sql: str, period: dict[str, float]) -> list[Breakdown]:
        return [
            Breakdown(*row) for row in await self._connection.fetch_all(sql, {**period, "most": MAX_BREAKDOWN_ROWS})
        ]

    async def _over_time(self, period: dict[str, float], width: float, buckets: int) -> list[int]:
        rows = await self._connection.fetch_all(OVER_TIME, {**period, "width": width})
        jobs = {row["part"]: row["jobs"] for row in rows}
        return [jobs.get(bucket, 0) for bucket in range(buckets)]

    async def _failures(self, period: dict[str, float]) -> dict[str, int]:
        rows = await self._connection.fetch_all(REASONS, {**period, "most": MAX_REASONS})
        return {row["reason"] or "": row["jobs"] for row in rows}


def _percentiles(seconds: Iterable[float]) -> Percentiles | None:
    by_length = sorted(seconds)
    if not by_length:
        return None
    median, p90 = (by_length[int(quantile * (len(by_length) - 1))] for quantile in (0.5, 0.9))
    return Percentiles(median, p90)
