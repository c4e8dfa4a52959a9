"""Find jobs again: by the words of the prompt, by id, by message, by heart."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import aiosqlite

from db.connection import Connection
from generation.job import Action
from generation.params import Params, from_dict

MOST_FOUND = 25  # what an autocompletion can offer
FEWEST_OF_AN_ID = 4  # digits that are taken for the beginning of an id

_COLUMNS = "jobs.id, jobs.params, jobs.action, jobs.asked_at, jobs.prompt"
_IS_THERE = "jobs.suffix IS NOT NULL AND jobs.deleted_at IS NULL"  # drawn, and not deleted on purpose

NEWEST = f"""
    SELECT {_COLUMNS} FROM jobs WHERE asker_id = :person AND {_IS_THERE} ORDER BY asked_at DESC LIMIT :most
"""
BY_WORDS = f"""
    SELECT {_COLUMNS} FROM job_words CROSS JOIN jobs ON jobs.id = job_words.job_id
    WHERE job_words MATCH :match AND {_IS_THERE} ORDER BY job_words.rowid DESC LIMIT :most
"""
BY_ID = f"""
    SELECT {_COLUMNS} FROM jobs
    WHERE id >= :start AND id < :start || 'g' AND +asker_id = :person AND {_IS_THERE} LIMIT :most
"""
FAVOURITES = f"""
    SELECT {_COLUMNS} FROM favourites CROSS JOIN jobs ON jobs.id = favourites.job_id
    WHERE favourites.person_id = :person AND {_IS_THERE} ORDER BY favourites.at DESC
"""
# Few jobs have a notice at any time, so that theirs may all be looked at.
BY_MESSAGE = "SELECT id FROM jobs WHERE answer_id = :message UNION SELECT id FROM jobs WHERE notice_id = :message"
LIFETIME = """
    SELECT count(*) AS jobs, coalesce(sum(coalesce(json_extract(params, '$.count'), 4)), 0) AS pictures,
           coalesce(sum(seconds), 0.0) AS seconds
    FROM jobs WHERE asker_id = :person AND state = 'answered'
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A job as it is offered to choose from."""

    job_id: str
    params: Params
    action: Action
    asked_at: float


@dataclass(frozen=True, slots=True)
class Lifetime:
    """What a person has had drawn so far; `seconds` are those of the drawing."""

    jobs: int
    pictures: int
    seconds: float


class Search:
    """Find people's jobs among all of them, newest first."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def prompts(self, person_id: int, typed: str) -> list[Found]:
        """Give a person's jobs that have every word of `typed`, or a word that begins with it, or such an id."""
        found = {each.job_id: each for each in await self._by_id(person_id, typed.strip().lower())}
        if match := _match(person_id, typed):
            found |= {each.job_id: each for each in await self._found(BY_WORDS, match=match)}
        elif not found:
            return await self._found(NEWEST, person=person_id)
        return list(found.values())[:MOST_FOUND]

    async def favourites(self, person_id: int, typed: str) -> list[Found]:
        """Give the jobs that a person marked with a heart, those with every word of `typed`."""
        words = [word.casefold() for word in _words(typed)]
        rows = await self._connection.rows(FAVOURITES, {"person": person_id})
        fitting = (row for row in rows if all(word in row["prompt"].casefold() for word in words))
        return list({row["id"]: _read(row) for row in fitting}.values())[:MOST_FOUND]

    async def of_message(self, message_id: int) -> str | None:
        """Give the id of the job whose result or notice is this message."""
        rows = await self._connection.rows(BY_MESSAGE, {"message": message_id})
        return str(rows[0]["id"]) if rows else None

    async def lifetime(self, person_id: int) -> Lifetime:
        """Sum up what a person has had drawn."""
        (row,) = await self._connection.rows(LIFETIME, {"person": person_id})
        return Lifetime(*row)

    async def _by_id(self, person_id: int, start: str) -> list[Found]:
        if not re.fullmatch(rf"[0-9a-f]{{{FEWEST_OF_AN_ID},12}}", start):
            return []
        return await self._found(BY_ID, person=person_id, start=start)

    async def _found(self, sql: str, **values: str | int) -> list[Found]:
        return [_read(row) for row in await self._connection.rows(sql, {"most": MOST_FOUND, **values})]


def _read(row: aiosqlite.Row) -> Found:
    return Found(row["id"], from_dict(json.loads(row["params"])), Action(row["action"]), row["asked_at"])


def _words(typed: str) -> list[str]:
    return re.findall(r"\w+", typed)


def _match(person_id: int, typed: str) -> str | None:
    """Write a query in FTS5's language; quoted, so that nothing that is typed is taken for its syntax."""
    words = " AND ".join(f'"{word}"*' for word in _words(typed))
    return f'asker_id : "{person_id}" AND prompt : ({words})' if words else None
