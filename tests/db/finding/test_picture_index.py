"""The index of pictures: what is shown in which order, and that nothing of a deleted job stays."""

from __future__ import annotations

import re

import pytest

from db.finding.gallery import BY_WORDS, LIKED, NEWEST, VISIBLE, Gallery, PictureQuery, View
from db.finding.picture_index import Fingerprints, PictureIndex, ShownPicture, Words, shown_statements
from db.privacy import PersonalData
from tests.support.jobs import ADA

VIEW, EVERYTHING = View(guild_id=1, channels=frozenset({2})), PictureQuery()


@pytest.fixture
def index(connection):
    return PictureIndex(connection)


@pytest.fixture
def gallery(connection, clock):
    return Gallery(connection, clock)


@pytest.fixture
def show(connection, index, post_job):
    """Return a function that posts a job and adds it to the index."""

    async def show(prompt, *, channel=2, thread=None, older=False, author="ada", asked_at=None):
        job = await post_job()
        picture = ShownPicture(job_id=job.id, guild_id=1, channel_id=channel, thread_id=thread, person_id=ADA.id)
        statements = shown_statements(
            picture, Words(author=author, model="storybook", prompt=prompt), asked_at or job.asked_at, older=older
        )
        found = Fingerprints(
            job_id=job.id, guild_id=1, channel_id=channel, person_id=ADA.id, outlines=b"\1" * 24, vectors=b"\1" * 192
        )
        if older:
            await index.add_older(statements, "words_below", 0)
        else:
            await index.add(job.id, statements, found)
        return job.id

    return show


async def listed(gallery, query=EVERYTHING, view=VIEW):
    return list((await gallery.page(view, query, None, 50)).job_ids)


async def test_posted_jobs_wait_for_the_index_until_they_are_in_it(index, show, post_job):
    job = await post_job()
    assert await index.pending(9) == [job.id]
    await index.add(job.id, [], None)
    assert await index.pending(9) == []


async def test_a_picture_left_without_its_author_is_not_indexed(connection, gallery, index, post_job):
    job = await post_job()
    picture = ShownPicture(job_id=job.id, guild_id=1, channel_id=2, person_id=ADA.id)
    statements = shown_statements(picture, Words(author="ada", model="storybook", prompt="a fox"), job.asked_at)
    found = Fingerprints(
        job_id=job.id, guild_id=1, channel_id=2, person_id=ADA.id, outlines=b"\1" * 24, vectors=b"\1" * 192
    )
    await PersonalData(connection).leave_job(job.id)
    await index.add(job.id, statements, found)
    assert await listed(gallery, PictureQuery(author=("ada",))) == []
    assert await index.vectors_of_jobs([job.id]) == []


async def test_what_was_asked_for_since_a_time_is_found_whenever_it_was_posted(gallery, show, connection):
    quick = await show("a quick fox", asked_at=1010.0)
    slow = await show("a slow fox", asked_at=1000.0)
    slowest = await show("a slower fox", asked_at=990.0)
    assert await listed(gallery, PictureQuery(since=1000.0)) == [slow, quick]
    assert await listed(gallery, PictureQuery(since=1005.0, words=("fox",))) == [quick]
    assert await listed(gallery, PictureQuery(since=2000.0)) == []
    for each in (quick, slow, slowest):
        await connection.write(
            "INSERT INTO favourites (person_id, job_id, tile_index, at) VALUES (3, :id, 0, 1)", {"id": each}
        )
    mine = View(guild_id=1, channels=VIEW.channels, person_id=3)
    assert await listed(gallery, PictureQuery(since=1000.0, liked=True), mine) == [slow, quick]


async def test_older_pictures_come_after_all_others(gallery, show):
    new = await show("a fox")
    old = [await show("a fox", older=True) for _ in range(2)]
    newer = await show("a fox")
    assert await listed(gallery) == [newer, new, *old]
    assert await listed(gallery, PictureQuery(words=("fox",))) == [newer, new, *old]


async def test_adding_twice_changes_nothing(connection, gallery, show, index):
    job_id = await show("a fox")
    picture = await index.find_shown(job_id)
    await index.add(job_id, shown_statements(picture, Words(author="x", model="x", prompt="x"), 1.0), None)
    assert await listed(gallery, PictureQuery(words=("x",))) == []
    assert await listed(gallery) == [job_id]


async def test_only_the_viewers_channels_are_searched(gallery, show):
    await show("a fox", channel=3)
    here = await show("a fox")
    many = View(guild_id=1, channels=frozenset({2, *range(1000, 1200)}))
    for view in (VIEW, many):
        assert await listed(gallery, view=view) == [here]
        assert await listed(gallery, PictureQuery(words=("fox",)), view) == [here]
    assert await listed(gallery, view=View(guild_id=9, channels=frozenset({2}))) == []
    assert await listed(gallery, view=View(guild_id=1, channels=frozenset())) == []


async def test_filters_narrow_a_search(gallery, show, clock):
    await show("a fox", author="mira")
    clock.now += 1000
    late = clock.now
    job_id = await show("a fox", author="jonas")
    assert await listed(gallery, PictureQuery(author=("jon",))) == [job_id]
    assert await listed(gallery, PictureQuery(since=late)) == [job_id]
    assert await listed(gallery, PictureQuery(since=late + 10_000)) == []
    assert await listed(gallery, PictureQuery(model=("other",))) == []


@pytest.mark.parametrize("how", ["delete", "expire", "erase", "leave", "thread"])
async def test_nothing_of_a_picture_that_is_gone_stays(connection, store, index, gallery, show, how):
    job_id = await show("a secret fox", thread=5)
    match how:
        case "delete":
            await store.mark_deleted(job_id)
        case "expire":
            await connection.write("DELETE FROM jobs WHERE id = :id", {"id": job_id})
        case "erase":
            await PersonalData(connection).erase_job(job_id)
        case "leave":
            await PersonalData(connection).leave_job(job_id)
        case "thread":
            await index.forget_thread(5)
    assert await listed(gallery) == []
    assert await listed(gallery, PictureQuery(words=("secret",))) == []
    for table in ("shown", "shown_words", "fingerprints", "to_index"):
        assert await connection.fetch_all(f"SELECT * FROM {table}") == [], table


async def test_a_picture_deleted_meanwhile_is_not_added(connection, store, index, show, post_job):
    job = await post_job()
    await store.mark_deleted(job.id)
    picture = ShownPicture(job_id=job.id, guild_id=1, channel_id=2, person_id=ADA.id)
    await index.add(job.id, shown_statements(picture, Words(author="", model="", prompt="x"), 1.0), None)
    assert await index.find_shown(job.id) is None
    assert await connection.fetch_all("SELECT * FROM shown_words") == []


@pytest.mark.parametrize("sql", [NEWEST, BY_WORDS, LIKED, VISIBLE])
async def test_no_list_walks_through_the_whole_server(connection, sql):
    values = dict.fromkeys(re.findall(r":([a-z_]+)", sql), 1)
    steps = [row["detail"] for row in await connection.fetch_all(f"EXPLAIN QUERY PLAN {sql}", values)]
    assert any("USING INTEGER PRIMARY KEY (rowid=?)" in step or "(job_id=?" in step for step in steps), steps
    assert not any("shown_by_time" in step for step in steps), steps
