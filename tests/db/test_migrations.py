"""Old databases are migrated, newer ones are refused, and a failed migration changes nothing.

`tests/support/old_databases/NNNN.sql` is a database of version NNNN, written by `python -m tests.support.old_database`.
Every schema version of a release gets one; no migration up to it is changed afterwards.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from db.connection import MIGRATIONS, Connection, NewerDatabaseError, UnusableDatabaseError
from db.jobs import JobState, JobStore
from tests.support.jobs import make_job
from tests.support.old_database import META_ENTRY, OLD_DATABASES, UNFINISHED, jobs_by_state

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(path.name for path in MIGRATIONS.glob("*.sql"))
NEWEST = len(SCRIPTS)
RELEASED = sorted(int(path.stem) for path in OLD_DATABASES.glob("*.sql"))


def execute(path, script):
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as sqlite:
        sqlite.executescript(script)


def database_version(path):
    with closing(sqlite3.connect(path)) as sqlite:
        return sqlite.execute("PRAGMA user_version").fetchone()[0]


def read_schema(path):
    with closing(sqlite3.connect(path)) as sqlite:
        return set(sqlite.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"))


def write_migrations(folder, *scripts):
    """Return a folder with these scripts as migrations 1, 2, 3 …"""
    folder.mkdir(exist_ok=True)
    for number, script in enumerate(scripts, start=1):
        (folder / f"{number:04}_step.sql").write_text(script, encoding="utf-8")
    return folder


async def migrate(path, folder):
    async with Connection.open(path, folder):
        pass


def test_migrations_are_numbered_without_gaps():
    assert [int(name[:4]) for name in SCRIPTS] == list(range(1, NEWEST + 1))
    assert [name for name in SCRIPTS if not re.fullmatch(r"\d{4}_[a-z0-9_]+\.sql", name)] == []


def test_the_newest_version_has_an_old_database_to_start_from():
    assert RELEASED[-1] == NEWEST


async def test_a_fresh_database_has_the_newest_version(store, path):
    assert database_version(path) == NEWEST
    assert await store.open_records() == []


@pytest.mark.parametrize("version", RELEASED)
async def test_a_released_migration_is_never_changed(tmp_path, version):
    for script in SCRIPTS[:version]:
        (tmp_path / "migrations").mkdir(exist_ok=True)
        shutil.copy(MIGRATIONS / script, tmp_path / "migrations")
    await migrate(tmp_path / "new.sqlite3", tmp_path / "migrations")
    execute(tmp_path / "old.sqlite3", (OLD_DATABASES / f"{version:04}.sql").read_text(encoding="utf-8"))
    assert read_schema(tmp_path / "new.sqlite3") == read_schema(tmp_path / "old.sqlite3")
    assert database_version(tmp_path / "old.sqlite3") == version


@pytest.mark.parametrize("version", RELEASED)
async def test_an_old_database_is_migrated_with_all_its_data(path, version):
    execute(path, (OLD_DATABASES / f"{version:04}.sql").read_text(encoding="utf-8"))
    async with JobStore.open(path) as store:
        records = {state: await store.get(job.id) for state, job in jobs_by_state().items()}
        assert {record.job.id for record in await store.open_records()} == UNFINISHED
        assert await store.get_meta(META_ENTRY[0]) == META_ENTRY[1]
        assert await store.cancel(records[JobState.WAITING].job.id, "x")
        await store.add_job(make_job())
    assert {state: record.state for state, record in records.items()} == {state: state for state in JobState}
    assert {state: record.job for state, record in records.items()} == jobs_by_state()
    assert database_version(path) == NEWEST


async def test_favourites_of_deleted_images_are_removed_and_the_others_stay(path):
    existing, deleted = jobs_by_state()[JobState.POSTED].id, jobs_by_state()[JobState.GENERATED].id
    execute(path, (OLD_DATABASES / "0004.sql").read_text(encoding="utf-8"))
    execute(path, f"UPDATE jobs SET deleted_at = 5 WHERE id = '{deleted}'")
    execute(
        path, f"INSERT INTO favourites VALUES (11, '{existing}', 0, 1), (11, '{deleted}', 0, 2), (11, 'unknown', 0, 3)"
    )
    await migrate(path, MIGRATIONS)
    with closing(sqlite3.connect(path)) as sqlite:
        assert sqlite.execute("SELECT job_id FROM favourites").fetchall() == [(existing,)]


@pytest.mark.parametrize("version", RELEASED)
async def test_a_migrated_database_has_the_schema_of_a_fresh_one(path, tmp_path, version):
    execute(path, (OLD_DATABASES / f"{version:04}.sql").read_text(encoding="utf-8"))
    for file in (path, tmp_path / "fresh.sqlite3"):
        await migrate(file, MIGRATIONS)
    assert read_schema(path) == read_schema(tmp_path / "fresh.sqlite3")


async def test_opening_again_changes_nothing(path):
    for _ in range(3):
        await migrate(path, MIGRATIONS)
    assert database_version(path) == NEWEST


@pytest.mark.parametrize("newer", [NEWEST + 1, 99])
async def test_a_newer_database_is_refused_with_a_reason_and_unchanged(path, newer):
    async with JobStore.open(path) as store:
        await store.add_job(job := make_job())
    execute(path, f"PRAGMA user_version = {newer}")
    before = read_schema(path)
    with pytest.raises(NewerDatabaseError, match=rf"version {newer}.*supports {NEWEST}.*DATA_DIR"):
        async with JobStore.open(path):
            pass
    assert (database_version(path), read_schema(path)) == (newer, before)
    execute(path, f"PRAGMA user_version = {NEWEST}")
    async with JobStore.open(path) as store:
        assert (await store.get(job.id)).job == job


CATS = """-- Cats; and nothing else
CREATE TABLE cats (
    name TEXT -- with a ; in it
);
INSERT INTO cats VALUES ('a;
b');
"""
DOGS = "CREATE TABLE dogs (name TEXT);\nINSERT INTO dogs SELECT name FROM cats;\nDELETE FROM cats;\n"


@pytest.mark.parametrize(
    "damage",
    ["CREATE TABLE birds (name TEXT;", "INSERT INTO nowhere VALUES (1);", "CREATE TABLE cats (name TEXT);", "mice"],
)
async def test_a_failed_migration_changes_nothing(path, tmp_path, damage):
    await migrate(path, write_migrations(tmp_path / "steps", CATS))
    before = read_schema(path)
    with pytest.raises(UnusableDatabaseError):
        await migrate(path, write_migrations(tmp_path / "steps", CATS, DOGS + damage))
    assert (database_version(path), read_schema(path)) == (1, before)
    await migrate(path, write_migrations(tmp_path / "steps", CATS, DOGS))
    with closing(sqlite3.connect(path)) as sqlite:
        assert sqlite.execute("SELECT name FROM dogs").fetchall() == [("a;\nb",)]
        assert sqlite.execute("SELECT name FROM cats").fetchall() == []
    assert database_version(path) == 2


async def test_a_failed_script_rolls_back_the_earlier_ones_too(path, tmp_path):
    with pytest.raises(UnusableDatabaseError):
        await migrate(path, write_migrations(tmp_path / "steps", CATS, DOGS, "mice"))
    assert (database_version(path), read_schema(path)) == (0, set())


async def test_triggers_and_a_missing_last_semicolon_are_split_correctly(path, tmp_path):
    trigger = "CREATE TRIGGER t AFTER INSERT ON cats BEGIN\n  DELETE FROM cats;\n  SELECT 1;\nEND;\n"
    await migrate(path, write_migrations(tmp_path / "steps", CATS + trigger + "DELETE FROM cats\n-- the end"))
    assert {row[1] for row in read_schema(path)} == {"cats", "t"}


async def test_two_statements_on_one_line_are_refused(path, tmp_path):
    with pytest.raises(UnusableDatabaseError):
        await migrate(path, write_migrations(tmp_path / "steps", "CREATE TABLE a (x); CREATE TABLE b (x);"))
    assert read_schema(path) == set()


async def test_concurrent_migrations_run_once(path, tmp_path):
    await migrate(path, write_migrations(tmp_path / "steps", CATS))
    count = "CREATE TABLE runs (n INTEGER);\nINSERT INTO runs VALUES (1);\n"
    steps = write_migrations(tmp_path / "steps", CATS, count, "UPDATE runs SET n = n + 1;")
    await asyncio.gather(*(migrate(path, steps) for _ in range(8)))
    with closing(sqlite3.connect(path)) as sqlite:
        assert sqlite.execute("SELECT n FROM runs").fetchall() == [(2,)]


async def test_processes_that_create_the_database_concurrently_all_get_it(path):
    children = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.job_writer", str(path), "3", cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(3)
    ]
    printed = [(await child.communicate())[0].split() for child in children]
    assert [child.returncode for child in children] == [0, 0, 0]
    async with JobStore.open(path) as store:
        assert {record.job.id for record in await store.open_records()} == {i.decode() for ids in printed for i in ids}


async def test_missing_folders_with_unusual_names_are_created(tmp_path):
    async with JobStore.open(tmp_path / "a b" / "ünï#?%20🦊" / "x.sqlite3") as store:
        assert await store.last_served() == {}
    assert (tmp_path / "a b" / "ünï#?%20🦊" / "x.sqlite3").is_file()
