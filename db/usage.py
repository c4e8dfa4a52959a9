"""How much of the studio somebody has used."""

from __future__ import annotations

from dataclasses import dataclass

from db.connection import Connection

# Jobs that came to nothing cost nothing, unless somebody cancelled one whose previews they had seen; a picked picture
# is not drawn.
COUNTED_JOBS = "state <> 'failed' AND (state <> 'cancelled' OR started_at IS NOT NULL) AND action <> 'pick'"
# The seconds of a job that was cancelled are those until then.
JOB_SECONDS = "CASE state WHEN 'cancelled' THEN ended_at - started_at ELSE seconds END"
# The plus keeps SQLite from going through all of a guild's jobs instead of all of a person's.
USAGE_TOTALS = f"""SELECT count(*) AS jobs, coalesce(sum(seconds), 0.0) AS seconds, max(asked_at) AS last_asked_at
               FROM (
               SELECT {JOB_SECONDS} AS seconds, asked_at FROM jobs
               WHERE asker_id = :person AND +guild_id = :guild AND asked_at > :since AND {COUNTED_JOBS}
               UNION ALL SELECT seconds, asked_at FROM tallies
               WHERE person_id = :person AND guild_id = :guild AND asked_at > :since)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageTotals:
    """What somebody has used in a guild: jobs, the seconds they took to draw, and when the last was asked for."""

    jobs: int
    seconds: float
    last_asked_at: float | None


class Usage:
    """Sum up the jobs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def totals(self, person_id: int, guild_id: int, since: float) -> UsageTotals:
        """Give what somebody has used in a guild since a time (Unix seconds)."""
        (row,) = await self._connection.fetch_all(
            USAGE_TOTALS, {"person": person_id, "guild": guild_id, "since": since}
        )
        return UsageTotals(**dict(row))
