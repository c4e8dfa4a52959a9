"""The pictures that people marked with a heart."""

from __future__ import annotations

import pytest

from db.favourites import FavouriteStore
from db.search import JobSearch
from generation.params import Tile
from tests.support.jobs import ADA, BEN, make_job


@pytest.fixture
async def job(store):
    job = make_job()
    await store.add_job(job)
    await store.mark_running(job.id)
    await store.mark_generated(job.id, "png")
    return job


async def test_a_heart_is_a_persons_own_and_can_be_taken_away(store, job):
    favourites, search = FavouriteStore(store._connection), JobSearch(store._connection)
    for _ in range(2):
        assert await favourites.add(ADA.id, Tile(job.id, 0))
        assert [found.job_id for found in await search.favourites(ADA.id, "")] == [job.id]
    assert await search.favourites(BEN.id, "") == []
    assert not await favourites.remove(BEN.id, Tile(job.id, 0))
    assert await favourites.remove(ADA.id, Tile(job.id, 0))
    assert not await favourites.remove(ADA.id, Tile(job.id, 0))
    assert await search.favourites(ADA.id, "") == []


async def test_what_is_deleted_on_purpose_is_nobodys_favourite_any_more(store, job):
    favourites = FavouriteStore(store._connection)
    for person in (ADA, BEN):
        await favourites.add(person.id, Tile(job.id, 0))
    await store.mark_deleted(job.id)
    assert await store._connection.fetch_all("SELECT * FROM favourites") == []


async def test_what_is_deleted_while_somebody_marks_it_keeps_no_mark(store, job):
    favourites = FavouriteStore(store._connection)
    await store.mark_deleted(job.id)
    assert not await favourites.add(ADA.id, Tile(job.id, 0))
    assert not await favourites.add(ADA.id, Tile("0" * 12, 0))
    assert await store._connection.fetch_all("SELECT * FROM favourites") == []
