"""Write a database of the newest schema version to old_databases/NNNN.sql: `python -m tests.support.old_database`."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from db.connection import MIGRATIONS
from db.jobs import JobState, JobStore
from generation.job import Job
from tests.support.jobs import make_full_job, make_job

OLD_DATABASES = Path(__file__).with_name("old_databases")
_FULL_TEXT_STATEMENT = re.compile(
    r"""(CREATE TABLE|INSERT INTO) ['"](?:job|shown)_words_|PRAGMA writable_schema|INSERT INTO sqlite_m"""
)
META_ENTRY = ("commands", "0123abcd")


def jobs_by_state() -> dict[JobState, Job]:
    """Return the jobs in every old database by their state."""
    jobs = [replace(make(), id=f"{number:012x}") for number, make in enumerate((make_job, make_full_job) * 3)]
    return dict(zip(JobState, jobs, strict=True))


UNFINISHED = {
    jobs_by_state()[state].id for state in (JobState.WAITING, JobState.RUNNING, JobState.GENERATED, JobState.FAILED)
}


async def write_database() -> Path:
    """Write the database and return its path."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "store.sqlite3"
        async with JobStore.open(file, clock=lambda: 1000.0) as store:
            await _insert_jobs(store)
        return _dump(file)


async def _insert_jobs(store: JobStore) -> None:
    jobs = jobs_by_state()
    for job in jobs.values():
        await store.add_job(job)
    for state in (JobState.RUNNING, JobState.GENERATED, JobState.POSTED):
        await store.mark_running(jobs[state].id)
    for state in (JobState.GENERATED, JobState.POSTED):
        await store.mark_generated(jobs[state].id, "webp")
    await store.mark_posted(jobs[JobState.POSTED].id, 71)
    await store.mark_failed(jobs[JobState.FAILED].id, "Out of paint.")
    await store.set_status_message(jobs[JobState.FAILED].id, 72)
    await store.cancel(jobs[JobState.CANCELLED].id, "Cancelled by <@11>.")
    await store.set_meta(*META_ENTRY)


def _dump(file: Path) -> Path:
    version = len(list(MIGRATIONS.glob("*.sql")))
    with closing(sqlite3.connect(file)) as sqlite:
        # iterdump would insert the full-text table into the schema, with shadow tables that SQLite creates itself.
        dump = [line for line in sqlite.iterdump() if not _FULL_TEXT_STATEMENT.match(line)]
        full_text = sqlite.execute("SELECT sql || ';' FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL TABLE%'")
        lines = [*dump[:1], *(sql for (sql,) in full_text), *dump[1:], f"PRAGMA user_version = {version};", ""]
    target = OLD_DATABASES / f"{version:04}.sql"
    target.write_text("\n".join(lines), encoding="utf-8")
    return target


if __name__ == "__main__":
    print(asyncio.run(write_database()))
