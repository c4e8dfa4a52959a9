"""List and search pictures for a viewer: those of the channels that they may view, and their own."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from db.connection import Connection
from db.finding.search import match_terms
from db.finding.session_subjects import find_sessions
from db.together.sessions import SessionKind
from generation.params import Tile

NEWEST_ID = 2**62  # greater than every id
MAX_PLACES = 100  # channels named in a full-text query; of more, the whole server is searched

UNBLOCKED = """
    NOT EXISTS (SELECT 1 FROM blocks WHERE blocks.guild_id = shown.guild_id AND blocks.person_id = shown.person_id
                AND (until IS NULL OR until > :now))
"""
# The plus keeps SQLite from walking through the whole server in place of the few rows that the rest of a query names.
NEWEST = f"""
    SELECT shown.id, shown.job_id FROM json_each(:channels) AS place CROSS JOIN shown ON shown.id IN (
        SELECT newest.id FROM shown AS newest
        WHERE newest.channel_id = place.value AND newest.id < :before ORDER BY newest.id DESC LIMIT :most
    )
    WHERE +shown.guild_id = :guild AND {UNBLOCKED} ORDER BY shown.id DESC LIMIT :most
"""
BY_WORDS = f"""
    SELECT shown.id, shown.job_id FROM shown_words CROSS JOIN shown ON shown.id = shown_words.rowid
    WHERE shown_words MATCH :match AND shown_words.rowid < :before AND shown_words.rowid >= :first
      AND +shown.at >= :since AND +shown.guild_id = :guild
      AND shown.channel_id IN (SELECT value FROM json_each(:channels)) AND {UNBLOCKED}
    ORDER BY shown_words.rowid DESC LIMIT :most
"""
# The ids have the order in which results were posted, which differs a little from that in which they were asked for.
SINCE = """
    SELECT min(id) AS id
    FROM (SELECT id FROM shown WHERE guild_id = :guild AND at >= :since ORDER BY at LIMIT 1000)
"""
LIKED = f"""
    SELECT DISTINCT shown.id, shown.job_id FROM favourites CROSS JOIN shown ON shown.job_id = favourites.job_id
    WHERE favourites.person_id = :person AND shown.id < :before AND shown.id >= :first AND +shown.guild_id = :guild
      AND +shown.at >= :since AND shown.channel_id IN (SELECT value FROM json_each(:channels)) AND {UNBLOCKED}
      AND (:match = '' OR shown.id IN (SELECT rowid FROM shown_words WHERE shown_words MATCH :match))
    ORDER BY shown.id DESC LIMIT :most
"""
VISIBLE = f"""
    SELECT shown.job_id FROM shown
    WHERE shown.job_id IN (SELECT value FROM json_each(:jobs)) AND +shown.guild_id = :guild
      AND shown.channel_id IN (SELECT value FROM json_each(:channels)) AND {UNBLOCKED}
"""
OWN = """
    SELECT id, asked_at, private FROM jobs
    WHERE asker_id = :person AND (asked_at, id) < (:at, :id) AND suffix IS NOT NULL AND deleted_at IS NULL
      AND state = 'answered' AND (NOT :private OR private = 1)
    ORDER BY asked_at DESC, id DESC LIMIT :most
"""
OWN_BY_WORDS = """
    SELECT job_words.rowid AS row, jobs.id FROM job_words CROSS JOIN jobs ON jobs.id = job_words.job_id
    WHERE job_words MATCH :match AND job_words.rowid < :before AND suffix IS NOT NULL AND deleted_at IS NULL
      AND state = 'answered'
    ORDER BY job_words.rowid DESC LIMIT :most
"""
OWN_FAVOURITES = """
    SELECT job_id, tile_index, at FROM favourites
    WHERE person_id = :person AND at < :before ORDER BY at DESC LIMIT :most
"""
# Jobs of sessions: of contests those that have a place, since before that nobody is told whose they are.
_OF_SESSIONS = """
    SELECT job_id FROM collab_rounds JOIN collab_sessions ON collab_sessions.id = session
    WHERE session IN (SELECT value FROM json_each(:sessions)) AND kind <> 'contest'
    UNION
    SELECT job_id FROM contest_entries JOIN collab_sessions ON collab_sessions.id = session
    WHERE session IN (SELECT value FROM json_each(:sessions)) AND place IS NOT NULL
      AND channel_id IN (SELECT value FROM json_each(:channels))
"""
_OF_SESSIONS_SEEN = f"""
    +shown.at >= :since AND +shown.guild_id = :guild
    AND +shown.channel_id IN (SELECT value FROM json_each(:channels)) AND {UNBLOCKED}
    AND (NOT :liked OR EXISTS (SELECT 1 FROM favourites WHERE person_id = :person AND job_id = shown.job_id))
"""
FROM_SESSIONS = f"""
    SELECT shown.id, shown.job_id FROM shown
    WHERE shown.job_id IN ({_OF_SESSIONS}) AND +shown.id < :before AND +shown.id >= :first AND {_OF_SESSIONS_SEEN}
    ORDER BY +shown.id DESC LIMIT :most
"""
FROM_SESSIONS_BY_WORDS = f"""
    SELECT shown.id, shown.job_id FROM shown_words CROSS JOIN shown ON shown.id = shown_words.rowid
    WHERE shown_words MATCH :match AND shown_words.rowid < :before AND shown_words.rowid >= :first
      AND shown_words.rowid <= (SELECT max(last.id) FROM shown AS last WHERE last.job_id IN ({_OF_SESSIONS}))
      AND +shown.job_id IN ({_OF_SESSIONS}) AND {_OF_SESSIONS_SEEN}
    ORDER BY shown_words.rowid DESC LIMIT :most
"""
# Entries of contests that are not decided, and the grids from which they were taken out: until then nobody is told
# whose they are.
ANONYMOUS = """
    WITH entered (job_id, entry) AS (
        SELECT value, value FROM json_each(:jobs)
        UNION
        SELECT lineage.parent_job, child FROM lineage
        JOIN jobs AS taken ON taken.id = child AND taken.action = 'pick'
        WHERE lineage.parent_job IN (SELECT value FROM json_each(:jobs))
    )
    SELECT DISTINCT entered.job_id FROM entered
    JOIN contest_entries ON contest_entries.job_id = entered.entry
    JOIN collab_sessions ON collab_sessions.id = contest_entries.session
    WHERE contest_entries.person <> :person
      AND contest_entries.place IS NULL AND collab_sessions.ended_at IS NULL
"""
FAVOURITE_TILES = """
    SELECT job_id, tile_index FROM favourites
    WHERE person_id = :person AND job_id IN (SELECT value FROM json_each(:jobs))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a viewer may see of a server: the results in these channels."""

    guild_id: int
    channels: frozenset[int]
    person_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureQuery:
    """A search by the beginnings of words of the prompt, the requester's name and the model; an empty one finds all.

    `since` is in Unix seconds; `liked` keeps what is among the viewer's favourites; `session_kind` keeps what came out
    of sessions of a kind, `about` of those that are about these words.
    """

    words: tuple[str, ...] = ()
    author: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    since: float = 0.0
    liked: bool = False
    session_kind: SessionKind | None = None
    about: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The job ids of a page, newest first; `next` is where the following one starts, or None after the last."""

    job_ids: tuple[str, ...]
    next: str | None


class Gallery:
    """Lists of pictures, a page at a time, each from an index."""

    def __init__(self, connection: Connection, clock: Callable[[], float] = time.time) -> None:
        self._connection, self._clock = connection, clock

    async def page(self, view: View, query: PictureQuery, before: str | None, limit: int) -> Page:
        """Return the newest pictures that a viewer may see, those before `before`."""
        values = {
            **self._view_values(view),
            "before": _number(before, NEWEST_ID),
            "first": await self._first_id(view.guild_id, query.since),
            "since": query.since,
            "match": _match(view, query),
            "most": limit + 1,
            "sessions": await self._sessions(view.guild_id, query),
            "liked": query.liked,
        }
        rows = await self._connection.fetch_all(_statement(query), values)
        page = _page([(row["job_id"], str(row["id"])) for row in rows], limit)
        if not query.author:
            return page
        anonymous = await self.anonymous(view.person_id, page.job_ids)
        return replace(page, job_ids=tuple(job_id for job_id in page.job_ids if job_id not in anonymous))

    async def visible(self, view: View, job_ids: Iterable[str]) -> set[str]:
        """Return those of some jobs whose results the viewer may see."""
        values = self._view_values(view) | {"jobs": json.dumps(sorted(set(job_ids)))}
        return {row["job_id"] for row in await self._connection.fetch_all(VISIBLE, values)}

    async def own(self, person_id: int, before: str | None, limit: int, *, private: bool = False) -> Page:
        """Return a person's own results, only the private ones if asked."""
        at, job_id = _cursor(before)
        values = {"person": person_id, "at": at, "id": job_id, "private": private, "most": limit + 1}
        rows = await self._connection.fetch_all(OWN, values)
        return _page([(row["id"], f"{row['asked_at']!r}_{row['id']}") for row in rows], limit)

    async def own_by_words(self, person_id: int, words: Sequence[str], before: str | None, limit: int) -> Page:
        """Return a person's own results with these words in their prompts."""
        match = f'asker_id : "{person_id}" AND prompt : ({match_terms(words)})'
        values = {"match": match, "before": _number(before, NEWEST_ID), "most": limit + 1}
        rows = await self._connection.fetch_all(OWN_BY_WORDS, values)
        return _page([(row["id"], str(row["row"])) for row in rows], limit)

    async def favourites(self, person_id: int, before: str | None, limit: int) -> tuple[list[Tile], str | None]:
        """Return a person's favourites, the latest first, and where the following ones start."""
        at, _ = _cursor(before)
        rows = await self._connection.fetch_all(OWN_FAVOURITES, {"person": person_id, "before": at, "most": limit + 1})
        tiles = [Tile(row["job_id"], row["tile_index"]) for row in rows[:limit]]
        return tiles, f"{rows[limit - 1]['at']!r}_" if len(rows) > limit else None

    async def favourite_tiles(self, person_id: int, job_ids: Iterable[str]) -> set[Tile]:
        """Return those images of some jobs that are among a person's favourites."""
        values = {"person": person_id, "jobs": json.dumps(sorted(set(job_ids)))}
        rows = await self._connection.fetch_all(FAVOURITE_TILES, values)
        return {Tile(row["job_id"], row["tile_index"]) for row in rows}

    async def anonymous(self, person_id: int, job_ids: Iterable[str]) -> set[str]:
        """Return those of some jobs whose requester may not be named to a person: others' entries of open contests."""
        values = {"person": person_id, "jobs": json.dumps(sorted(set(job_ids)))}
        return {row["job_id"] for row in await self._connection.fetch_all(ANONYMOUS, values)}

    def _view_values(self, view: View) -> dict[str, Any]:
        return {
            "guild": view.guild_id,
            "channels": json.dumps(sorted(view.channels)),
            "person": view.person_id,
            "now": self._clock(),
        }

    async def _sessions(self, guild_id: int, query: PictureQuery) -> str | None:
        """Return the sessions that a search is about, as JSON."""
        if query.session_kind is None:
            return None
        return json.dumps(await find_sessions(self._connection, guild_id, query.session_kind, query.about))

    async def _first_id(self, guild_id: int, since: float) -> int:
        if not since:
            return -NEWEST_ID
        rows = await self._connection.fetch_all(SINCE, {"guild": guild_id, "since": since})
        return NEWEST_ID if rows[0]["id"] is None else int(rows[0]["id"])


def _statement(query: PictureQuery) -> str:
    if query.session_kind is not None:
        return FROM_SESSIONS_BY_WORDS if query.words or query.author or query.model else FROM_SESSIONS
    if query.liked:
        return LIKED
    return BY_WORDS if query.words or query.author or query.model or query.since else NEWEST


def _match(view: View, query: PictureQuery) -> str:
    """Return the full-text query; terms are quoted, so that typed text is never parsed as query syntax."""
    columns = {"prompt": query.words, "author": query.author, "model": query.model}
    parts = [f"{column} : ({match_terms(words)})" for column, words in columns.items() if words]
    if query.liked and not parts:
        return ""
    return " AND ".join([_place(view), *parts])


def _place(view: View) -> str:
    if not 0 < len(view.channels) <= MAX_PLACES:
        return f'place : "g{view.guild_id}"'
    channels = " OR ".join(f'"c{channel}"' for channel in sorted(view.channels))
    return f"place : ({channels})"


def _page(found: Sequence[tuple[str, str]], limit: int) -> Page:
    return Page(
        job_ids=tuple(job_id for job_id, _ in found[:limit]), next=found[limit - 1][1] if len(found) > limit else None
    )


def _number(text: str | None, default: int) -> int:
    """Parse a cursor; raises ValueError for what is none."""
    return default if text is None else max(-NEWEST_ID, min(int(text), NEWEST_ID))


def _cursor(text: str | None) -> tuple[float, str]:
    """Parse a cursor; raises ValueError for what is none."""
    if text is None:
        return float(NEWEST_ID), ""
    at, _, job_id = text.partition("_")
    return float(at), job_id
