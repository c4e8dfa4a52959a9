"""Store the entries of contests, the answers to pairs of them, and the results."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from db.connection import Connection
from db.together.ballots import Ballot
from generation.params import Tile

SKIPPED = "skip"  # the answer to a pair that says nothing

ENTER = """
    INSERT INTO contest_entries (session, person, job_id, tile_index, at)
    SELECT :session, :person, :job, :index, :at FROM collab_sessions
    WHERE id = :session AND phase IN (SELECT value FROM json_each(:phases)) AND ended_at IS NULL
      AND (SELECT count(*) FROM contest_entries WHERE person = :person AND session = :session) < :each
      AND (SELECT count(*) FROM contest_entries WHERE session = :session) < :most
    ON CONFLICT (session, job_id, tile_index) DO NOTHING
"""
# A pair is answered once: pressing twice changes nothing, and nobody sees more than `most` pairs.
ANSWER = """
    INSERT INTO ballots SELECT :session, :round, :person, :kind, :choice, :at FROM collab_sessions
    WHERE id = :session AND phase IN (SELECT value FROM json_each(:phases)) AND round = :round AND ended_at IS NULL
      AND (SELECT count(*) FROM ballots WHERE session = :session AND round = :round AND person = :person) < :most
    ON CONFLICT (session, round, person, kind) DO NOTHING
"""
OWN_PICTURES = """
    SELECT id, asked_at FROM jobs
    WHERE asker_id = :person AND guild_id = :guild AND private = 0 AND deleted_at IS NULL AND state = 'answered'
      AND suffix IS NOT NULL
    ORDER BY asked_at DESC LIMIT :most
"""
# The pictures of sessions in which a person had a part.
SHARED_PICTURES = """
    SELECT DISTINCT jobs.id, jobs.asked_at FROM credits
    JOIN collab_rounds ON collab_rounds.job_id = credits.job JOIN jobs ON jobs.id = credits.job
    WHERE credits.person = :person AND jobs.guild_id = :guild AND jobs.private = 0 AND jobs.deleted_at IS NULL
      AND jobs.state = 'answered' AND jobs.asker_id <> :person
    ORDER BY jobs.asked_at DESC LIMIT :most
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A picture in a contest. `place` and `rank` are None until the contest is decided."""

    id: int
    session_id: str
    person_id: int
    tile: Tile
    at: float
    shown: int = 0
    place: int | None = None
    rank: int | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One person's answer to a pair of entries: the id of the better one, or None if both are as good."""

    person_id: int
    first: int
    second: int
    better: int | None


class ContestStore:
    """Store contests in SQLite."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def enter(self, entry: Entry, phases: Iterable[str], *, each: int, most: int) -> bool:
        """Store an entry; returns False if it is not the time, the person has `each`, or the contest `most` entries."""
        stored = await self._connection.write(
            ENTER,
            {
                "session": entry.session_id,
                "person": entry.person_id,
                "job": entry.tile.job_id,
                "index": entry.tile.index,
                "at": entry.at,
                "phases": json.dumps(list(phases)),
                "each": each,
                "most": most,
            },
        )
        return stored == 1

    async def withdraw(self, session_id: str, entry_id: int, person_id: int | None = None) -> bool:
        """Delete an entry, if it is `person_id`'s or that is None; returns False if there is none."""
        deleted = await self._connection.write(
            """DELETE FROM contest_entries
               WHERE id = :id AND session = :session AND (:person IS NULL OR person = :person)""",
            {"id": entry_id, "session": session_id, "person": person_id},
        )
        return deleted == 1

    async def entries(self, session_id: str) -> list[Entry]:
        """Return the entries of a contest in the order in which they were entered."""
        rows = await self._connection.fetch_all(
            "SELECT * FROM contest_entries WHERE session = :session ORDER BY id", {"session": session_id}
        )
        return [_entry_from_row(dict(row)) for row in rows]

    async def own_pictures(self, guild_id: int, person_id: int, limit: int) -> list[str]:
        """Return the jobs of public pictures that are a person's, or of sessions they had a part in, newest first."""
        values = {"guild": guild_id, "person": person_id, "most": limit}
        rows = await self._connection.fetch_all(OWN_PICTURES, values)
        rows += await self._connection.fetch_all(SHARED_PICTURES, values)
        return [row["id"] for row in sorted(rows, key=lambda row: -row["asked_at"])[:limit]]

    async def answer(self, ballot: Ballot, pair: tuple[int, int], phases: Iterable[str], most: int) -> bool:
        """Store the answer to a pair; returns False if it is not the time, or the person has answered it or enough."""
        stored = await self._connection.write_atomically(
            (ANSWER, _ballot_values(ballot) | {"phases": json.dumps(list(phases)), "most": most}),
            (
                "UPDATE contest_entries SET shown = shown + 1 WHERE id IN (:first, :second) AND changes() = 1",
                {"first": pair[0], "second": pair[1]},
            ),
        )
        return stored == 1

    async def comparisons(self, session_id: str, round_number: int) -> list[Comparison]:
        """Return all answers of a vote but the skipped ones, in an order that never changes."""
        rows = await self._connection.fetch_all(
            """SELECT person, kind, choice FROM ballots
               WHERE session = :session AND round = :round ORDER BY person, kind""",
            {"session": session_id, "round": round_number},
        )
        return [
            Comparison(row["person"], *parse_pair(row["kind"]), int(row["choice"]) if row["choice"].isdigit() else None)
            for row in rows
            if row["choice"] != SKIPPED
        ]

    async def answered(self, session_id: str, round_number: int, person_id: int) -> set[tuple[int, int]]:
        """Return the pairs that a person has answered."""
        rows = await self._connection.fetch_all(
            "SELECT kind FROM ballots WHERE session = :session AND round = :round AND person = :person",
            {"session": session_id, "round": round_number, "person": person_id},
        )
        return {parse_pair(row["kind"]) for row in rows}

    async def set_result(self, session_id: str, places: Mapping[int, tuple[int, int]]) -> None:
        """Store the place and the rank of each entry; the result of the same votes is always the same."""
        plain: list[list[Any]] = [[entry, place, rank] for entry, (place, rank) in places.items()]
        await self._connection.write(
            """UPDATE contest_entries
               SET place = json_extract(result.value, '$[1]'), rank = json_extract(result.value, '$[2]')
               FROM json_each(:places) AS result
               WHERE contest_entries.id = json_extract(result.value, '$[0]') AND session = :session""",
            {"session": session_id, "places": json.dumps(plain)},
        )


def pair_kind(first: int, second: int) -> str:
    """Return the kind of a ballot about two entries: the same in whatever order."""
    return f"{min(first, second)}-{max(first, second)}"


def parse_pair(kind: str) -> tuple[int, int]:
    """Return the two entries that a ballot is about."""
    first, _, second = kind.partition("-")
    return int(first), int(second)


def _ballot_values(ballot: Ballot) -> dict[str, Any]:
    return {
        "session": ballot.session_id,
        "round": ballot.round,
        "person": ballot.person_id,
        "kind": ballot.kind,
        "choice": ballot.choice,
        "at": ballot.at,
    }


def _entry_from_row(row: dict[str, Any]) -> Entry:
    return Entry(
        id=row["id"],
        session_id=row["session"],
        person_id=row["person"],
        tile=Tile(row["job_id"], row["tile_index"]),
        at=row["at"],
        shown=row["shown"],
        place=row["place"],
        rank=row["rank"],
    )
