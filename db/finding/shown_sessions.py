"""What people made together, for a viewer: sessions of which they may see a picture, and families of pictures."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiosqlite

from db.connection import Connection
from db.finding.gallery import NEWEST_ID, UNBLOCKED, View
from db.finding.session_subjects import subject_of
from db.together.sessions import SessionKind
from generation.job import Action
from generation.params import Tile

# The pluses keep SQLite from walking through whole channels in place of the few rows that the rest of a query names.
_VISIBLE = f"+shown.guild_id = :guild AND +shown.channel_id IN (SELECT value FROM json_each(:channels)) AND {UNBLOCKED}"
# A contest is shown to whom may see its channel: its pictures may come from others. Nobody is told whose they are
# before it is decided. A canvas is shown when its whole picture is posted, which the index need not have; a telephone
# when it has ended: until then its players see the last picture only.
_IS_SHOWN = f"""
    CASE kind
        WHEN 'contest' THEN collab_sessions.channel_id IN (SELECT value FROM json_each(:channels))
            AND EXISTS (SELECT 1 FROM contest_entries WHERE session = collab_sessions.id AND place IS NOT NULL)
        WHEN 'canvas' THEN EXISTS (
            SELECT 1 FROM collab_rounds JOIN jobs ON jobs.id = collab_rounds.job_id
            WHERE session = collab_sessions.id AND jobs.state = 'answered' AND deleted_at IS NULL)
        ELSE (kind <> 'telephone' OR ended_at IS NOT NULL) AND EXISTS (
            SELECT 1 FROM collab_rounds JOIN shown ON shown.job_id = collab_rounds.job_id
            WHERE collab_rounds.session = collab_sessions.id AND {_VISIBLE})
    END
"""
_COLUMNS = "id, kind, guild_id, channel_id, thread_id, message_id, settings, made_at, ended_at"
LIST = f"""
    SELECT {_COLUMNS} FROM collab_sessions
    WHERE guild_id = :guild AND kind = :kind AND made_at < :before AND {_IS_SHOWN}
    ORDER BY made_at DESC LIMIT :most
"""
ONE = f"""
    SELECT {_COLUMNS} FROM collab_sessions
    WHERE id = :id AND +guild_id = :guild AND +kind = :kind AND {_IS_SHOWN}
"""
ROUNDS = """
    SELECT session, round, job_id, facts FROM collab_rounds
    WHERE session IN (SELECT value FROM json_each(:sessions)) ORDER BY session, round
"""
PLACES = """
    SELECT session, job_id, tile_index, place FROM contest_entries
    WHERE session IN (SELECT value FROM json_each(:sessions)) AND place IS NOT NULL ORDER BY rank
"""
# A family is listed by its oldest picture that the viewer may see. An image that was only taken out of its grid is no
# generation: what was made from it was made from the grid.
FAMILIES = f"""
    WITH made (parent, child) AS (
        SELECT parent_job, child FROM lineage WHERE parent_job IN (SELECT value FROM json_each(:jobs))
        UNION
        SELECT taken.parent_job, later.child FROM lineage AS taken
        JOIN jobs ON jobs.id = taken.child AND jobs.action = :pick JOIN lineage AS later ON later.parent_job = jobs.id
        WHERE taken.parent_job IN (SELECT value FROM json_each(:jobs))
    )
    SELECT parent, count(*) AS children FROM made JOIN shown ON shown.job_id = made.child
    WHERE {_VISIBLE} AND NOT EXISTS (
        SELECT 1 FROM lineage AS own JOIN jobs AS older ON older.id = own.parent_job
        WHERE own.child = made.parent AND (older.action = :pick OR EXISTS (
            SELECT 1 FROM shown WHERE shown.job_id = older.id AND {_VISIBLE})))
    GROUP BY parent
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRound:
    """A round of a session: its job, and what was decided for it."""

    number: int
    job_id: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSession:
    """A session of which a viewer may see a picture; `places` are the pictures of a contest in the order of ranks."""

    id: str
    kind: SessionKind
    guild_id: int
    place_id: int
    message_id: int | None
    settings: Mapping[str, Any]
    made_at: float
    ended_at: float | None
    rounds: Sequence[ShownRound] = ()
    places: Sequence[tuple[Tile, int]] = ()

    @property
    def subject(self) -> str:
        """Return what the session is about: the prompt of a jam, the theme of a canvas or a contest."""
        return subject_of(self.settings, [each.facts for each in self.rounds])


class ShownSessions:
    """Read sessions and families from indexes."""

    def __init__(self, connection: Connection, clock: Callable[[], float] = time.time) -> None:
        self._connection, self._clock = connection, clock

    async def page(
        self, view: View, kind: SessionKind, before: str | None, limit: int
    ) -> tuple[list[ShownSession], str | None]:
        """Return a server's sessions of a kind, the newest first, and where the following ones start."""
        values = self._values(view) | {
            "kind": kind,
            "before": float(NEWEST_ID if before is None else before),
            "most": limit + 1,
        }
        rows = await self._connection.fetch_all(LIST, values)
        following = repr(rows[limit - 1]["made_at"]) if len(rows) > limit else None
        return await self._complete(rows[:limit]), following

    async def get(self, view: View, kind: SessionKind, session_id: str) -> ShownSession | None:
        """Return a session, if the viewer may see it."""
        rows = await self._connection.fetch_all(ONE, self._values(view) | {"kind": kind, "id": session_id})
        return next(iter(await self._complete(rows)), None)

    async def families(self, view: View, job_ids: Iterable[str]) -> dict[str, int]:
        """Return those of some visible pictures that begin a family, with how many were made from each."""
        values = self._values(view) | {"jobs": json.dumps(sorted(set(job_ids))), "pick": Action.PICK}
        return {row["parent"]: row["children"] for row in await self._connection.fetch_all(FAMILIES, values)}

    def _values(self, view: View) -> dict[str, Any]:
        return {"guild": view.guild_id, "channels": json.dumps(sorted(view.channels)), "now": self._clock()}

    async def _complete(self, rows: Sequence[aiosqlite.Row]) -> list[ShownSession]:
        sessions = {"sessions": json.dumps([row["id"] for row in rows])}
        rounds: dict[str, list[ShownRound]] = {}
        for row in await self._connection.fetch_all(ROUNDS, sessions):
            made = ShownRound(number=row["round"], job_id=row["job_id"], facts=json.loads(row["facts"]))
            rounds.setdefault(row["session"], []).append(made)
        places: dict[str, list[tuple[Tile, int]]] = {}
        for row in await self._connection.fetch_all(PLACES, sessions):
            places.setdefault(row["session"], []).append((Tile(row["job_id"], row["tile_index"]), row["place"]))
        return [_session(row, rounds.get(row["id"], []), places.get(row["id"], [])) for row in rows]


def _session(row: aiosqlite.Row, rounds: Sequence[ShownRound], places: Sequence[tuple[Tile, int]]) -> ShownSession:
    return ShownSession(
        id=row["id"],
        kind=SessionKind(row["kind"]),
        guild_id=row["guild_id"],
        place_id=row["channel_id"] if row["thread_id"] is None else row["thread_id"],
        message_id=row["message_id"],
        settings=json.loads(row["settings"]),
        made_at=row["made_at"],
        ended_at=row["ended_at"],
        rounds=tuple(rounds),
        places=tuple(places),
    )
