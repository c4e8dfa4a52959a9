"""Jobs are read back as stored, and only one of several concurrent transitions succeeds."""

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
    "running": lambda store, job_id: store.mark_running(job_id),
    "generated": lambda store, job_id: store.mark_generated(job_id, "webp"),
    "posted": lambda store, job_id: store.mark_posted(job_id, 77),
    "failed": lambda store, job_id: store.mark_failed(job_id, "Out of paint."),
    "cancel": lambda store, job_id: store.cancel(job_id, "Cancelled by <@11>."),
}
PATHS_TO_STATE = {
    JobState.WAITING: (),
    JobState.RUNNING: ("running",),
    JobState.GENERATED: ("running", "generated"),
    JobState.POSTED: ("running", "generated", "posted"),
    JobState.FAILED: ("failed",),
    JobState.CANCELLED: ("cancel",),
}
ALLOWED = {
    (JobState.WAITING, "running"): JobState.RUNNING,
    (JobState.WAITING, "failed"): JobState.FAILED,
    (JobState.WAITING, "cancel"): JobState.CANCELLED,
    (JobState.RUNNING, "running"): JobState.RUNNING,
    (JobState.RUNNING, "generated"): JobState.GENERATED,
    (JobState.RUNNING, "failed"): JobState.FAILED,
    (JobState.RUNNING, "cancel"): JobState.CANCELLED,
    (JobState.GENERATED, "posted"): JobState.POSTED,
    (JobState.GENERATED, "failed"): JobState.FAILED,
}


async def store_in_state(store, state, **changes):
    """Store a job and move it to `state`."""
    job = make_job(**changes)
    await store.add_job(job)
    for transition in PATHS_TO_STATE[state]:
        assert await TRANSITIONS[transition](store, job.id)
    return job


def read_row(path, job_id):
    """Return a job's row as another program would read it."""
    with closing(sqlite3.connect(path)) as reader:
        reader.row_factory = sqlite3.Row
        return dict(reader.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone())


@pytest.mark.parametrize("job", [make_job(), make_full_job()], ids=["plain", "full"])
async def test_a_job_is_read_back_unchanged_even_after_a_restart(path, job):
    async with JobStore.open(path) as store:
        await store.add_job(job)
        assert (await store.get(job.id)).job == job
    async with JobStore.open(path) as store:
        record = await store.get(job.id)
    assert record.job == job
    assert (record.state, record.attempts) == (JobState.WAITING, 0)
    assert (record.suffix, record.status_message_id, record.result_message_id, record.end_message) == (None,) * 4


async def test_values_are_read_back_with_their_types(store):
    job = make_full_job()
    await store.add_job(job)
    stored = (await store.get(job.id)).job
    assert repr(stored) == repr(job)
    assert isinstance(stored.destination.by_channel, bool)


async def test_an_unknown_job_has_no_record_and_no_transitions(store):
    assert await store.get("000000000000") is None
    results = [await transition(store, "000000000000") for transition in TRANSITIONS.values()]
    assert results == [False] * len(TRANSITIONS)


async def test_a_second_job_with_the_same_id_is_refused(store):
    job = make_job()
    await store.add_job(job)
    with pytest.raises(sqlite3.IntegrityError):
        await store.add_job(replace(job, requester=BEN))
    assert (await store.get(job.id)).job == job


@pytest.mark.parametrize(("state", "transition"), [*itertools.product(PATHS_TO_STATE, TRANSITIONS)])
async def test_every_transition_from_every_state_follows_the_table(store, state, transition):
    job = await store_in_state(store, state)
    before = await store.get(job.id)
    succeeded = await TRANSITIONS[transition](store, job.id)
    after = await store.get(job.id)
    if (state, transition) in ALLOWED:
        assert succeeded is True
        assert after.state is ALLOWED[state, transition]
    else:
        assert succeeded is False
        assert after == before


async def test_a_transition_does_not_change_other_jobs(store):
    others = [await store_in_state(store, state) for state in PATHS_TO_STATE]
    before = [await store.get(other.id) for other in others]
    await store_in_state(store, JobState.POSTED)
    await store_in_state(store, JobState.CANCELLED)
    assert [await store.get(other.id) for other in others] == before


async def test_each_transition_stores_its_values_and_time(store, path, clock):
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


@pytest.mark.parametrize("transition", ["failed", "cancel"])
async def test_a_failed_or_cancelled_job_stores_its_end_message(store, path, transition):
    job = await store_in_state(store, JobState.RUNNING)
    await TRANSITIONS[transition](store, job.id)
    expected = {"failed": "Out of paint.", "cancel": "Cancelled by <@11>."}[transition]
    assert (await store.get(job.id)).end_message == expected
    assert read_row(path, job.id)["ended_at"] == 1000.0


@pytest.mark.parametrize("first", ["cancel", "generated"])
async def test_of_concurrent_cancel_and_generated_exactly_one_wins(store, first):
    jobs = [await store_in_state(store, JobState.RUNNING) for _ in range(20)]
    for job in jobs:
        rivals = sorted(("cancel", "generated"), key=lambda name: name != first)
        results = await asyncio.gather(*(TRANSITIONS[rival](store, job.id) for rival in rivals))
        record = await store.get(job.id)
        winner = rivals[results.index(True)]
        assert results.count(True) == 1
        assert record.state is {"cancel": JobState.CANCELLED, "generated": JobState.GENERATED}[winner]
        assert (record.suffix is None) is (winner == "cancel")
        assert (record.end_message is None) is (winner == "generated")


async def test_of_rivals_on_two_connections_exactly_one_wins(store, path):
    jobs = [await store_in_state(store, JobState.RUNNING) for _ in range(40)]
    async with JobStore.open(path) as other:

        async def apply_to_all(transition, own_store):
            return [await TRANSITIONS[transition](own_store, job.id) for job in jobs]

        cancelled, generated = await asyncio.gather(apply_to_all("cancel", store), apply_to_all("generated", other))
    for job, was_cancelled, was_generated in zip(jobs, cancelled, generated, strict=True):
        assert was_cancelled != was_generated
        assert (await store.get(job.id)).state is (JobState.CANCELLED if was_cancelled else JobState.GENERATED)


@pytest.mark.parametrize("transition", ["generated", "failed", "cancel"])
async def test_of_many_identical_transitions_exactly_one_succeeds(store, transition):
    job = await store_in_state(store, JobState.RUNNING)
    results = await asyncio.gather(*(TRANSITIONS[transition](store, job.id) for _ in range(30)))
    assert results.count(True) == 1


async def test_a_final_state_is_final(store):
    ended = [await store_in_state(store, state) for state in (JobState.POSTED, JobState.FAILED, JobState.CANCELLED)]
    before = [await store.get(job.id) for job in ended]
    for job in ended:
        await asyncio.gather(*(transition(store, job.id) for transition in TRANSITIONS.values()))
    assert [await store.get(job.id) for job in ended] == before


async def test_unfinished_jobs_lack_a_result_or_have_a_stale_status_message(path):
    async with JobStore.open(path) as store:
        jobs = {
            (state, has_status): await store_in_state(store, state, asked_at=100.0 - number)
            for number, (state, has_status) in enumerate(itertools.product(PATHS_TO_STATE, (False, True)))
        }
        for number, ((_, has_status), job) in enumerate(jobs.items()):
            await store.set_status_message(job.id, 500 + number if has_status else None)
        before = await store.open_records()
    async with JobStore.open(path) as store:
        after = await store.open_records()
    assert after == before
    unfinished = (JobState.WAITING, JobState.RUNNING, JobState.GENERATED)
    expected = [job for (state, has_status), job in jobs.items() if has_status or state in unfinished]
    assert [record.job for record in after] == list(reversed(expected))
    assert {record.status_message_id for record in after} == {None, 501, 503, 505, 507, 509, 511}


async def test_open_jobs_come_oldest_first_and_each_once(store):
    jobs = [await store_in_state(store, JobState.WAITING, asked_at=asked_at) for asked_at in (3.0, 1.5, 2.0, 1.0)]
    for job in jobs:
        await store.set_status_message(job.id, 9)
    assert [record.job.asked_at for record in await store.open_records()] == [1.0, 1.5, 2.0, 3.0]


async def test_a_finished_job_without_status_message_is_not_open(store):
    job = await store_in_state(store, JobState.CANCELLED)
    await store.set_status_message(job.id, 9)
    assert [record.status_message_id for record in await store.open_records()] == [9]
    await store.set_status_message(job.id, None)
    assert await store.open_records() == []


async def test_an_empty_store_has_no_open_jobs_and_no_served_users(store):
    assert await store.open_records() == []
    assert await store.last_served() == {}


async def test_last_served_is_each_users_latest_start_even_after_a_restart(path, clock):
    async with JobStore.open(path, clock) as store:
        for now, requester in ((1000.0, ADA), (1001.0, BEN), (1005.0, ADA), (1002.0, BEN)):
            clock.now = now
            await store_in_state(store, JobState.RUNNING, requester=requester)
        await store_in_state(store, JobState.WAITING, requester=replace(BEN, id=13))
        await store_in_state(store, JobState.CANCELLED, requester=replace(BEN, id=14))
    async with JobStore.open(path) as store:
        assert await store.last_served() == {ADA.id: 1005.0, BEN.id: 1002.0}


async def test_a_meta_entry_is_stored_replaced_and_survives_a_restart(path):
    async with JobStore.open(path) as store:
        assert await store.get_meta("commands") is None
        await store.set_meta("commands", "abc")
        await store.set_meta("commands", "Ünï\n🦊 'x'")
        await store.set_meta("other", "")
    async with JobStore.open(path) as store:
        assert await store.get_meta("commands") == "Ünï\n🦊 'x'"
        assert await store.get_meta("other") == ""


async def test_an_attempt_that_ended_with_its_worker_is_uncounted(store):
    running = await store_in_state(store, JobState.RUNNING, id="00000000000a")
    generated = await store_in_state(store, JobState.GENERATED, id="00000000000b")
    for job in (running, generated):
        await store.undo_attempt(job.id)
    assert (await store.get(running.id)).attempts == 0
    assert (await store.get(generated.id)).attempts == 1


async def test_stopping_uncounts_the_attempts_of_running_jobs_only(store):
    running = await store_in_state(store, JobState.RUNNING, id="00000000000a")
    generated = await store_in_state(store, JobState.GENERATED, id="00000000000b")
    await store.undo_attempts()
    assert (await store.get(running.id)).attempts == 0
    assert (await store.get(generated.id)).attempts == 1


class StatementTrace:
    """Traces the statements that SQLite executes."""

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
            (lambda store, transition=transition: transition(store, "000000000000"), "sqlite_autoindex_jobs_1")
            for transition in TRANSITIONS.values()
        ),
    ],
    ids=["get", "last_served", "set_status_message", "get_meta", *TRANSITIONS],
)
async def test_a_statement_uses_its_index(store, call, index):
    plan = await StatementTrace(store).plan(call(store))
    assert index in " ".join(plan)
    scans = [step for step in plan if step.startswith("SCAN") and "INDEX" not in step]
    assert [step for step in scans if step != "SCAN askers"] == []  # "askers" is the statement's own recursive table


async def test_open_records_reads_the_small_indexes_only(store):
    plan = await StatementTrace(store).plan(store.open_records())
    reads = [step for step in plan if step.startswith(("SCAN", "SEARCH"))]
    assert sorted(reads) == ["SCAN jobs USING INDEX jobs_noticed", "SCAN jobs USING INDEX jobs_open"]


async def test_several_jobs_are_stored_all_or_none(store):
    first, second, third = (make_job(id=f"{number:012x}") for number in range(1, 4))
    assert await store.add_jobs([first, second])
    assert not await store.add_jobs([third, second])
    assert [await store.get(job.id) is not None for job in (first, second, third)] == [True, True, False]


async def test_a_job_is_deleted_once(store):
    job = await store_in_state(store, JobState.POSTED)
    assert await store.mark_deleted(job.id)
    assert not await store.mark_deleted(job.id)


async def test_a_deleted_job_is_pending_until_it_is_purged(store):
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
