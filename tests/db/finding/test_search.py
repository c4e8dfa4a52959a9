"""Searches find only a user's own jobs, newest first, from an index."""

from __future__ import annotations

import sqlite3
import string
from contextlib import closing
from dataclasses import replace

import pytest

from db.connection import Connection
from db.finding.search import BY_ID, BY_MESSAGE, BY_PROMPT, FAVOURITES, MAX_TERMS, NEWEST, JobSearch, match_terms
from db.jobs import JobState
from generation.job import Action
from generation.params import PromptPart
from tests.support.jobs import ADA, BEN, make_full_job, make_job
from tests.support.old_database import OLD_DATABASES, jobs_by_state


@pytest.fixture
def search(connection):
    return JobSearch(connection)


@pytest.fixture
def post(post_job):
    """Return a function that stores a posted job with a prompt and returns its id."""

    async def post(prompt, **options):
        params = replace(make_job().params, parts=(PromptPart(prompt),))
        return (await post_job(params=params, seconds=1.5, **options)).id

    return post


async def test_prompts_are_found_by_their_words_newest_first(search, post):
    fox = await post("a red Fox in the snow")
    await post("an owl")
    foxes = await post("two foxes, one red")
    assert [each.job_id for each in await search.by_prompt(ADA.id, "fox")] == [foxes, fox]
    assert [each.job_id for each in await search.by_prompt(ADA.id, "RED fo")] == [foxes, fox]
    assert [each.job_id for each in await search.by_prompt(ADA.id, "snow fox")] == [fox]
    assert await search.by_prompt(ADA.id, "fox owl") == []
    (found,) = await search.by_prompt(ADA.id, "snow")
    assert (found.params.parts, found.action) == ((PromptPart("a red Fox in the snow"),), Action.IMAGINE)


async def test_without_words_the_newest_jobs_are_offered(search, post):
    ids = [await post(f"fox {number}") for number in range(30)]
    assert [each.job_id for each in await search.by_prompt(ADA.id, " ")] == ids[:4:-1]
    assert len(await search.by_prompt(ADA.id, "fox")) == 25


async def test_only_the_users_own_jobs_are_found(search, post):
    bens = await post(f"a fox {ADA.id}", requester=BEN)
    assert await search.by_prompt(ADA.id, "fox") == await search.by_prompt(ADA.id, "") == []
    assert await search.by_prompt(ADA.id, bens) == []
    assert await search.by_prompt(ADA.id, str(BEN.id)) == []


async def test_a_job_is_found_by_the_beginning_of_its_id(search, post):
    job_id = await post("a fox")
    await post("an owl")
    for query in (job_id, job_id[:4], f" {job_id.upper()} "):
        assert [each.job_id for each in await search.by_prompt(ADA.id, query)] == [job_id]


async def test_jobs_without_images_and_deleted_jobs_are_not_found(search, store, post, connection):
    await store.add_job(make_job())
    failed = make_job()
    await store.add_job(failed)
    await store.mark_failed(failed.id, "Out of paint.")
    deleted, expired = await post("a fox"), await post("a fox")
    await connection.write("UPDATE jobs SET deleted_at = 1 WHERE id = :id", {"id": deleted})
    await connection.write("DELETE FROM jobs WHERE id = :id", {"id": expired})
    assert await search.by_prompt(ADA.id, "fox") == await search.by_prompt(ADA.id, "") == []
    rows = await connection.fetch_all("SELECT job_id FROM job_words WHERE job_words MATCH 'fox'")
    assert {row["job_id"] for row in rows}.isdisjoint({deleted, expired})


@pytest.mark.parametrize(
    ("prompt", "query"),
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
        ("a fox with an éclair", "fox _ e\u0301clair"),
        ("a fox with an e\u0301clair", "éclair"),
    ],
)
async def test_words_of_any_script_are_found_and_never_parsed_as_syntax(search, post, prompt, query):
    job_id = await post(prompt)
    assert [each.job_id for each in await search.by_prompt(ADA.id, query)] == [job_id]


def test_a_search_asks_for_few_words_however_long_it_is():
    assert match_terms(("Fox", "fo", "f", "fox", "owl")) == '"fox"* AND "owl"*'
    assert match_terms(string.ascii_lowercase * 100).count("*") == MAX_TERMS


async def test_a_whole_prompt_finds_its_picture(search, post):
    prompt = "a very old fox in a deep green forest of tall pines at dawn with some mist, painted in oil on a canvas"
    job_id = await post(prompt)
    await post("a fox in a forest")
    assert [each.job_id for each in await search.by_prompt(ADA.id, prompt)] == [job_id]


@pytest.mark.parametrize(
    "query", ['"', "*", "a*b", "prompt : x", "^", "(", "{a b}", "\0", "👩‍👩‍👧", "'; --", "x" * 100]
)
async def test_no_query_raises_an_error(search, post, query):
    await post("fox")
    await search.by_prompt(ADA.id, query)
    await search.favourites(ADA.id, query)


async def test_prompts_stored_before_search_existed_are_found(tmp_path):
    path = tmp_path / "old.sqlite3"
    with closing(sqlite3.connect(path)) as sqlite:
        sqlite.executescript((OLD_DATABASES / "0001.sql").read_text(encoding="utf-8"))
    async with Connection.open(path) as connection:
        found = await JobSearch(connection).by_prompt(ADA.id, "red fox")
    assert [each.job_id for each in found] == [jobs_by_state()[JobState.GENERATED].id]


async def test_favourites_are_found_newest_first(search, post, connection):
    fox, owl, bens = await post("a Fox"), await post("an owl"), await post("a wolf", requester=BEN)
    insert = "INSERT INTO favourites VALUES (:person, :job, :tile, :at)"
    for at, (job, tile) in enumerate([(owl, 0), (fox, 0), (fox, 1), (bens, 2)]):
        await connection.write(insert, {"person": ADA.id, "job": job, "tile": tile, "at": at})
    assert [each.job_id for each in await search.favourites(ADA.id, "")] == [bens, fox, owl]
    assert [each.job_id for each in await search.favourites(ADA.id, "fox")] == [fox]
    assert await search.favourites(BEN.id, "") == []


async def test_a_job_is_found_by_its_result_and_its_status_message(search, store, post):
    job_id = await post("a fox", result_message_id=71)
    await store.set_status_message(job_id, 72)
    assert await search.by_message(71) == await search.by_message(72) == job_id
    assert await search.by_message(73) is None


async def test_lifetime_totals_are_summed_up(search, store, post):
    full = make_full_job()
    await store.add_job(full)
    for number in range(2):
        await post(f"fox {number}")
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
def test_each_search_reads_its_index_in_order(path, store, sql, plan):
    values = dict.fromkeys(("person", "most", "match", "start", "message"), "1")
    with closing(sqlite3.connect(path)) as sqlite:
        details = [row[3] for row in sqlite.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    steps = [detail for detail in details if detail.startswith(("SCAN", "SEARCH", "USE TEMP"))]
    assert len(steps) == len(plan)
    assert all(expected in step for expected, step in zip(plan, steps, strict=True)), steps
