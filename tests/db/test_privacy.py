"""A user's data are summarised, exported and erased completely."""

from __future__ import annotations

import gc
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
from db.together.contests import ContestStore, Entry
from db.together.sessions import Round, SessionKind, SessionStore
from db.usage import Usage
from generation.job import Action
from generation.params import FilmKind, FilmPlan, PromptPart, Tile, Upload
from tests.support.jobs import ADA, BEN, make_job
from tests.support.sessions import make_session


@pytest.fixture
def privacy(connection):
    return PersonalData(connection)


def params_with_source(digest):
    return replace(make_job().params, source=Upload(digest * 64), strength=0.5)


async def store_everything(connection, post_job):
    """Store one row of every kind for Ada, and return the job."""
    job = await post_job(asked_at=100.0, params=params_with_source("a"))
    await PreferenceStore(connection).update(ADA.id, raw=True)
    await PreferenceStore(connection).set_option(ADA.id, "mine", "--ar 3:2")
    await FavouriteStore(connection).add(ADA.id, Tile(job.id, 1))
    await ThreadStore(connection).save(ADA.id, 2, 3)
    await ReportStore(connection).add(1, job.id, ADA.id, "my own")
    entry = AuditEntry(guild_id=1, person_id=99, act="block", details="ada", at=1.0)
    block = Block(guild_id=1, person_id=ADA.id, reason="spam", until=None, by_id=99, at=1.0)
    await GuildStore(connection).block(entry, block)
    return job


async def test_all_stored_data_is_counted(connection, store, post_job, privacy):
    await store_everything(connection, post_job)
    await store.add_job(make_job(asked_at=200.0))
    await store.add_job(make_job(requester=BEN))
    found = await privacy.summary(ADA.id)
    assert (found.jobs, found.drawn, found.uploads, found.first_at, found.last_at) == (2, 1, 1, 100.0, 200.0)
    assert found.preferences
    assert (found.options, found.favourites, found.reports, found.blocks) == (1, 1, 1, 1)


async def test_nothing_is_stored_about_an_unknown_user(privacy):
    found = await privacy.summary(ADA.id)
    assert (found.jobs, found.first_at, found.preferences, found.options) == (0, None, False, 0)


async def test_an_upload_is_only_counted_for_its_uploader(store, privacy):
    await store.add_job(make_job(params=params_with_source("a")))
    await store.add_job(make_job(requester=BEN, params=params_with_source("a"), action=Action.VARY_STRONG))
    assert ((await privacy.summary(ADA.id)).uploads, (await privacy.summary(BEN.id)).uploads) == (1, 0)


async def test_jobs_are_exported_in_pages_once_each_without_the_token(store, privacy):
    jobs = [make_job(asked_at=100.0 + number // 3) for number in range(10)]
    for job in jobs:
        await store.add_job(job)
    await store.add_job(make_job(requester=BEN))
    exported, after = [], START_CURSOR
    while page := await privacy.export_jobs(ADA.id, after, 4):
        exported += page
        after = Cursor(page[-1]["asked_at"], page[-1]["id"])
    expected = sorted(jobs, key=lambda job: (job.asked_at, job.id))
    assert [job["id"] for job in exported] == [job.id for job in expected]
    assert not {"token", "token_expires_at"} & exported[0].keys()
    assert exported[0]["params"]["seed"] == 7


async def test_erasing_keeps_others_data_and_moderators_entries(connection, store, post_job, privacy):
    mine = await store_everything(connection, post_job)
    others = await post_job(requester=BEN, parent=Tile(mine.id, 0), action=Action.VARY_STRONG)
    await FavouriteStore(connection).add(BEN.id, Tile(mine.id, 2))
    await privacy.begin_erasure(ADA.id, 1000.0)
    for job_id in await privacy.jobs_to_erase(ADA.id, 1000.0, 100):
        await privacy.erase_job(job_id)
    await privacy.end_erasure(ADA.id, 1000.0)
    left = await privacy.summary(ADA.id)
    assert (left.jobs, left.uploads, left.preferences, left.options, left.favourites) == (0, 0, False, 0, 0)
    assert (left.reports, left.blocks) == (0, 1)
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


def words_in_memory():
    """Return the strings that Python keeps, in whichever cache."""
    gc.collect()
    return {held for each in gc.get_objects() for held in gc.get_referents(each) if type(held) is str}


async def test_no_erased_prompt_is_left_in_memory(store, privacy):
    words = "".join(("xylo", "phonist ::2"))  # not one string that this file holds itself
    job = make_job(params=replace(make_job().params, parts=(PromptPart(words),)))
    await store.add_job(job)
    await store.get(job.id)
    job_id = job.id
    del job, words
    await privacy.begin_erasure(ADA.id, 1000.0)
    await privacy.erase_job(job_id)
    assert await store.get(job_id) is None
    await privacy.end_erasure(ADA.id, 1000.0)
    assert not [word for word in words_in_memory() if "".join(("xylo", "phonist")) in word]


async def test_jobs_requested_later_are_not_erased(store, privacy):
    await store.add_job(make_job(asked_at=100.0))
    await store.add_job(later := make_job(asked_at=300.0))
    await privacy.begin_erasure(ADA.id, 200.0)
    for job_id in await privacy.jobs_to_erase(ADA.id, 200.0, 100):
        await privacy.erase_job(job_id)
    assert [job["id"] for job in await privacy.export_jobs(ADA.id, START_CURSOR, 9)] == [later.id]


async def test_a_second_erasure_during_the_first_is_not_lost(privacy):
    await privacy.begin_erasure(ADA.id, 200.0)
    await privacy.begin_erasure(ADA.id, 300.0)
    await privacy.end_erasure(ADA.id, 200.0)
    assert await privacy.pending_erasures() == {ADA.id: 300.0}


async def test_an_upload_that_another_user_needs_is_kept(store, privacy):
    await store.add_job(mine := make_job(params=params_with_source("a")))
    await store.add_job(also := make_job(params=params_with_source("b")))
    await store.add_job(make_job(requester=BEN, params=params_with_source("a")))
    assert await privacy.erase_job(mine.id) == []
    assert await privacy.erase_job(also.id) == ["b" * 64]


@pytest.mark.parametrize("kind", [SessionKind.TELEPHONE, SessionKind.JAM])
async def test_the_words_of_a_persons_rounds_are_erased(connection, privacy, kind):
    sessions, session = SessionStore(connection), make_session(kind=kind, host_id=ADA.id)
    await sessions.add(session, most=9)
    facts = {"words": "a secret fox", "parent": "0123456789ab-1"}
    await sessions.add_round(Round(session_id=session.id, number=1, job_id="x", facts=facts, worded_by=ADA.id))
    await privacy.begin_erasure(ADA.id, 1000.0)
    left = await sessions.round(session.id, 1)
    assert (left.facts, left.worded_by) == ({"parent": "0123456789ab-1"}, None)


async def test_a_picture_that_somebody_else_entered_and_left_is_erased(connection, post_job, privacy):
    job, contest, contests = await post_job(), make_session(kind=SessionKind.CONTEST), ContestStore(connection)
    await SessionStore(connection).add(contest, most=9)
    entry = Entry(id=0, session_id=contest.id, person_id=BEN.id, tile=Tile(job.id, 0), at=1.0)
    assert await contests.enter(entry, [contest.phase], each=1, most=9)
    await privacy.begin_erasure(BEN.id, 1000.0, leaves_entries=True)
    assert await privacy.is_left(job.id)
    await privacy.begin_erasure(ADA.id, 1000.0)
    assert not await privacy.is_left(job.id)


async def test_usage_that_counts_towards_limits_cannot_be_erased(connection, store, post_job, privacy):
    usage = Usage(connection)
    await post_job(asked_at=500.0)
    film = FilmPlan(FilmKind.ZOOM_OUT, steps=9)
    await post_job(asked_at=450.0, params=replace(make_job().params, film=film, video=True))
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
    assert (before.jobs, before.seconds, before.last_asked_at) == (6, 4.0, 500.0)


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
        statements.DATE_BACK_JOBS,
        statements.JOB_UPLOADS,
        statements.UPLOAD_IN_USE,
    ],
)
async def test_every_query_uses_an_index(connection, sql):
    plan = [row["detail"] for row in await connection.fetch_all(f"EXPLAIN QUERY PLAN {sql}", SQL_PARAMETERS)]
    # Scanning jobs_open is allowed, because it has only the few unfinished jobs.
    assert [step for step in plan if step.startswith("SCAN") and "jobs_open" not in step] == []
    assert any("SEARCH" in step or "jobs_open" in step for step in plan)
