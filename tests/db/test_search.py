"""Finding jobs again: one's own, the newest first, at once however many there are."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from functools import partial

import pytest

from db.connection import Connection
from db.jobs import JobState, JobStore
from db.search import BY_ID, BY_MESSAGE, BY_PROMPT, FAVOURITES, NEWEST, JobSearch
from generation.job import Action
from generation.params import PromptPart
from tests.support.jobs import ADA, BEN, make_full_job, make_job
from tests.support.old_database import OLD_DATABASES, jobs_by_state


@pytest.fixture
async def connection(path):
    async with Connection.open(path) as connection:
        yield connection


@pytest.fixture
def search(connection):
    return JobSearch(connection)


@pytest.fixture
def store(connection, clock):
    return JobStore(connection, clock)


@pytest.fixture
def draw(store, clock):
    return partial(store_generated_job, store, clock)


async def store_generated_job(store, clock, prompt, *, requester=ADA, answer_id=77):
    """Keep a job that has been drawn, and give its id."""
    params = replace(make_job().params, parts=(PromptPart(prompt),))
    job = make_job(requester=requester, asked_at=clock.now, params=params)
    clock.now += 1
    await store.add_job(job)
    await store.mark_running(job.id)
    await store.mark_generated(job.id, "png", 1.5)
    await store.mark_posted(job.id, answer_id)
    return job.id


async def test_prompts_are_found_by_their_words_newest_first(search, draw):
    fox = await draw("a red Fox in the snow")
    await draw("an owl")
    foxes = await draw("two foxes, one red")
    assert [each.job_id for each in await search.by_prompt(ADA.id, "fox")] == [foxes, fox]
    assert [each.job_id for each in await search.by_prompt(ADA.id, "RED fo")] == [foxes, fox]
    assert [each.job_id for each in await search.by_prompt(ADA.id, "snow fox")] == [fox]
    assert await search.by_prompt(ADA.id, "fox owl") == []
    (found,) = await search.by_prompt(ADA.id, "snow")
    assert (found.params.parts, found.action) == ((PromptPart("a red Fox in the snow"),), Action.IMAGINE)


async def test_without_words_the_newest_are_offered(search, draw):
    ids = [await draw(f"fox {number}") for number in range(30)]
    assert [each.job_id for each in await search.by_prompt(ADA.id, " ")] == ids[:4:-1]
    assert len(await search.by_prompt(ADA.id, "fox")) == 25


async def test_only_ones_own_are_found(search, draw):
    bens = await draw(f"a fox {ADA.id}", requester=BEN)
    assert await search.by_prompt(ADA.id, "fox") == await search.by_prompt(ADA.id, "") == []
    assert await search.by_prompt(ADA.id, bens) == []
    assert await search.by_prompt(ADA.id, str(BEN.id)) == []


async def test_a_job_is_found_by_the_beginning_of_its_id(search, draw):
    job_id = await draw("a fox")
    await draw("an owl")
    for typed in (job_id, job_id[:4], f" {job_id.upper()} "):
        assert [each.job_id for each in await search.by_prompt(ADA.id, typed)] == [job_id]


async def test_what_is_not_drawn_or_deleted_or_forgotten_is_not_found(search, store, draw, connection):
    await store.add_job(make_job())
    failed = make_job()
    await store.add_job(failed)
    await store.mark_failed(failed.id, "Out of paint.")
    deleted, forgotten = await draw("a fox"), await draw("a fox")
    await connection.write("UPDATE jobs SET deleted_at = 1 WHERE id = :id", {"id": deleted})
    await connection.write("DELETE FROM jobs WHERE id = :id", {"id": forgotten})
    assert await search.by_prompt(ADA.id, "fox") == await search.by_prompt(ADA.id, "") == []
    rows = await connection.fetch_all("SELECT job_id FROM job_words WHERE job_words MATCH 'fox'")
    assert {row["job_id"] for row in rows}.isdisjoint({deleted, forgotten})


@pytest.mark.parametrize(
    ("prompt", "typed"),
    [
        ("Füchsin im Schnee", "fuchsin"),
        ("Füchsin im Schnee", "FÜCHSIN"),
        ("рыжая лиса", "Лис"),
        ("日本の狐", "日本"),
        ("a fox --ar 3:2", "--ar 3:2"),
        ("std::vector (a) * b", "vector (a)"),
        ('say "no"', 'say "n'),
        ("an AND or NEAR not", "and near not or"),
        ("a snake_case fox", "snake_case"),
    ],
)
async def test_words_of_any_script_are_found_and_none_is_taken_for_syntax(search, draw, prompt, typed):
    job_id = await draw(prompt)
    assert [each.job_id for each in await search.by_prompt(ADA.id, typed)] == [job_id]


@pytest.mark.parametrize(
    "typed", ['"', "*", "a*b", "prompt : x", "^", "(", "{a b}", "\0", "👩‍👩‍👧", "'; --", "x" * 100]
)
async def test_nothing_that_is_typed_is_an_error(search, draw, typed):
    await draw("fox")
    await search.by_prompt(ADA.id, typed)
    await search.favourites(ADA.id, typed)


async def test_prompts_from_before_there_was_a_search_are_found_too(tmp_path):
    path = tmp_path / "old.sqlite3"
    with closing(sqlite3.connect(path)) as sqlite:
        sqlite.executescript((OLD_DATABASES / "0001.sql").read_text(encoding="utf-8"))
    async with Connection.open(path) as connection:
        found = await JobSearch(connection).by_prompt(ADA.id, "red fox")
    assert [each.job_id for each in found] == [jobs_by_state()[JobState.GENERATED].id]


async def test_favourites_are_those_with_a_heart_the_last_one_first(search, draw, connection):
    fox, owl, bens = await draw("a Fox"), await draw("an owl"), await draw("a wolf", requester=BEN)
    like = "INSERT INTO favourites VALUES (:person, :job, :tile, :at)"
    for at, (job, tile) in enumerate([(owl, 0), (fox, 0), (fox, 1), (bens, 2)]):
        await connection.write(like, {"person": ADA.id, "job": job, "tile": tile, "at": at})
    assert [each.job_id for each in await search.favourites(ADA.id, "")] == [bens, fox, owl]
    assert [each.job_id for each in await search.favourites(ADA.id, "fox")] == [fox]
    assert await search.favourites(BEN.id, "") == []


async def test_a_job_is_found_by_its_result_and_by_its_notice(search, store, draw):
    job_id = await draw("a fox", answer_id=71)
    await store.set_status_message(job_id, 72)
    assert await search.by_message(71) == await search.by_message(72) == job_id
    assert await search.by_message(73) is None


async def test_the_life_so_far_is_summed_up(search, store, draw):
    full = make_full_job()
    await store.add_job(full)
    for number in range(2):
        await draw(f"fox {number}")
    await store.add_job(make_job())
    lifetime = await search.lifetime(ADA.id)
    assert (lifetime.jobs, lifetime.images, lifetime.seconds) == (2, 8, 3.0)
    assert (await search.lifetime(BEN.id)).jobs == 0


@pytest.mark.parametrize(
    ("sql", "plan"),
    [
        (NEWEST, ["SEARCH jobs USING INDEX jobs_of_asker (asker_id=?)"]),
        (BY_PROMPT, ["SCAN job_words VIRTUAL TABLE INDEX", "SEARCH jobs USING INDEX sqlite_autoindex_jobs_1 (id=?)"]),
        (BY_ID, ["SEARCH jobs USING INDEX sqlite_autoindex_jobs_1 (id>? AND id<?)"]),
        (
            FAVOURITES,
            [
                "SEARCH favourites USING INDEX favourites_of_person (person_id=?)",
                "SEARCH jobs USING INDEX sqlite_autoindex_jobs_1 (id=?)",
            ],
        ),
        (BY_MESSAGE, ["INDEX jobs_by_answer", "INDEX jobs_noticed"]),
    ],
)
def test_each_question_is_answered_from_an_index_in_its_order(path, store, sql, plan):
    values = dict.fromkeys(("person", "most", "match", "start", "message"), "1")
    with closing(sqlite3.connect(path)) as sqlite:
        details = [row[3] for row in sqlite.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    steps = [detail for detail in details if detail.startswith(("SCAN", "SEARCH", "USE TEMP"))]
    assert len(steps) == len(plan)
    assert all(expected in step for expected, step in zip(plan, steps, strict=True)), steps
