"""Triggers record from which images a job was made and who had a part in it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

import db.jobs
from db.connection import MIGRATIONS, Connection
from db.jobs import JobStore
from db.lineage import Ancestor, Credit, Edge, LineageStore
from db.privacy import PersonalData
from db.together.sessions import SessionKind, SessionStore
from generation.job import Action
from generation.params import PromptPart, Tile, Upload
from tests.support.jobs import ADA, BEN, make_job
from tests.support.sessions import make_session


@pytest.fixture
def lineage(connection):
    return LineageStore(connection)


@pytest.fixture
def jobs(connection, clock):
    return JobStore(connection, clock)


async def post(jobs, job):
    """Store a job as posted and return its id."""
    await jobs.add_job(job)
    await jobs.mark_running(job.id)
    await jobs.mark_generated(job.id, "webp")
    await jobs.mark_posted(job.id, int(job.id, 16))
    return job.id


async def child_of(jobs, parent, index=0, **changes):
    tile = Tile(parent, index)
    params = replace(make_job().params, source=tile)
    return await post(jobs, make_job(parent=tile, params=params, action=Action.VARY_SUBTLE, **changes))


async def test_a_button_job_is_made_from_its_tile_only_once(jobs, lineage):
    parent = await post(jobs, make_job())
    child = await child_of(jobs, parent, 2)
    edge = Edge(child=child, parent_job=parent, parent_index=2, kind="made")
    assert await lineage.parents([child]) == [edge]
    assert await lineage.children(parent, 8) == [edge]


async def test_an_edit_is_worded_and_brings_its_picture_and_its_variations_know_it(jobs, lineage, connection):
    parent, upload = await post(jobs, make_job()), Upload("e" * 64)
    privacy, edited = PersonalData(connection), replace(make_job().params, original=Tile(parent, 1))
    edit = make_job(parent=Tile(parent, 1), params=edited, action=Action.EDIT, requester=BEN)
    await post(jobs, edit)
    assert {*await lineage.credits(edit.id)} == {Credit(person_id=BEN.id, part=part) for part in ("chose", "worded")}
    varied = replace(edited, source=Tile(edit.id, 2))
    child = await post(jobs, make_job(parent=Tile(edit.id, 2), params=varied, action=Action.VARY_SUBTLE))
    kinds = {(edge.parent_job, edge.kind) for edge in await lineage.parents([child])}
    assert kinds == {(edit.id, "made"), (parent, "source")}
    brought = make_job(params=replace(make_job().params, original=upload), action=Action.EDIT)
    await post(jobs, brought)
    await post(jobs, make_job(params=brought.params, action=Action.REROLL, parent=Tile(brought.id, 0), requester=BEN))
    assert [(await privacy.summary(each.id)).uploads for each in (ADA, BEN)] == [1, 0]


async def test_a_blend_has_all_its_images_as_parents(jobs, lineage):
    first, second = await post(jobs, make_job()), await post(jobs, make_job())
    params = replace(make_job().params, source=Tile(first, 1), blended=(Tile(second, 3), Upload("f" * 64)))
    blend = await post(jobs, make_job(params=params, action=Action.BLEND))
    found = {(edge.parent_job, edge.parent_index, edge.kind) for edge in await lineage.parents([blend])}
    assert found == {(first, 1, "blend"), (second, 3, "blend")}


async def test_a_pasted_image_is_a_source(jobs, lineage):
    origin = await post(jobs, make_job())
    pasted = await post(jobs, make_job(params=replace(make_job().params, source=Tile(origin, 0))))
    assert [edge.kind for edge in await lineage.parents([pasted])] == ["source"]


async def test_references_are_parents_after_the_picture_that_it_starts_from(jobs, lineage):
    drawn = [await post(jobs, make_job()) for _ in range(3)]
    source, style, control = (Tile(job, number) for number, job in enumerate(drawn))
    params = replace(make_job().params, source=source, style=style, control=control)
    child = await post(jobs, make_job(params=params))
    found = [(edge.parent_job, edge.parent_index, edge.kind) for edge in await lineage.parents([child])]
    assert found == [(drawn[0], 0, "source"), (drawn[2], 2, "control"), (drawn[1], 1, "style")]
    assert [each.job_id for each in await lineage.line(child)] == [child, drawn[0]]


async def test_words_that_look_like_a_tile_are_no_parent(jobs, lineage):
    params = replace(make_job().params, parts=(PromptPart("tile:0123456789ab-0"),), no=("tile:0123456789ab-1",))
    job = await post(jobs, make_job(params=params))
    assert await lineage.parents([job]) == []


async def test_a_family_keeps_its_shape_when_the_middle_is_deleted(jobs, lineage, connection):
    first = await post(jobs, make_job())
    middle = await child_of(jobs, first, requester=BEN)
    last = await child_of(jobs, middle)
    await PersonalData(connection).erase_job(middle)
    assert [each.job_id for each in await lineage.line(last)] == [last, middle, first]
    assert (await lineage.line(last))[1] == Ancestor(job_id=middle)
    assert [edge.child for edge in await lineage.children(first, 8)] == [middle]
    await PersonalData(connection).erase_job(first)
    assert [each.job_id for each in await lineage.line(last)] == [last, middle]
    await PersonalData(connection).erase_job(last)
    assert await connection.fetch_all("SELECT * FROM lineage") == []


async def test_a_deleted_picture_tells_no_name(jobs, lineage):
    first = await post(jobs, make_job(requester=BEN))
    last = await child_of(jobs, first)
    await jobs.mark_deleted(first)
    assert (await lineage.line(last))[1] == Ancestor(job_id=first)


async def test_children_without_an_image_are_left_out(jobs, lineage):
    parent = await post(jobs, make_job())
    waiting = make_job(parent=Tile(parent, 0))
    await jobs.add_job(waiting)
    assert await lineage.children(parent, 8) == []
    await jobs.cancel(waiting.id, "x")
    assert await lineage.children(parent, 8) == []


async def test_a_job_is_worded_or_chosen_by_its_requester(jobs, lineage):
    parent = await post(jobs, make_job(requester=BEN))
    child = await child_of(jobs, parent)
    assert await lineage.credits(parent) == [Credit(person_id=BEN.id, part="worded")]
    assert await lineage.credits(child) == [Credit(person_id=ADA.id, part="chose")]


async def test_given_credits_replace_those_of_the_requester(jobs, lineage):
    given = [Credit(person_id=5, part="worded"), Credit(person_id=6, part="chose", weight=0.5)]
    job = make_job()
    await jobs.add_job(job, given)
    assert await lineage.credits(job.id) == given


async def test_who_worded_a_job_for_somebody_else_is_found_by_name(jobs, lineage, connection):
    await post(jobs, make_job(requester=BEN))
    own, for_ben, unknown = make_job(), make_job(), make_job()
    await jobs.add_job(own)
    await jobs.add_job(for_ben, [Credit(person_id=BEN.id, part="worded"), Credit(person_id=5, part="chose")])
    await jobs.add_job(unknown, [Credit(person_id=5, part="worded")])
    assert await lineage.worded_by_others([own.id, for_ben.id, unknown.id]) == {for_ben.id: "ben", unknown.id: ""}
    await PersonalData(connection).begin_erasure(BEN.id, 1.0)
    assert await lineage.worded_by_others([for_ben.id]) == {}


async def test_an_erased_person_stays_in_the_credits_without_a_name(jobs, lineage, connection):
    job = make_job()
    await jobs.add_job(job, [Credit(person_id=5, part="chose"), Credit(person_id=6, part="chose")])
    assert [row["job"] for row in (await PersonalData(connection).export_rows(5))["credits"]] == [job.id]
    for person in (5, 6):
        await PersonalData(connection).begin_erasure(person, 1.0)
    assert await lineage.credits(job.id) == [Credit(person_id=0, part="chose")] * 2
    await PersonalData(connection).erase_job(job.id)
    assert await lineage.credits(job.id) == []


async def test_jobs_from_before_are_in_the_tables_as_new_ones_are(tmp_path, path, monkeypatch):
    shutil.copytree(MIGRATIONS, tmp_path / "before")
    for script in sorted((tmp_path / "before").glob("*.sql"))[5:]:
        script.unlink()
    new_insert = db.jobs._INSERT_JOB
    old_insert = new_insert.replace(", locale)", ")").replace(", :locale)", ")")  # a column of later versions
    monkeypatch.setattr(db.jobs, "_INSERT_JOB", old_insert)
    async with Connection.open(path, tmp_path / "before") as connection:
        jobs = JobStore(connection)
        first = await post(jobs, make_job())
        await child_of(jobs, first, 1)
        params = replace(make_job().params, source=Tile(first, 1), blended=(Tile(first, 3),))
        await post(jobs, make_job(params=params, action=Action.BLEND))
        await post(jobs, make_job(params=replace(make_job().params, control=Tile(first, 2))))
    monkeypatch.setattr(db.jobs, "_INSERT_JOB", new_insert)
    async with Connection.open(path) as connection:
        await post(JobStore(connection), make_job())
    tables = {}
    with closing(sqlite3.connect(path)) as sqlite:
        for name in ("lineage", "credits"):
            tables[name] = sorted(sqlite.execute(f"SELECT * FROM {name}"))
            sqlite.execute(f"DELETE FROM {name}")
        sqlite.execute("CREATE TEMP TABLE copy AS SELECT * FROM jobs")
        sqlite.execute("DELETE FROM jobs")
        sqlite.execute("INSERT INTO jobs SELECT * FROM copy")
        again = {name: sorted(sqlite.execute(f"SELECT * FROM {name}")) for name in tables}
    assert len(tables["lineage"]) == 4
    assert tables == again


async def test_an_erasure_reaches_contests_of_what_was_made_from_a_picture(jobs, connection):
    first = await post(jobs, make_job(requester=ADA))
    entered = await child_of(jobs, await child_of(jobs, first, requester=BEN), requester=BEN)
    sessions = SessionStore(connection)
    for name, job in (("named", entered), ("other", await post(jobs, make_job(requester=BEN)))):
        await sessions.add(make_session(id=name, kind=SessionKind.CONTEST, host_id=0), most=9)
        await connection.write(
            """INSERT INTO contest_entries (session, person, job_id, tile_index, at)
               VALUES (:session, :person, :job, 0, 1)""",
            {"session": name, "person": BEN.id, "job": job},
        )
    await PersonalData(connection).begin_erasure(ADA.id, 1000.0)
    assert [session.id for session in await sessions.stale()] == ["named"]
