"""Codes of style references belong to who brought the picture, and to the server where it was first used."""

from __future__ import annotations

from dataclasses import replace

import pytest

from db.image_files import ImageStore
from db.privacy import START_CURSOR, PersonalData
from db.styles import StyleStore
from db.upkeep.retention import Retention
from generation.params import Tile, Upload
from tests.support.jobs import ADA, BEN, make_job

PICTURE = Upload("ab" * 32)


@pytest.fixture
def styles(connection, clock):
    return StyleStore(connection, clock)


def styled(code, image=PICTURE, **changes):
    return make_job(params=replace(make_job().params, style=image, style_code=code), **changes)


def controlled(code, **changes):
    return make_job(params=replace(make_job().params, control=PICTURE, control_code=code), **changes)


async def test_a_picture_keeps_its_code(styles):
    code = await styles.add(PICTURE, ADA.id, 1, 2)
    assert len(code) == 6
    assert await styles.add(PICTURE, ADA.id, 1, 3) == code
    assert await styles.add(PICTURE, BEN.id) == code
    (style,) = await styles.find(code, ADA.id, 1)
    assert (style.image, style.person_id, style.guild_id, style.channel_id) == (PICTURE, ADA.id, 1, 2)


async def test_two_pictures_never_share_a_code(styles, connection):
    code = await styles.add(PICTURE, ADA.id)
    await connection.write("UPDATE styles SET image = :other", {"other": f"upload:{'cd' * 32}"})
    assert await styles.add(PICTURE, ADA.id) != code


async def test_a_private_style_is_found_by_its_owner_only(styles):
    code = await styles.add(PICTURE, ADA.id)
    assert [style.code for style in await styles.find(code, ADA.id, 1)] == [code]
    assert await styles.find(code, BEN.id, 1) == []
    assert await styles.find(code, BEN.id, 0) == []
    assert await styles.recent(BEN.id, 0) == []


async def test_a_shared_style_is_found_in_its_guild_only(styles):
    code = await styles.add(PICTURE, ADA.id, 1, 2)
    assert [style.person_id for style in await styles.find(code, BEN.id, 1)] == [ADA.id]
    assert await styles.find(code, BEN.id, 9) == []
    assert [style.code for style in await styles.recent(BEN.id, 1)] == [code]


async def test_a_deleted_picture_is_no_style_any_more(styles, store, post_job):
    job = await post_job()
    code = await styles.add(Tile(job.id, 3), BEN.id, 1, 2)
    await store.mark_deleted(job.id)
    assert await styles.find(code, BEN.id, 1) == []


async def test_deleting_a_picture_withdraws_the_reference_that_its_author_brought(styles, store):
    code = await styles.add(PICTURE, ADA.id, 1, 2)
    others, own = styled(code, requester=BEN), styled(code)
    await store.add_job(others)
    await store.add_job(own)
    await store.mark_deleted(others.id)
    assert await styles.find(code, BEN.id, 1)
    await store.mark_deleted(own.id)
    assert await styles.find(code, BEN.id, 1) == []


async def test_a_reference_is_counted_and_exported_for_who_brought_it(styles, store, connection):
    privacy = PersonalData(connection)
    code = await styles.add(PICTURE, ADA.id, 1, 2)
    await store.add_job(styled(code))
    await store.add_job(styled(code, requester=BEN))
    assert [(await privacy.summary(each.id)).uploads for each in (ADA, BEN)] == [1, 0]
    jobs = [(await privacy.export_jobs(each.id, START_CURSOR, 9))[0] for each in (ADA, BEN)]
    assert [job["brought_style"] for job in jobs] == [1, 0]
    assert [row["code"] for row in (await privacy.export_rows(ADA.id))["styles"]] == [code]


async def test_erasing_a_person_withdraws_their_styles(styles, connection):
    mine = await styles.add(PICTURE, ADA.id, 1, 2)
    theirs = await styles.add(Upload("ef" * 32), BEN.id, 1, 2)
    await PersonalData(connection).begin_erasure(ADA.id, 1000.0)
    assert await styles.find(mine, BEN.id, 1) == []
    assert await styles.find(theirs, ADA.id, 1)


async def test_a_style_ends_with_the_last_job_that_used_its_upload(styles, store, connection, clock, tmp_path):
    async def guild_days():
        return {}

    kept, unused = [await styles.add(Upload(digit * 64), ADA.id, 1, 2) for digit in "ab"]
    await store.add_job(styled(kept, Upload("a" * 64)))
    clock.now += 2 * 24 * 3600
    new = await styles.add(Upload("c" * 64), ADA.id, 1, 2)
    await Retention(connection, ImageStore(tmp_path), 0, guild_days, clock).sweep()
    assert {style.code for style in await styles.recent(ADA.id, 1)} == {kept, new}
    assert unused not in (kept, new)


async def test_a_style_outlasts_the_job_that_brought_it(styles, store, connection, clock, tmp_path):
    async def guild_days():
        return {}

    code = await styles.add(PICTURE, ADA.id, 1, 2)
    first, later = styled(code, asked_at=clock.now), styled(code, asked_at=clock.now + 9 * 24 * 3600)
    for job in (first, later):
        await store.add_job(job)
        await store.cancel(job.id, "Cancelled.")
        clock.now = later.asked_at
    await Retention(connection, ImageStore(tmp_path), 7, guild_days, clock).sweep()
    assert await store.get(first.id) is None
    assert [style.code for style in await styles.find(code, BEN.id, 1)] == [code]


async def test_random_never_draws_a_picture_of_a_controlnet_unless_it_is_a_style_too(styles):
    code = await styles.add(PICTURE, ADA.id, 1, 2, purpose="control")
    assert [style.code for style in await styles.find(code, BEN.id, 1)] == [code]
    assert await styles.recent(BEN.id, 1) == [] == await styles.recent(ADA.id, 0)
    await styles.add(PICTURE, ADA.id, 1, 2)
    await styles.add(PICTURE, ADA.id, 1, 2, purpose="control")
    assert [style.code for style in await styles.recent(BEN.id, 1)] == [code]


async def test_a_picture_of_a_controlnet_belongs_to_who_brought_it(styles, store, connection):
    privacy = PersonalData(connection)
    code = await styles.add(PICTURE, ADA.id, 1, 2, purpose="control")
    jobs = [controlled(code), controlled(code, requester=BEN)]
    for job in jobs:
        await store.add_job(job)
    assert [(await privacy.summary(each.id)).uploads for each in (ADA, BEN)] == [1, 0]
    exported = [(await privacy.export_jobs(each.id, START_CURSOR, 9))[0] for each in (ADA, BEN)]
    assert [job["brought_control"] for job in exported] == [1, 0]
    await store.mark_deleted(jobs[1].id)
    assert await styles.find(code, BEN.id, 1)
    await store.mark_deleted(jobs[0].id)
    assert await styles.find(code, BEN.id, 1) == []
