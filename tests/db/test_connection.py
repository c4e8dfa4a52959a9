"""No accepted job is lost with many writers, cancelled callers or killed processes."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from db.jobs import JobState, JobStore
from tests.support.jobs import make_job

ROOT = Path(__file__).resolve().parents[2]


async def start_writer(path, count):
    """Start a second process that adds `count` jobs to the store at `path`."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.job_writer",
        str(path),
        str(count),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )


def ids_in(path):
    """Check the file's integrity and return the ids of all jobs."""
    with closing(sqlite3.connect(path)) as reader:
        assert reader.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return {job_id for (job_id,) in reader.execute("SELECT id FROM jobs")}


async def test_many_writers_in_two_processes_all_succeed(store, path):
    child = await start_writer(path, 50)
    first = await child.stdout.readline()  # from now on both processes write
    mine = [make_job() for _ in range(150)]
    await asyncio.gather(*(store.add_job(job) for job in mine))
    started = await asyncio.gather(*(store.mark_running(job.id) for job in mine))
    rest, _ = await child.communicate()
    theirs = {line.decode().strip() for line in [first, *rest.splitlines()]}
    assert child.returncode == 0
    assert started == [True] * 150
    assert len(theirs) == 50
    assert ids_in(path) == theirs | {job.id for job in mine}


async def test_a_writer_waits_for_another_programs_transaction(store, path):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        adding = asyncio.create_task(store.add_job(job := make_job()))
        done, _ = await asyncio.wait({adding}, timeout=0.1)
        assert not done
        other.execute("COMMIT")
        await adding
    assert ids_in(path) == {job.id}


async def test_reads_succeed_during_a_write(store, path):
    job = make_job()
    await store.add_job(job)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE jobs SET state = 'failed'")
        assert (await store.get(job.id)).state is JobState.WAITING
        other.execute("ROLLBACK")


async def test_kill_9_loses_no_job_whose_add_job_had_returned(path):
    child = await start_writer(path, 10_000)
    returned = {(await child.stdout.readline()).decode().strip() for _ in range(25)}
    child.send_signal(signal.SIGKILL)
    rest, _ = await child.communicate()
    *complete_lines, _ = rest.decode().split("\n")
    returned |= set(complete_lines)
    assert child.returncode == -signal.SIGKILL
    async with JobStore.open(path) as store:
        records = await store.open_records()
    stored = {record.job.id for record in records}
    assert returned <= stored
    assert len(stored) <= len(returned) + 1, "at most the one that was just being added"
    assert {record.state for record in records} == {JobState.WAITING}


async def test_a_write_completes_even_if_its_caller_is_cancelled(store):
    job = make_job()
    adding = asyncio.create_task(store.add_job(job))
    await asyncio.sleep(0)  # so that the task has started
    adding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adding
    assert (await store.get(job.id)).job == job


async def test_closing_waits_for_the_writes_of_cancelled_callers(path):
    jobs = [make_job() for _ in range(20)]
    async with JobStore.open(path) as store:
        adding = [asyncio.create_task(store.add_job(job)) for job in jobs]
        await asyncio.sleep(0)
        for task in adding:
            task.cancel()
    assert ids_in(path) == {job.id for job in jobs}
    assert all(
        isinstance(result, asyncio.CancelledError) for result in await asyncio.gather(*adding, return_exceptions=True)
    )


async def test_closing_waits_for_writes_when_the_block_fails(path):
    job = make_job()
    with pytest.raises(ZeroDivisionError):
        async with JobStore.open(path) as store:
            adding = asyncio.create_task(store.add_job(job))
            await asyncio.sleep(0)
            raise ZeroDivisionError
    await adding
    assert ids_in(path) == {job.id}


async def test_a_cancelled_read_does_not_affect_others(store):
    job = make_job()
    await store.add_job(job)
    readings = [asyncio.create_task(store.get(job.id)) for _ in range(10)]
    await asyncio.sleep(0)
    for reading in readings[::2]:
        reading.cancel()
    results = await asyncio.gather(*readings, return_exceptions=True)
    assert [isinstance(result, asyncio.CancelledError) for result in results] == [True, False] * 5
    assert await store.cancel(job.id, "x")


async def test_a_failed_write_does_not_affect_others(store):
    job = make_job()
    results = await asyncio.gather(
        *(store.add_job(job) for _ in range(5)), store.mark_running(job.id), return_exceptions=True
    )
    assert [type(result) for result in results[1:5]] == [sqlite3.IntegrityError] * 4
    assert results[5] is True
    assert (await store.get(job.id)).state is JobState.RUNNING


@pytest.mark.parametrize("value", ["half of an emoji: \ud83d", 2**63])
async def test_a_value_that_cannot_be_stored_does_not_affect_other_writes(store, value):
    writes = (store.set_meta(str(number), value if number == 2 else "x") for number in range(5))
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [isinstance(result, Exception) for result in results] == [False, False, True, False, False]
    assert [await store.get_meta(str(number)) for number in range(5)] == ["x", "x", None, "x", "x"]


async def test_a_write_is_on_the_disk_before_it_returns(store):
    sqlite = store._connection._sqlite
    (mode,), (synchronous,) = [
        tuple(row)
        for name in ("journal_mode", "synchronous")
        for row in await sqlite.execute_fetchall(f"PRAGMA {name}")
    ]
    assert (mode, synchronous) == ("wal", 2)


@pytest.mark.parametrize("other_writes", [0, 3])
async def test_atomic_statements_take_effect_all_or_not_at_all(store, other_writes):
    connection, job = store._connection, make_job()
    await store.add_job(job)
    insert = ("INSERT INTO memos VALUES ('a', '1')", {})
    conflicting = ("INSERT INTO memos VALUES ('a', '2')", {})
    results = await asyncio.gather(
        connection.write_atomically(insert, conflicting),
        *(store.set_meta(f"other {number}", "x") for number in range(other_writes)),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [sqlite3.IntegrityError] + [type(None)] * other_writes
    assert await store.get_meta("a") is None
    assert [await store.get_meta(f"other {number}") for number in range(other_writes)] == ["x"] * other_writes
    assert await connection.write_atomically(insert, ("DELETE FROM memos WHERE name <> 'a'", {})) == 1
    assert await store.get_meta("a") == "1"
