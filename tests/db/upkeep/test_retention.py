"""Expired jobs are deleted with their files; jobs and files still in use are kept."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from db.image_files import ImageStore
from db.jobs import JobState, JobStore
from db.together.contests import ContestStore, Entry
from db.together.sessions import Round, SessionKind, SessionStore
from db.upkeep import retention
from db.upkeep.retention import DAY_S, Retention, retention_days_by_guild
from generation.messages import Grid
from generation.params import Tile
from tests.support.jobs import make_job
from tests.support.sessions import make_session
from tests.support.timing import TIMEOUT_S

GRID = Grid((b"1", b"2", b"3", b"4"), b"sheet", "webp", 0.1)
GUILD = make_job().destination.guild_id


class OffsetClock:
    """The real time, which files have as their modification time, plus an offset."""

    def __init__(self) -> None:
        self.offset = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset


@pytest.fixture
def clock() -> OffsetClock:
    return OffsetClock()


@pytest.fixture(autouse=True)
def _small_fast_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH_INTERVAL_S", 0.0)
    monkeypatch.setattr(retention, "BATCH_SIZE", 3)


@pytest.fixture
def image_store(path: Path) -> ImageStore:
    return ImageStore(path.parent)


@pytest.fixture
def sweep(store, image_store, clock):
    async def sweep(days: int = 0, guild_days: dict[int, int] | None = None) -> retention.SweepResult:
        async def read_guild_days() -> dict[int, int]:
            return guild_days or {}

        return await Retention(store._connection, image_store, days, read_guild_days, clock).sweep()

    return sweep


async def store_job(store: JobStore, images: ImageStore, state: JobState = JobState.POSTED, **changes) -> str:
    """Store a job in a state, with its images, and return its id."""
    job = make_job(asked_at=time.time(), **changes)
    await store.add_job(job)
    if state is not JobState.WAITING:
        await store.mark_running(job.id)
        await images.save(job.id, GRID)
    if state in (JobState.GENERATED, JobState.POSTED):
        await store.mark_generated(job.id, GRID.suffix)
    match state:
        case JobState.POSTED:
            await store.mark_posted(job.id, 71)
        case JobState.FAILED:
            await store.mark_failed(job.id, "Out of paint.")
        case JobState.CANCELLED:
            await store.cancel(job.id, "Cancelled.")
    return job.id


def count_files(images: ImageStore, job_id: str) -> int:
    paths = [*(images.path(Tile(job_id, index)) for index in range(4)), images.grid_path(job_id, "webp")]
    return sum(path.exists() for path in paths)


def params_with_source(source: object) -> dict[str, object]:
    return {"params": replace(make_job().params, source=source)}


async def test_an_expired_job_is_deleted_with_its_files(store, image_store, clock, sweep):
    old = [await store_job(store, image_store) for _ in range(7)]
    clock.offset = 29 * DAY_S
    assert (await sweep(days=30)).jobs == 0
    clock.offset = 31 * DAY_S
    swept = await sweep(days=30)
    assert (swept.jobs, swept.files) == (7, 35)
    assert [count_files(image_store, job_id) for job_id in old] == [0] * 7
    assert [await store.get(job_id) for job_id in old] == [None] * 7


async def test_without_a_retention_period_everything_is_kept(store, image_store, clock, sweep):
    job_id = await store_job(store, image_store)
    clock.offset = 10_000 * DAY_S
    assert (await sweep()).jobs == 0
    assert count_files(image_store, job_id) == 5


@pytest.mark.parametrize(
    ("default", "guild_days", "kept"), [(30, 0, True), (30, 7, False), (0, 7, False), (5, 60, False), (0, 60, True)]
)
async def test_the_smaller_of_default_and_guild_retention_days_applies(
    store, image_store, clock, sweep, default, guild_days, kept
):
    job_id = await store_job(store, image_store)
    no_guild = replace(make_job().destination, guild_id=None)
    in_dm = await store_job(store, image_store, destination=no_guild)
    clock.offset = 20 * DAY_S
    await sweep(default, {GUILD: guild_days, 99: 1})
    assert bool(count_files(image_store, job_id)) is kept
    assert bool(count_files(image_store, in_dm)) is (default in (0, 30))


@pytest.mark.parametrize("state", [JobState.WAITING, JobState.RUNNING, JobState.GENERATED])
async def test_an_unfinished_job_and_its_source_images_are_kept(store, image_store, clock, sweep, state):
    parent, mask = await store_job(store, image_store), await store_job(store, image_store)
    blended = await store_job(store, image_store)
    params = replace(make_job().params, source=Tile(parent, 2), mask=Tile(mask, 0), blended=(Tile(blended, 1),))
    child = await store_job(store, image_store, state, params=params)
    clock.offset = 31 * DAY_S
    assert (await sweep(days=30)).jobs == 0
    assert [count_files(image_store, job_id) for job_id in (parent, mask, blended)] == [5, 5, 5]
    await store.mark_failed(child, "It was not to be.")
    assert (await sweep(days=30)).jobs == 3


async def test_a_favourite_is_kept(store, image_store, clock, sweep):
    job_id = await store_job(store, image_store)
    await store._connection.write(
        "INSERT INTO favourites (person_id, job_id, tile_index, at) VALUES (11, :id, 2, 0)", {"id": job_id}
    )
    clock.offset = 31 * DAY_S
    assert (await sweep(days=30)).jobs == 0
    assert count_files(image_store, job_id) == 5


async def test_the_pictures_of_a_session_are_kept_while_it_goes_on(store, image_store, clock, sweep):
    entered, drawn, other = [await store_job(store, image_store) for _ in range(3)]
    sessions, contests = SessionStore(store._connection), ContestStore(store._connection)
    contest, jam = make_session(kind=SessionKind.CONTEST), make_session()
    for session in (contest, jam):
        await sessions.add(session, most=9)
    entry = Entry(id=0, session_id=contest.id, person_id=7, tile=Tile(entered, 1), at=1.0)
    assert await contests.enter(entry, [contest.phase], each=1, most=9)
    await sessions.add_round(Round(session_id=jam.id, number=1, job_id=drawn))
    clock.offset = 31 * DAY_S
    await sweep(days=30)
    assert [count_files(image_store, job_id) for job_id in (entered, drawn, other)] == [5, 5, 0]
    assert await contests.entries(contest.id)
    for session in (contest, jam):
        await sessions.end(session.id, clock())
    await sweep(days=30)
    assert [count_files(image_store, job_id) for job_id in (entered, drawn)] == [0, 0]


async def test_a_job_that_still_has_a_status_message_is_kept(store, image_store, clock, sweep):
    job_id = await store_job(store, image_store, JobState.FAILED)
    await store.set_status_message(job_id, 72)
    clock.offset = 31 * DAY_S
    assert (await sweep(days=30)).jobs == 0
    assert await store.get(job_id)


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
async def test_images_of_an_unsuccessful_job_are_deleted_after_a_day(store, image_store, clock, sweep, state):
    job_id = await store_job(store, image_store, state)
    posted = await store_job(store, image_store)
    await sweep()
    assert count_files(image_store, job_id) == 5
    clock.offset = 2 * DAY_S
    assert (await sweep()).files == 5
    assert count_files(image_store, job_id) == 0
    assert count_files(image_store, posted) == 5
    assert await store.get(job_id)


async def test_partial_files_are_deleted_after_a_day(image_store, clock, sweep):
    upload = await image_store.save_upload(b"an image")
    folder = image_store.path(upload).parent
    partial = folder / f"{upload.digest}.png.0a1b2c3d.partial"
    partial.write_bytes(b"half an im")
    await sweep()
    assert partial.exists()
    clock.offset = 2 * DAY_S
    await sweep()
    assert not partial.exists()


async def test_uploads_that_no_job_uses_are_deleted(store, image_store, clock, sweep):
    source, unused, blended, deleted = [await image_store.save_upload(data) for data in (b"1", b"2", b"3", b"4")]
    for _ in range(5):
        await store_job(store, image_store)
    await store_job(store, image_store, **params_with_source(source))
    await store_job(store, image_store, params=replace(make_job().params, blended=(blended,)))
    deleted_id = await store_job(store, image_store, **params_with_source(deleted))
    await store._connection.write("UPDATE jobs SET deleted_at = 1 WHERE id = :id", {"id": deleted_id})
    clock.offset = 2 * DAY_S
    await sweep()
    exist = [image_store.path(upload).exists() for upload in (source, unused, blended, deleted)]
    assert exist == [True, False, True, False]


async def test_an_upload_that_was_just_repeated_is_kept(image_store, clock, sweep):
    upload = await image_store.save_upload(b"an image")
    os.utime(image_store.path(upload), (0, 0))
    await image_store.save_upload(b"an image")
    await sweep()
    assert image_store.path(upload).exists()


async def test_files_of_unknown_jobs_are_kept(image_store, clock, sweep):
    await image_store.save("0123456789ab", GRID)
    clock.offset = 1000 * DAY_S
    await sweep(days=1)
    assert count_files(image_store, "0123456789ab") == 5


async def test_an_interrupted_sweep_is_finished_by_the_next(store, image_store, clock, sweep, monkeypatch):
    job_ids = [await store_job(store, image_store) for _ in range(3)]
    clock.offset = 31 * DAY_S
    delete = image_store.delete

    async def delete_or_fail(job_id: str) -> int:
        if job_id == job_ids[1]:
            raise OSError("a power cut")
        return await delete(job_id)

    monkeypatch.setattr(image_store, "delete", delete_or_fail)
    with pytest.raises(OSError, match="power cut"):
        await sweep(days=30)
    assert count_files(image_store, job_ids[1]) == 5
    monkeypatch.undo()
    assert (await sweep(days=30)).jobs == 3
    assert [count_files(image_store, job_id) for job_id in job_ids] == [0, 0, 0]


async def test_sweeps_start_soon_and_continue_after_an_error(store, image_store, clock, monkeypatch, caplog):
    monkeypatch.setattr(retention, "STARTUP_DELAY_S", 0.0)
    monkeypatch.setattr(retention, "DAY_S", 0.01)
    calls = asyncio.Queue()

    async def guild_days() -> dict[int, int]:
        calls.put_nowait(None)
        if calls.qsize() == 1:
            raise OSError("no disk")
        return {}

    sweeping = asyncio.create_task(Retention(store._connection, image_store, 0, guild_days, clock).run_daily())
    async with asyncio.timeout(TIMEOUT_S):
        while calls.qsize() < 3:  # noqa: ASYNC110 (there is no event to wait for)
            await asyncio.sleep(0.001)
    sweeping.cancel()
    await asyncio.wait({sweeping})
    assert "no disk" in caplog.text


async def test_retention_days_are_read_from_the_guilds_settings(store):
    for guild_id, settings in ((1, '{"retention_days": 7}'), (2, "{}"), (3, '{"retention_days": null}')):
        await store._connection.write(
            "INSERT INTO guilds (id, settings) VALUES (:id, :settings)", {"id": guild_id, "settings": settings}
        )
    assert await retention_days_by_guild(store._connection) == {1: 7}


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        (retention._EXPIRE, "USING INDEX jobs_open"),
        (retention._EXPIRE, "sqlite_autoindex_jobs_1 (id=?)"),
        (retention._EXPIRE, "favourites_by_job (job_id=?)"),
        (retention._EXPIRE, "contest_entries_by_job (job_id=?)"),
        (retention._EXPIRE, "collab_rounds_by_job (job_id=?)"),
    ],
)
async def test_expiring_jobs_uses_indexes(store, sql, index):
    plan = await store._connection.fetch_all(f"EXPLAIN QUERY PLAN {sql}", {"id": "x", "now": 0})
    assert index in " ".join(row["detail"] for row in plan)
