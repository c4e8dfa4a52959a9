"""Favourites belong to one user and never outlive their job."""

from __future__ import annotations

import pytest

from db.favourites import FavouriteStore
from db.finding.search import JobSearch
from generation.params import Tile
from tests.support.jobs import ADA, BEN


@pytest.fixture
async def job(post_job):
    return await post_job()


async def test_a_favourite_belongs_to_one_user_and_can_be_removed(store, job):
    favourites, search = FavouriteStore(store._connection), JobSearch(store._connection)
    for _ in range(2):
        assert await favourites.add(ADA.id, Tile(job.id, 0))
        assert [found.job_id for found in await search.favourites(ADA.id, "")] == [job.id]
    assert await search.favourites(BEN.id, "") == []
    assert not await favourites.remove(BEN.id, Tile(job.id, 0))
    assert await favourites.remove(ADA.id, Tile(job.id, 0))
    assert not await favourites.remove(ADA.id, Tile(job.id, 0))
    assert await search.favourites(ADA.id, "") == []


async def test_a_deleted_job_is_removed_from_all_favourites(store, job):
    favourites = FavouriteStore(store._connection)
    for person in (ADA, BEN):
        await favourites.add(person.id, Tile(job.id, 0))
    await store.mark_deleted(job.id)
    assert await store._connection.fetch_all("SELECT * FROM favourites") == []


async def test_a_deleted_job_cannot_become_a_favourite(store, job):
    favourites = FavouriteStore(store._connection)
    await store.mark_deleted(job.id)
    assert not await favourites.add(ADA.id, Tile(job.id, 0))
    assert not await favourites.add(ADA.id, Tile("0" * 12, 0))
    assert await store._connection.fetch_all("SELECT * FROM favourites") == []
