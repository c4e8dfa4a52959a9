"""A press that is repeated by mistake: while its job is submitted, however long, and for a moment after it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.jobs.presses import REPEAT_S, RecentPresses
from db.connection import Connection
from db.jobs import JobStore
from tests.support.jobs import make_job
from tests.support.new_database import MakeDatabase, make_database

__all__ = ["make_database"]

PRESS = (11, 22, "job:U1")


@pytest.fixture
async def jobs(tmp_path: Path, make_database: MakeDatabase) -> AsyncIterator[JobStore]:
    async with Connection.open(make_database(tmp_path / "atelier.sqlite3")) as connection:
        yield JobStore(connection)


async def test_a_press_is_repeated_until_a_moment_after_it_while_its_job_goes_on(jobs):
    seconds = [0.0]
    presses = RecentPresses(jobs, lambda: seconds[0])
    await jobs.add_job(job := make_job())
    assert not await presses.is_repeated(PRESS)
    presses.accepted(PRESS, job.id)
    assert await presses.is_repeated(PRESS)
    seconds[0] += REPEAT_S + 0.1
    assert not await presses.is_repeated(PRESS)


async def test_a_press_is_repeated_as_long_as_its_job_is_being_submitted(jobs):
    seconds = [0.0]
    presses = RecentPresses(jobs, lambda: seconds[0])
    assert not await presses.is_repeated(PRESS)
    seconds[0] += 10 * REPEAT_S
    assert await presses.is_repeated(PRESS)
    presses.accepted(PRESS, "a slow one")
    assert not await presses.is_repeated(PRESS)


async def test_a_refused_press_may_be_made_again_at_once(jobs):
    presses = RecentPresses(jobs)
    assert not await presses.is_repeated(PRESS)
    presses.refused(PRESS)
    assert not await presses.is_repeated(PRESS)


async def test_of_two_presses_at_once_after_a_job_that_has_ended_one_is_repeated(jobs):
    presses = RecentPresses(jobs, lambda: 0.0)
    await jobs.add_job(job := make_job())
    assert not await presses.is_repeated(PRESS)
    presses.accepted(PRESS, job.id)
    await jobs.cancel(job.id, "Cancelled.")
    both = await asyncio.gather(presses.is_repeated(PRESS), presses.is_repeated(PRESS))
    assert sorted(both) == [False, True]
