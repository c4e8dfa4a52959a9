"""Store the results of jobs that read a prompt or a picture."""

from __future__ import annotations

import json
from dataclasses import dataclass

from db.connection import Connection, Statement
from generation.params import Word


@dataclass(frozen=True, slots=True)
class StoredReading:
    """The prompts behind a result's buttons, and the words of each part of a shortened prompt."""

    prompts: tuple[str, ...]
    words: tuple[tuple[Word, ...], ...] = ()


class ReadingStore:
    """Read what jobs found out; rows are deleted with their jobs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get(self, job_id: str) -> StoredReading | None:
        """Return the result of a job, None if it has none or is deleted."""
        rows = await self._connection.fetch_all(
            "SELECT prompts, words FROM readings WHERE job_id = :id", {"id": job_id}
        )
        if not rows:
            return None
        words = tuple(tuple(Word(*word) for word in part) for part in json.loads(rows[0]["words"]))
        return StoredReading(tuple(json.loads(rows[0]["prompts"])), words)


def store_reading(job_id: str, reading: StoredReading) -> Statement:
    """Return the statement that stores a result, if the one before it has changed the job."""
    words = [[[word.text, word.weight] for word in part] for part in reading.words]
    return (
        "INSERT INTO readings SELECT :id, :prompts, :words WHERE changes() > 0",
        {
            "id": job_id,
            "prompts": json.dumps(reading.prompts, ensure_ascii=False),
            "words": json.dumps(words, ensure_ascii=False),
        },
    )
