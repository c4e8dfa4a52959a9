"""The record of every job: what goes in comes out, and only one of several rivals wins."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from db.jobs import JobState, JobStore
from tests.support.jobs import ADA, BEN, make_full_job, make_job

TRANSITIONS = {
    "begin": lambda store, job_id: store.mark_running(job_id),
    "drawn": lambda store, job_id: store.mark_generated(job_id, "webp"),
    "answered": lambda store, job_id: store.mark_posted(job_id, 77),
    "failed": lambda store, job_id: store.mark_failed(job_id, "Out of paint."),
    "cancel": lambda store, job_id: store.cancel(job_id, "Cancelled by <@11>."),
}
PATHS_TO_STATE = {
    JobState.WAITING: (),
    JobState.RUNNING: ("begin",),
    JobState.GENERATED: ("begin", "drawn"),
    JobState.POSTED: ("begin", "drawn", "answered"),
    JobState.FAILED: ("failed",),
    JobState.CANCELLED: ("cancel",),
}
ALLOWED = {
    (JobState.WAITING, "begin"): JobState.RUNNING,
    (JobState.WAITING, "failed"): JobState.FAILED,
    (JobState.WAITING, "cancel"): JobState.CANCELLED,
    (JobState.RUNNING, "begin"): JobState.RUNNING,
    (JobState.RUNNING, "drawn"): JobState.GENERATED,
    (JobState.RUNNING, "failed"): JobState.FAILED,
    (JobState.RUNNING, "cancel"): JobState.CANCELLED,
    (JobState.GENERATED, "answered"): JobState.POSTED,
    (JobState.GENERATED, "failed"): JobState.FAILED,
}


async def store_in_state(store, state, **changes):
    """Store a job and bring it to `state`."""
    job = make_job(**changes)
    await store.add_job(job)
    for move in PATHS_TO_STATE[state]:
        assert await TRANSITIONS[move](store, job.id)
    return job


def read_row(path, job_id):
    """Give a job's row as another program would read it."""
    with closing(sqlite3.connect(path)) as reader:
        reader.row_factory = sqlite3.Row
        return dict(reader.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone())


@pytest.mark.parametrize("job", [make_job(), make_full_job()], ids=["plain", "full"])
async def test_a_job_comes_back_as_it_was_added_also_after_a_restart(path, job):
    async with JobStore.open(path) as store:
        await store.add_job(job)
        assert (await store.get(job.id)).job == job
    async with JobStore.open(path) as store:
        record = await store.get(job.id)
    assert record.job == job
    assert (record.state, record.attempts) == (JobState.WAITING, 0)
    assert (record.suffix, record.status_message_id, record.result_message_id, record.end_message) == (None,) * 4


async def test_values_come_back_with_their_types(store):
    job = make_full_job()
    await store.add_job(job)
    kept = (await store.get(job.id)).job
    assert repr(kept) == repr(job)
    assert isinstance(kept.destination.by_channel, bool)


async def test_an_unknown_job_has_no_record_and_cannot_move(store):
    assert await store.get("000000000000") is None
    assert [await move(store, "000000000000") for move in TRANSITIONS.values()] == [False] * len(TRANSITIONS)


async def test_an_id_is_taken_once_and_the_first_job_stays(store):
    job = make_job()
    await store.add_job(job)
    with pytest.raises(sqlite3.IntegrityError):
        await store.add_job(replace(job, requester=BEN))
    assert (await store.get(job.id)).job == job


@pytest.mark.parametrize(("state", "move"), [*itertools.product(PATHS_TO_STATE, TRANSITIONS)])
async def test_every_move_from_every_state_does_what_the_table_says(store, state, move):
    job = await store_in_state(store, state)
    before = await store.get(job.id)
    moved = await TRANSITIONS[move](store, job.id)
    after = await store.get(job.id)
    if (state, move) in ALLOWED:
        assert moved is True
        assert after.state is ALLOWED[state, move]
    else:
        assert moved is False
        assert after == before


async def test_a_move_leaves_other_jobs_alone(store):
    others = [await store_in_state(store, state) for state in PATHS_TO_STATE]
    before = [await store.get(other.id) for other in others]
    await store_in_state(store, JobState.POSTED)
    await store_in_state(store, JobState.CANCELLED)
    assert [await store.get(other.id) for other in others] == before


async def test_each_move_notes_its_fact_and_its_time(store, path, clock):
    job = await store_in_state(store, JobState.WAITING)
    await store.mark_running(job.id)
    clock.now = 1005.0
    await store.mark_running(job.id)
    await store.mark_generated(job.id, "webp")
    clock.now = 1010.0
    await store.mark_posted(job.id, 2**62)
    record = await store.get(job.id)
    assert (record.attempts, record.suffix, record.result_message_id, record.end_message) == (2, "webp", 2**62, None)
    row = read_row(path, job.id)
    assert (row["started_at"], row["ended_at"]) == (1005.0, 1010.0)


@pytest.mark.parametrize("move", ["failed", "cancel"])
async def test_a_sad_end_keeps_what_the_person_was_told(store, path, move):
    job = await store_in_state(store, JobState.RUNNING)
    await TRANSITIONS[move](store, job.id)
    told = {"failed": "Out of paint.", "cancel": "Cancelled by <@11>."}[move]
    assert (await store.get(job.id)).end_message == told
    assert read_row(path, job.id)["ended_at"] == 1000.0


@pytest.mark.parametrize("first", ["cancel", "drawn"])
async def test_of_cancel_and_drawn_at_once_exactly_one_wins(store, first):
    jobs = [await store_in_state(store, JobState.RUNNING) for _ in range(20)]
    for job in jobs:
        rivals = sorted(("cancel", "drawn"), key=lambda name: name != first)
        results = await asyncio.gather(*(TRANSITIONS[rival](store, job.id) for rival in rivals))
        record = await store.get(job.id)
        winner = rivals[results.index(True)]
        assert results.count(True) == 1
        assert record.state is {"cancel": JobState.CANCELLED, "drawn": JobState.GENERATED}[winner]
        assert (record.suffix is None) is (winner == "cancel")
        assert (record.end_message is None) is (winner == "drawn")


async def test_of_rivals_on_connections_of_their_own_exactly_one_wins(store, path):
    jobs = [await store_in_state(store, JobState.RUNNING) for _ in range(40)]
    async with JobStore.open(path) as other:

        async def all_of(move, mine):
            return [await TRANSITIONS[move](mine, job.id) for job in jobs]

        cancelled, drawn = await asyncio.gather(all_of("cancel", store), all_of("drawn", other))
    for job, by_cancel, by_drawn in zip(jobs, cancelled, drawn, strict=True):
        assert by_cancel != by_drawn
        assert (await store.get(job.id)).state is (JobState.CANCELLED if by_cancel else JobState.GENERATED)


@pytest.mark.parametrize("move", ["drawn", "failed", "cancel"])
async def test_of_many_who_make_the_same_move_one_is_told_that_they_made_it(store, move):
    job = await store_in_state(store, JobState.RUNNING)
    results = await asyncio.gather(*(TRANSITIONS[move](store, job.id) for _ in range(30)))
    assert results.count(True) == 1


async def test_an_end_is_an_end(store):
    ended = [await store_in_state(store, state) for state in (JobState.POSTED, JobState.FAILED, JobState.CANCELLED)]
    before = [await store.get(job.id) for job in ended]
    for job in ended:
        await asyncio.gather(*(move(store, job.id) for move in TRANSITIONS.values()))
    assert [await store.get(job.id) for job in ended] == before


async def test_unfinished_jobs_lack_a_result_or_have_a_stale_status_message(path):
    async with JobStore.open(path) as store:
        jobs = {
            (state, noticed): await store_in_state(store, state, asked_at=100.0 - number)
            for number, (state, noticed) in enumerate(itertools.product(PATHS_TO_STATE, (False, True)))
        }
        for number, ((_, noticed), job) in enumerate(jobs.items()):
            await store.set_status_message(job.id, 500 + number if noticed else None)
        before = await store.open_records()
    async with JobStore.open(path) as store:
        after = await store.open_records()
    assert after == before
    unanswered = (JobState.WAITING, JobState.RUNNING, JobState.GENERATED)
    expected = [job for (state, noticed), job in jobs.items() if noticed or state in unanswered]
    assert [record.job for record in after] == list(reversed(expected))
    assert {record.status_message_id for record in after} == {None, 501, 503, 505, 507, 509, 511}


async def test_open_jobs_come_oldest_first_and_each_once(store):
    jobs = [await store_in_state(store, JobState.WAITING, asked_at=asked_at) for asked_at in (3.0, 1.5, 2.0, 1.0)]
    for job in jobs:
        await store.set_status_message(job.id, 9)
    assert [record.job.asked_at for record in await store.open_records()] == [1.0, 1.5, 2.0, 3.0]


async def test_a_job_whose_notice_was_dealt_with_is_closed(store):
    job = await store_in_state(store, JobState.CANCELLED)
    await store.set_status_message(job.id, 9)
    assert [record.status_message_id for record in await store.open_records()] == [9]
    await store.set_status_message(job.id, None)
    assert await store.open_records() == []


async def test_an_empty_store_has_nothing_open_and_nobody_served(store):
    assert await store.open_records() == []
    assert await store.last_served() == {}


async def test_last_served_is_each_persons_newest_turn_and_survives_a_restart(path, clock):
    async with JobStore.open(path, clock) as store:
        for now, requester in ((1000.0, ADA), (1001.0, BEN), (1005.0, ADA), (1002.0, BEN)):
            clock.now = now
            await store_in_state(store, JobState.RUNNING, requester=requester)
        await store_in_state(store, JobState.WAITING, requester=replace(BEN, id=13))
        await store_in_state(store, JobState.CANCELLED, requester=replace(BEN, id=14))
    async with JobStore.open(path) as store:
        assert await store.last_served() == {ADA.id: 1005.0, BEN.id: 1002.0}


async def test_a_memo_is_kept_replaced_and_survives_a_restart(path):
    async with JobStore.open(path) as store:
        assert await store.get_meta("commands") is None
        await store.set_meta("commands", "abc")
        await store.set_meta("commands", "Ünï\n🦊 'x'")
        await store.set_meta("other", "")
    async with JobStore.open(path) as store:
        assert await store.get_meta("commands") == "Ünï\n🦊 'x'"
        assert await store.get_meta("other") == ""


async def test_a_stop_excuses_the_attempts_under_way_and_no_others(store):
    drawing, drawn = (
        await store_in_state(store, JobState.RUNNING, id="00000000000a"),
        await store_in_state(store, JobState.GENERATED, id="00000000000b"),
    )
    await store.undo_attempts()
    assert (await store.get(drawing.id)).attempts == 0
    assert (await store.get(drawn.id)).attempts == 1


class Statements:
    """Collects the statements that SQLite is given."""

    def __init__(self, store: JobStore) -> None:
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
        (lambda store: store.get("000000000000"), "sqlite_autoindex_jobs_1 (id=?)"),
        (lambda store: store.last_served(), "COVERING INDEX jobs_by_asker"),
        (lambda store: store.set_status_message("000000000000", 5), "sqlite_autoindex_jobs_1 (id=?)"),
        (lambda store: store.get_meta("commands"), "sqlite_autoindex_memos_1 (name=?)"),
        *(
            (lambda store, move=move: move(store, "000000000000"), "sqlite_autoindex_jobs_1")
            for move in TRANSITIONS.values()
        ),
    ],
    ids=["get", "last_served", "set_status_message", "get_meta", *TRANSITIONS],
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
    first, second, third = (make_job(id=f"{number:012x}") for number in range(1, 4))
    assert await store.add_jobs([first, second])
    assert not await store.add_jobs([third, second])
    assert [await store.get(job.id) is not None for job in (first, second, third)] == [True, True, False]


async def test_a_job_is_deleted_once(store):
    job = await store_in_state(store, JobState.POSTED)
    assert await store.mark_deleted(job.id)
    assert not await store.mark_deleted(job.id)


async def test_what_is_half_deleted_is_found_again(store):
    job = make_job()
    await store.add_job(job)
    assert await store.pending_purge() == []
    await store.mark_deleted(job.id)
    assert [record.job.id for record in await store.pending_purge()] == [job.id]
    await store.mark_purged(job.id)
    assert await store.pending_purge() == []


async def test_a_job_that_needed_no_gpu_does_not_count_as_serving_the_user(store):
    job = await store_in_state(store, JobState.WAITING)
    assert await store.mark_running(job.id, served=False)
    assert await store.last_served() == {}
