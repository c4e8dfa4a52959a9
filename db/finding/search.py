"""Search jobs by prompt, by id, by message and among favourites."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import aiosqlite

from db.connection import Connection
from generation.job import Action
from generation.params import Params, from_dict

MAX_RESULTS = 25  # Discord's limit for autocomplete choices
MAX_TERMS = 12  # words that a search asks for
MIN_ID_PREFIX = 4  # hexadecimal digits; a shorter query is not searched as an id

_COLUMNS = "jobs.id, jobs.params, jobs.action, jobs.asked_at, jobs.prompt"
# Generated, not deleted, and not kept by a session until it is shown.
_IS_HELD = "jobs.state = 'drawn' AND jobs.private AND jobs.token = ''"
_HAS_IMAGES = f"jobs.suffix IS NOT NULL AND jobs.deleted_at IS NULL AND NOT ({_IS_HELD})"

NEWEST = f"""
    SELECT {_COLUMNS} FROM jobs WHERE asker_id = :person AND {_HAS_IMAGES} ORDER BY asked_at DESC LIMIT :most
"""
BY_PROMPT = f"""
    SELECT {_COLUMNS} FROM job_words CROSS JOIN jobs ON jobs.id = job_words.job_id
    WHERE job_words MATCH :match AND {_HAS_IMAGES} ORDER BY job_words.rowid DESC LIMIT :most
"""
BY_ID = f"""
    SELECT {_COLUMNS} FROM jobs
    WHERE id >= :start AND id < :start || 'g' AND +asker_id = :person AND {_HAS_IMAGES} LIMIT :most
"""
FAVOURITES = f"""
    SELECT {_COLUMNS} FROM favourites CROSS JOIN jobs ON jobs.id = favourites.job_id
    WHERE favourites.person_id = :person AND {_HAS_IMAGES} ORDER BY favourites.at DESC
"""
# Columns answer_id (result message) and notice_id (status message). Few jobs have a status message at any time, so
# scanning the index of those is cheap.
BY_MESSAGE = "SELECT id FROM jobs WHERE answer_id = :message UNION SELECT id FROM jobs WHERE notice_id = :message"
LIFETIME = """
    SELECT count(*) AS jobs, coalesce(sum(coalesce(json_extract(params, '$.count'), 4)), 0) AS pictures,
           coalesce(sum(seconds), 0.0) AS seconds
    FROM jobs WHERE asker_id = :person AND state = 'answered'
"""


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A job found by a search."""

    job_id: str
    params: Params
    action: Action
    asked_at: float


@dataclass(frozen=True, slots=True)
class LifetimeTotals:
    """A user's totals over all posted jobs; `seconds` is the generation time."""

    jobs: int
    images: int
    seconds: float


class JobSearch:
    """Search jobs, newest first."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def by_prompt(self, person_id: int, query: str) -> list[SearchHit]:
        """Return a user's jobs whose prompt has words starting with each word of `query`, or whose id starts with it.

        Without words, returns the newest jobs.
        """
        found = {each.job_id: each for each in await self._by_id(person_id, query.strip().lower())}
        if match := _fts_query(person_id, query):
            found |= {each.job_id: each for each in await self._query(BY_PROMPT, match=match)}
        elif not found:
            return await self._query(NEWEST, person=person_id)
        return list(found.values())[:MAX_RESULTS]

    async def favourites(self, person_id: int, query: str) -> list[SearchHit]:
        """Return a user's favourite jobs whose prompt contains every word of `query`."""
        terms = [word.casefold() for word in words_of(query)]
        rows = await self._connection.fetch_all(FAVOURITES, {"person": person_id})
        prompts = [unicodedata.normalize("NFC", row["prompt"]).casefold() for row in rows]
        matching = (row for row, prompt in zip(rows, prompts, strict=True) if all(word in prompt for word in terms))
        return list({row["id"]: _hit_from_row(row) for row in matching}.values())[:MAX_RESULTS]

    async def by_message(self, message_id: int) -> str | None:
        """Return the id of the job that has this result message or status message."""
        rows = await self._connection.fetch_all(BY_MESSAGE, {"message": message_id})
        return str(rows[0]["id"]) if rows else None

    async def lifetime(self, person_id: int) -> LifetimeTotals:
        """Return a user's totals over all posted jobs."""
        (row,) = await self._connection.fetch_all(LIFETIME, {"person": person_id})
        return LifetimeTotals(*row)

    async def _by_id(self, person_id: int, prefix: str) -> list[SearchHit]:
        if not re.fullmatch(rf"[0-9a-f]{{{MIN_ID_PREFIX},12}}", prefix):
            return []
        return await self._query(BY_ID, person=person_id, start=prefix)

    async def _query(self, sql: str, **values: str | int) -> list[SearchHit]:
        return [_hit_from_row(row) for row in await self._connection.fetch_all(sql, {"most": MAX_RESULTS, **values})]


def _hit_from_row(row: aiosqlite.Row) -> SearchHit:
    return SearchHit(row["id"], from_dict(json.loads(row["params"])), Action(row["action"]), row["asked_at"])


def words_of(text: str) -> tuple[str, ...]:
    """Return the words of a typed text as the full-text index has them: it takes the underscore for a space."""
    return tuple(re.findall(r"[^\W_]+", unicodedata.normalize("NFC", text)))


def _fts_query(person_id: int, query: str) -> str | None:
    """Return an FTS5 query; terms are quoted, so that typed text is never parsed as query syntax."""
    terms = match_terms(words_of(query))
    return f'asker_id : "{person_id}" AND prompt : ({terms})' if terms else None


def match_terms(words: Iterable[str]) -> str:
    """Return the part of an FTS5 query that asks for the beginnings of all words; terms are quoted.

    Every term costs a pass over its entries, in the thread that all stores share. So a beginning of another word is
    left out, and of a long text the longest words are enough.
    """
    by_form = {word.lower(): word for word in words}
    begin_others = {form for form, following in pairwise(sorted(by_form)) if following.startswith(form)}
    needed = [form for form in by_form if form not in begin_others]
    longest = set(sorted(needed, key=len, reverse=True)[:MAX_TERMS])
    return " AND ".join(f'"{by_form[form]}"*' for form in needed if form in longest)
