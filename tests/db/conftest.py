"""A store on a real file, and a clock that tests set."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from db.connection import Connection
from db.jobs import JobStore
from generation.job import Job
from tests.support.jobs import make_job
from tests.support.new_database import MakeDatabase, make_database

__all__ = ["make_database"]


class FakeClock:
    """A clock in Unix seconds that only tests move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the database's path; the file need not exist."""
    return tmp_path / "data" / "atelier.sqlite3"


@pytest.fixture
async def connection(path: Path, make_database: MakeDatabase) -> AsyncIterator[Connection]:
    async with Connection.open(make_database(path)) as connection:
        yield connection


@pytest.fixture
def store(connection: Connection, clock: FakeClock) -> JobStore:
    return JobStore(connection, clock)


@pytest.fixture
def post_job(store: JobStore, clock: FakeClock) -> Callable[..., Awaitable[Job]]:
    """Return a function that stores a job requested now, lets it wait, and marks it as generated and posted."""

    async def post_job(
        *,
        waits: float = 1.0,
        seconds: float = 2.0,
        model: str = "Painter",
        result_message_id: int = 77,
        **changes: Any,
    ) -> Job:
        job = make_job(**{"asked_at": clock.now} | changes)
        await store.add_job(job)
        clock.now += waits
        await store.mark_running(job.id)
        await store.mark_generated(job.id, "png", seconds, model)
        await store.mark_posted(job.id, result_message_id)
        return job

    return post_job
