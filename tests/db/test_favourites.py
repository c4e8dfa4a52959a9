"""The pictures that people marked with a heart."""

from __future__ import annotations

from db.favourites import Favourites
from db.search import Search
from generation.params import Tile
from tests.db.jobs import ADA, BEN, a_job


async def test_a_heart_is_a_persons_own_and_a_second_press_takes_it_away(store):
    job = a_job()
    await store.add_job(job)
    await store.begin(job.id)
    await store.drawn(job.id, "png")
    favourites, search = Favourites(store._connection), Search(store._connection)
    assert await favourites.toggle(ADA.id, Tile(job.id, 0))
    assert [found.job_id for found in await search.favourites(ADA.id, "")] == [job.id]
    assert await search.favourites(BEN.id, "") == []
    assert not await favourites.toggle(ADA.id, Tile(job.id, 0))
    assert await search.favourites(ADA.id, "") == []
