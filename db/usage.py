"""A user's usage in a guild, for its limits."""

from __future__ import annotations

from dataclasses import dataclass

from db.connection import Connection

# Failed jobs are free, and so are jobs cancelled before they started: after that, previews may have been shown.
# The action 'pick' generates nothing.
COUNTED_JOBS = "state <> 'failed' AND (state <> 'cancelled' OR started_at IS NOT NULL) AND action <> 'pick'"
# A cancelled job counts the seconds until it was cancelled.
JOB_SECONDS = "CASE state WHEN 'cancelled' THEN ended_at - started_at ELSE seconds END"
# A film counts as one job for every four pictures, as a grid does, and a video as one more: see `grids_of`. A reading
# counts as one job, whatever its prompt asks for.
JOBS = (
    "max(1, (coalesce(json_extract(params, '$.film.steps'), 1) + 3) / 4) + "
    "(json_extract(params, '$.reading') IS NULL AND coalesce(json_extract(params, '$.video'), 0))"
)
# The unary plus keeps SQLite from using the guild's index, which has far more rows than the user's.
USAGE_TOTALS = f"""SELECT coalesce(sum(jobs), 0) AS jobs, coalesce(sum(seconds), 0.0) AS seconds,
               max(asked_at) AS last_asked_at
               FROM (
               SELECT {JOBS} AS jobs, {JOB_SECONDS} AS seconds, asked_at FROM jobs
               WHERE asker_id = :person AND +guild_id = :guild AND asked_at > :since AND {COUNTED_JOBS}
               UNION ALL SELECT 1, seconds, asked_at FROM tallies
               WHERE person_id = :person AND guild_id = :guild AND asked_at > :since)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageTotals:
    """A user's usage in a guild: jobs, their generation time in seconds, and the time of the last request."""

    jobs: int
    seconds: float
    last_asked_at: float | None


class Usage:
    """Sum up users' jobs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def totals(self, person_id: int, guild_id: int, since: float) -> UsageTotals:
        """Return a user's usage in a guild since a time (Unix seconds)."""
        (row,) = await self._connection.fetch_all(
            USAGE_TOTALS, {"person": person_id, "guild": guild_id, "since": since}
        )
        return UsageTotals(**dict(row))
