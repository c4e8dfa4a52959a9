"""What is kept about somebody, and that nothing of it is left when they want that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from db import privacy as statements
from db.connection import Connection
from db.favourites import FavouriteStore
from db.guilds import AuditEntry, Block, GuildStore
from db.jobs import JobStore
from db.preferences import PreferenceStore
from db.privacy import EXPORT_QUERIES, JOB_TOTALS, START_CURSOR, UPLOAD_COUNT, Cursor, PersonalData
from db.reports import ReportStore
from db.threads import ThreadStore
from db.usage import Usage
from generation.job import Action
from generation.params import PromptPart, Tile, Upload
from tests.support.jobs import ADA, BEN, make_job


@pytest.fixture
async def connection(path):
    async with Connection.open(path) as connection:
        yield connection


@pytest.fixture
def store(connection, clock):
    return JobStore(connection, clock)


@pytest.fixture
def privacy(connection):
    return PersonalData(connection)


async def store_posted_job(store, **changes):
    job = make_job(**changes)
    await store.add_job(job)
    await store.mark_running(job.id)
    await store.mark_generated(job.id, "png", 2.0, "Painter")
    await store.mark_posted(job.id, 5)
    return job


def params_with_source(digest):
    return replace(make_job().params, source=Upload(digest * 64), strength=0.5)


async def store_everything(connection, store):
    """Give Ada one of everything."""
    job = await store_posted_job(store, params=params_with_source("a"))
    await PreferenceStore(connection).update(ADA.id, raw=True)
    await PreferenceStore(connection).set_option(ADA.id, "mine", "--ar 3:2")
    await FavouriteStore(connection).add(ADA.id, Tile(job.id, 1))
    await ThreadStore(connection).save(ADA.id, 2, 3)
    await ReportStore(connection).add(1, job.id, ADA.id, "my own")
    act = AuditEntry(guild_id=1, person_id=99, act="block", details="ada", at=1.0)
    await GuildStore(connection).block(
        act, Block(guild_id=1, person_id=ADA.id, reason="spam", until=None, by_id=99, at=1.0)
    )
    return job


async def test_everything_that_is_kept_is_counted(connection, store, privacy):
    await store_everything(connection, store)
    await store.add_job(make_job(asked_at=200.0))
    await store.add_job(make_job(requester=BEN))
    kept = await privacy.summary(ADA.id)
    assert (kept.jobs, kept.drawn, kept.uploads, kept.first_at, kept.last_at) == (2, 1, 1, 100.0, 200.0)
    assert kept.preferences
    assert (kept.options, kept.favourites, kept.reports, kept.blocks) == (1, 1, 1, 1)


async def test_nothing_is_kept_of_a_stranger(privacy):
    kept = await privacy.summary(ADA.id)
    assert (kept.jobs, kept.first_at, kept.preferences, kept.options) == (0, None, False, 0)


async def test_a_picture_is_only_counted_for_who_brought_it(store, privacy):
    await store.add_job(make_job(params=params_with_source("a")))
    await store.add_job(make_job(requester=BEN, params=params_with_source("a"), action=Action.VARY_STRONG))
    assert ((await privacy.summary(ADA.id)).uploads, (await privacy.summary(BEN.id)).uploads) == (1, 0)


async def test_jobs_are_handed_out_in_bites_each_once_and_without_the_token(store, privacy):
    jobs = [make_job(asked_at=100.0 + number // 3) for number in range(10)]
    for job in jobs:
        await store.add_job(job)
    await store.add_job(make_job(requester=BEN))
    seen, after = [], START_CURSOR
    while bite := await privacy.export_jobs(ADA.id, after, 4):
        seen += bite
        after = Cursor(bite[-1]["asked_at"], bite[-1]["id"])
    assert [job["id"] for job in seen] == sorted(
        (job.id for job in jobs), key=lambda id_: (_requested_at(jobs, id_), id_)
    )
    assert not {"token", "token_expires_at"} & seen[0].keys()
    assert seen[0]["params"]["seed"] == 7


def _requested_at(jobs, job_id):
    return next(job.asked_at for job in jobs if job.id == job_id)


async def test_erasing_leaves_what_is_others_and_what_moderators_noted(connection, store, privacy):
    mine = await store_everything(connection, store)
    others = await store_posted_job(store, requester=BEN, parent=Tile(mine.id, 0), action=Action.VARY_STRONG)
    await FavouriteStore(connection).add(BEN.id, Tile(mine.id, 2))
    await privacy.begin_erasure(ADA.id, 1000.0)
    for job_id in await privacy.jobs_to_erase(ADA.id, 1000.0, 100):
        await privacy.erase_job(job_id)
    await privacy.end_erasure(ADA.id, 1000.0)
    kept = await privacy.summary(ADA.id)
    assert (kept.jobs, kept.uploads, kept.preferences, kept.options, kept.favourites) == (0, 0, False, 0, 0)
    assert (kept.reports, kept.blocks) == (0, 1)
    assert await privacy.pending_erasures() == {}
    assert await ThreadStore(connection).find(ADA.id, 2) is None
    (report,) = await ReportStore(connection).list_open(1)
    assert (report.person_id, report.reason) == (statements.ERASED_PERSON_ID, "my own")
    assert (await store.get(others.id)).job.parent == Tile(mine.id, 0)
    rows = await connection.fetch_all("SELECT (SELECT count(*) FROM job_words), (SELECT count(*) FROM favourites)")
    assert tuple(rows[0]) == (1, 0)
    assert len(await GuildStore(connection).audit_entries(1)) == 1


async def test_no_word_of_an_erased_prompt_is_left_in_the_file(path, clock):
    async with Connection.open(path) as connection:
        store, privacy = JobStore(connection, clock), PersonalData(connection)
        for number in range(100):
            await store.add_job(make_job(requester=BEN))
            if number == 50:
                await store.add_job(
                    mine := make_job(params=replace(make_job().params, parts=(PromptPart("xylophonist"),)))
                )
        await privacy.begin_erasure(ADA.id, 1000.0)
        await privacy.erase_job(mine.id)
        await privacy.end_erasure(ADA.id, 1000.0)
    assert b"ylophon" not in path.read_bytes()


async def test_what_was_asked_for_later_is_not_erased(store, privacy):
    await store.add_job(make_job(asked_at=100.0))
    await store.add_job(later := make_job(asked_at=300.0))
    await privacy.begin_erasure(ADA.id, 200.0)
    for job_id in await privacy.jobs_to_erase(ADA.id, 200.0, 100):
        await privacy.erase_job(job_id)
    assert [job["id"] for job in await privacy.export_jobs(ADA.id, START_CURSOR, 9)] == [later.id]


async def test_a_second_wish_while_the_first_is_carried_out_is_not_lost(privacy):
    await privacy.begin_erasure(ADA.id, 200.0)
    await privacy.begin_erasure(ADA.id, 300.0)
    await privacy.end_erasure(ADA.id, 200.0)
    assert await privacy.pending_erasures() == {ADA.id: 300.0}


async def test_a_picture_that_somebody_else_needs_as_well_is_left_to_them(store, privacy):
    await store.add_job(mine := make_job(params=params_with_source("a")))
    await store.add_job(also := make_job(params=params_with_source("b")))
    await store.add_job(make_job(requester=BEN, params=params_with_source("a")))
    assert await privacy.erase_job(mine.id) == []
    assert await privacy.erase_job(also.id) == ["b" * 64]


async def test_limits_cannot_be_erased(connection, store, privacy):
    usage = Usage(connection)
    await store_posted_job(store, asked_at=500.0)
    failed = make_job(asked_at=600.0)
    await store.add_job(failed)
    await store.mark_failed(failed.id, "No.")
    stopped = make_job(asked_at=400.0)
    await store.add_job(stopped)
    await store.mark_running(stopped.id)
    await store.cancel(stopped.id, "Cancelled.")
    before = await usage.totals(ADA.id, 1, 0.0)
    await privacy.begin_erasure(ADA.id, 1000.0)
    for job_id in await privacy.jobs_to_erase(ADA.id, 1000.0, 100):
        await privacy.erase_job(job_id)
    assert await usage.totals(ADA.id, 1, 0.0) == before
    assert (before.jobs, before.seconds, before.last_asked_at) == (2, 2.0, 500.0)


SQL_PARAMETERS = {"person": 1, "id": "x", "at": 0.0, "most": 1, "digest": "x"}


@pytest.mark.parametrize(
    "sql",
    [
        JOB_TOTALS,
        UPLOAD_COUNT,
        *EXPORT_QUERIES.values(),
        statements.JOBS_PAGE,
        statements.UNFINISHED_JOBS,
        statements.JOBS_TO_ERASE,
        statements.JOB_UPLOADS,
        statements.UPLOAD_IN_USE,
    ],
)
async def test_everything_is_found_by_index(connection, sql):
    plan = [row["detail"] for row in await connection.fetch_all(f"EXPLAIN QUERY PLAN {sql}", SQL_PARAMETERS)]
    # The few jobs under way may all be looked at; the erasures are as many as are being carried out.
    assert [step for step in plan if step.startswith("SCAN") and "jobs_open" not in step] == []
    assert any("SEARCH" in step or "jobs_open" in step for step in plan)
