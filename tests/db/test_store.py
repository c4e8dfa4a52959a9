"""The record of every job: what goes in comes out, and only one of several rivals wins."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from db.store import State, Store
from tests.db.jobs import ADA, BEN, a_full_job, a_job

MOVES = {
    "begin": lambda store, job_id: store.begin(job_id),
    "drawn": lambda store, job_id: store.drawn(job_id, "webp"),
    "answered": lambda store, job_id: store.answered(job_id, 77),
    "failed": lambda store, job_id: store.failed(job_id, "Out of paint."),
    "cancel": lambda store, job_id: store.cancel(job_id, "Cancelled by <@11>."),
}
WAYS = {
    State.WAITING: (),
    State.DRAWING: ("begin",),
    State.DRAWN: ("begin", "drawn"),
    State.ANSWERED: ("begin", "drawn", "answered"),
    State.FAILED: ("failed",),
    State.CANCELLED: ("cancel",),
}
ALLOWED = {
    (State.WAITING, "begin"): State.DRAWING,
    (State.WAITING, "failed"): State.FAILED,
    (State.WAITING, "cancel"): State.CANCELLED,
    (State.DRAWING, "begin"): State.DRAWING,
    (State.DRAWING, "drawn"): State.DRAWN,
    (State.DRAWING, "failed"): State.FAILED,
    (State.DRAWING, "cancel"): State.CANCELLED,
    (State.DRAWN, "answered"): State.ANSWERED,
    (State.DRAWN, "failed"): State.FAILED,
}


async def put(store, state, **changes):
    """Store a job and bring it to `state`."""
    job = a_job(**changes)
    await store.add_job(job)
    for move in WAYS[state]:
        assert await MOVES[move](store, job.id)
    return job


def row_of(path, job_id):
    """Give a job's row as another program would read it."""
    with closing(sqlite3.connect(path)) as reader:
        reader.row_factory = sqlite3.Row
        return dict(reader.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone())


@pytest.mark.parametrize("job", [a_job(), a_full_job()], ids=["plain", "full"])
async def test_a_job_comes_back_as_it_was_added_also_after_a_restart(path, job):
    async with Store.open(path) as store:
        await store.add_job(job)
        assert (await store.record(job.id)).job == job
    async with Store.open(path) as store:
        record = await store.record(job.id)
    assert record.job == job
    assert (record.state, record.attempts) == (State.WAITING, 0)
    assert (record.suffix, record.notice_id, record.answer_id, record.ending) == (None,) * 4


async def test_values_come_back_with_their_types(store):
    job = a_full_job()
    await store.add_job(job)
    kept = (await store.record(job.id)).job
    assert repr(kept) == repr(job)
    assert isinstance(kept.destination.by_channel, bool)


async def test_an_unknown_job_has_no_record_and_cannot_move(store):
    assert await store.record("000000000000") is None
    assert [await move(store, "000000000000") for move in MOVES.values()] == [False] * len(MOVES)


async def test_an_id_is_taken_once_and_the_first_job_stays(store):
    job = a_job()
    await store.add_job(job)
    with pytest.raises(sqlite3.IntegrityError):
        await store.add_job(replace(job, asker=BEN))
    assert (await store.record(job.id)).job == job


@pytest.mark.parametrize(("state", "move"), [*itertools.product(WAYS, MOVES)])
async def test_every_move_from_every_state_does_what_the_table_says(store, state, move):
    job = await put(store, state)
    before = await store.record(job.id)
    moved = await MOVES[move](store, job.id)
    after = await store.record(job.id)
    if (state, move) in ALLOWED:
        assert moved is True
        assert after.state is ALLOWED[state, move]
    else:
        assert moved is False
        assert after == before


async def test_a_move_leaves_other_jobs_alone(store):
    others = [await put(store, state) for state in WAYS]
    before = [await store.record(other.id) for other in others]
    await put(store, State.ANSWERED)
    await put(store, State.CANCELLED)
    assert [await store.record(other.id) for other in others] == before


async def test_each_move_notes_its_fact_and_its_time(store, path, clock):
    job = await put(store, State.WAITING)
    await store.begin(job.id)
    clock.now = 1005.0
    await store.begin(job.id)
    await store.drawn(job.id, "webp")
    clock.now = 1010.0
    await store.answered(job.id, 2**62)
    record = await store.record(job.id)
    assert (record.attempts, record.suffix, record.answer_id, record.ending) == (2, "webp", 2**62, None)
    row = row_of(path, job.id)
    assert (row["started_at"], row["ended_at"]) == (1005.0, 1010.0)


@pytest.mark.parametrize("move", ["failed", "cancel"])
async def test_a_sad_end_keeps_what_the_person_was_told(store, path, move):
    job = await put(store, State.DRAWING)
    await MOVES[move](store, job.id)
    told = {"failed": "Out of paint.", "cancel": "Cancelled by <@11>."}[move]
    assert (await store.record(job.id)).ending == told
    assert row_of(path, job.id)["ended_at"] == 1000.0


@pytest.mark.parametrize("first", ["cancel", "drawn"])
async def test_of_cancel_and_drawn_at_once_exactly_one_wins(store, first):
    jobs = [await put(store, State.DRAWING) for _ in range(20)]
    for job in jobs:
        rivals = sorted(("cancel", "drawn"), key=lambda name: name != first)
        results = await asyncio.gather(*(MOVES[rival](store, job.id) for rival in rivals))
        record = await store.record(job.id)
        winner = rivals[results.index(True)]
        assert results.count(True) == 1
        assert record.state is {"cancel": State.CANCELLED, "drawn": State.DRAWN}[winner]
        assert (record.suffix is None) is (winner == "cancel")
        assert (record.ending is None) is (winner == "drawn")


async def test_of_rivals_on_connections_of_their_own_exactly_one_wins(store, path):
    jobs = [await put(store, State.DRAWING) for _ in range(40)]
    async with Store.open(path) as other:

        async def all_of(move, mine):
            return [await MOVES[move](mine, job.id) for job in jobs]

        cancelled, drawn = await asyncio.gather(all_of("cancel", store), all_of("drawn", other))
    for job, by_cancel, by_drawn in zip(jobs, cancelled, drawn, strict=True):
        assert by_cancel != by_drawn
        assert (await store.record(job.id)).state is (State.CANCELLED if by_cancel else State.DRAWN)


@pytest.mark.parametrize("move", ["drawn", "failed", "cancel"])
async def test_of_many_who_make_the_same_move_one_is_told_that_they_made_it(store, move):
    job = await put(store, State.DRAWING)
    results = await asyncio.gather(*(MOVES[move](store, job.id) for _ in range(30)))
    assert results.count(True) == 1


async def test_an_end_is_an_end(store):
    ended = [await put(store, state) for state in (State.ANSWERED, State.FAILED, State.CANCELLED)]
    before = [await store.record(job.id) for job in ended]
    for job in ended:
        await asyncio.gather(*(move(store, job.id) for move in MOVES.values()))
    assert [await store.record(job.id) for job in ended] == before


async def test_open_are_jobs_without_an_answer_and_those_whose_notice_was_left_behind(path):
    async with Store.open(path) as store:
        jobs = {
            (state, noticed): await put(store, state, asked_at=100.0 - number)
            for number, (state, noticed) in enumerate(itertools.product(WAYS, (False, True)))
        }
        for number, ((_, noticed), job) in enumerate(jobs.items()):
            await store.set_notice(job.id, 500 + number if noticed else None)
        before = await store.open_records()
    async with Store.open(path) as store:
        after = await store.open_records()
    assert after == before
    unanswered = (State.WAITING, State.DRAWING, State.DRAWN)
    expected = [job for (state, noticed), job in jobs.items() if noticed or state in unanswered]
    assert [record.job for record in after] == list(reversed(expected))
    assert {record.notice_id for record in after} == {None, 501, 503, 505, 507, 509, 511}


async def test_open_jobs_come_oldest_first_and_each_once(store):
    jobs = [await put(store, State.WAITING, asked_at=asked_at) for asked_at in (3.0, 1.5, 2.0, 1.0)]
    for job in jobs:
        await store.set_notice(job.id, 9)
    assert [record.job.asked_at for record in await store.open_records()] == [1.0, 1.5, 2.0, 3.0]


async def test_a_job_whose_notice_was_dealt_with_is_closed(store):
    job = await put(store, State.CANCELLED)
    await store.set_notice(job.id, 9)
    assert [record.notice_id for record in await store.open_records()] == [9]
    await store.set_notice(job.id, None)
    assert await store.open_records() == []


async def test_an_empty_store_has_nothing_open_and_nobody_served(store):
    assert await store.open_records() == []
    assert await store.last_served() == {}


async def test_last_served_is_each_persons_newest_turn_and_survives_a_restart(path, clock):
    async with Store.open(path, clock) as store:
        for now, asker in ((1000.0, ADA), (1001.0, BEN), (1005.0, ADA), (1002.0, BEN)):
            clock.now = now
            await put(store, State.DRAWING, asker=asker)
        await put(store, State.WAITING, asker=replace(BEN, id=13))
        await put(store, State.CANCELLED, asker=replace(BEN, id=14))
    async with Store.open(path) as store:
        assert await store.last_served() == {ADA.id: 1005.0, BEN.id: 1002.0}


async def test_a_memo_is_kept_replaced_and_survives_a_restart(path):
    async with Store.open(path) as store:
        assert await store.memo("commands") is None
        await store.set_memo("commands", "abc")
        await store.set_memo("commands", "Ünï\n🦊 'x'")
        await store.set_memo("other", "")
    async with Store.open(path) as store:
        assert await store.memo("commands") == "Ünï\n🦊 'x'"
        assert await store.memo("other") == ""


async def test_a_stop_excuses_the_attempts_under_way_and_no_others(store):
    drawing, drawn = (
        await put(store, State.DRAWING, id="00000000000a"),
        await put(store, State.DRAWN, id="00000000000b"),
    )
    await store.excuse()
    assert (await store.record(drawing.id)).attempts == 0
    assert (await store.record(drawn.id)).attempts == 1


class Statements:
    """Collects the statements that SQLite is given."""

    def __init__(self, store: Store) -> None:
        self._sqlite = store._connection._sqlite

    async def during(self, call) -> list[str]:
        seen: list[str] = []
        await self._sqlite.set_trace_callback(seen.append)
        await call
        await self._sqlite.set_trace_callback(None)
        return seen

    async def plan(self, call) -> list[str]:
        (statement,) = await self.during(call)
        return [row["detail"] for row in await self._sqlite.execute_fetchall(f"EXPLAIN QUERY PLAN {statement}")]


@pytest.mark.parametrize(
    ("call", "index"),
    [
        (lambda store: store.record("000000000000"), "sqlite_autoindex_jobs_1 (id=?)"),
        (lambda store: store.last_served(), "COVERING INDEX jobs_by_asker"),
        (lambda store: store.set_notice("000000000000", 5), "sqlite_autoindex_jobs_1 (id=?)"),
        (lambda store: store.memo("commands"), "sqlite_autoindex_memos_1 (name=?)"),
        *((lambda store, move=move: move(store, "000000000000"), "sqlite_autoindex_jobs_1") for move in MOVES.values()),
    ],
    ids=["record", "last_served", "set_notice", "memo", *MOVES],
)
async def test_a_statement_uses_its_index(store, call, index):
    plan = await Statements(store).plan(call(store))
    assert index in " ".join(plan)
    scans = [step for step in plan if step.startswith("SCAN") and "INDEX" not in step]
    assert [step for step in scans if step != "SCAN askers"] == []  # a table of people that the statement makes itself


async def test_open_records_reads_the_small_indexes_only(store):
    plan = await Statements(store).plan(store.open_records())
    reading = [step for step in plan if step.startswith(("SCAN", "SEARCH"))]
    assert sorted(reading) == ["SCAN jobs USING INDEX jobs_noticed", "SCAN jobs USING INDEX jobs_open"]


async def test_several_jobs_are_accepted_together_or_not_at_all(store):
    first, second, third = (a_job(id=f"{number:012x}") for number in range(1, 4))
    assert await store.add_jobs([first, second])
    assert not await store.add_jobs([third, second])
    assert [await store.record(job.id) is not None for job in (first, second, third)] == [True, True, False]


async def test_a_job_is_deleted_once(store):
    job = await put(store, State.ANSWERED)
    assert await store.deleted(job.id)
    assert not await store.deleted(job.id)


async def test_what_is_half_deleted_is_found_again(store):
    job = a_job()
    await store.add_job(job)
    assert await store.half_deleted() == []
    await store.deleted(job.id)
    assert [record.job.id for record in await store.half_deleted()] == [job.id]
    await store.removed(job.id)
    assert await store.half_deleted() == []


async def test_a_job_that_needed_no_turn_does_not_count_as_having_served_the_person(store):
    job = await put(store, State.WAITING)
    assert await store.begin(job.id, served=False)
    assert await store.last_served() == {}
