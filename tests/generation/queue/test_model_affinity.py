"""The queue with several models: loaded models go first, but no job is delayed for long."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generation.job import Speed
from generation.queue.model_affinity import MAX_CANDIDATES, MAX_SKIPPED_S, MAX_SKIPS, Candidate, ModelAffinity
from generation.queue.queue import QueuePosition
from tests.generation.queue.test_queue import (
    ANN,
    BOB,
    CLEO,
    DAN,
    LARGE,
    OTHER,
    FakeClock,
    FakeWorker,
    QueueHarness,
    settle,
)

HERE, AWAY, FAR = "", OTHER.name, LARGE.name


async def submit_all(harness, *wanted, **more):
    """Submit jobs, each by a person and for a model, at the same time."""
    people = [harness.submit(person, model=model, **more) for person, model in wanted]
    await settle()
    return people


async def drain(harness):
    """Finish all jobs one after another, with a worker that keeps the models that it has used."""
    for person in harness.started:
        if not person.task.done():
            harness.workers[0].loaded_models |= {harness.workers[0].registry.model_name(person.job.params)}
            await person.finish()


def models_in_order(harness):
    return [person.job.params.model for person in harness.started]


@pytest.mark.parametrize(
    ("asked", "served"),
    [
        ([AWAY, HERE], [HERE, AWAY]),
        ([AWAY, HERE, AWAY, HERE], [HERE, HERE, AWAY, AWAY]),
        ([AWAY, FAR], [AWAY, FAR]),
        ([HERE, AWAY, HERE], [HERE, HERE, AWAY]),
        ([AWAY] + [HERE] * (MAX_SKIPS + 2), [HERE] * MAX_SKIPS + [AWAY] + [HERE] * 2),
        ([AWAY] * MAX_CANDIDATES + [HERE], [AWAY] * MAX_CANDIDATES + [HERE]),
    ],
)
async def test_jobs_whose_model_is_loaded_go_first_within_limits(asked, served):
    harness = QueueHarness(waiting_per_person=100)
    await harness.submit_all(DAN)
    people = await submit_all(harness, *((100 + number, model) for number, model in enumerate(asked)))
    assert [job.params.model for job in harness.queue.waiting] == served
    assert sorted(harness.queue.position(person.job.id).position for person in people) == list(range(1, len(asked) + 1))
    await drain(harness)
    assert models_in_order(harness)[1:] == served


async def test_once_its_model_is_loaded_a_job_is_no_longer_skipped():
    worker = FakeWorker()
    harness = QueueHarness(worker)
    await harness.submit_all(DAN)
    await submit_all(harness, (ANN, AWAY), (BOB, HERE))
    worker.loaded_models |= {AWAY}
    await harness.drain()
    assert models_in_order(harness) == [HERE, AWAY, HERE]


async def test_no_job_is_skipped_for_longer_than_a_minute():
    clock = FakeClock()
    harness = QueueHarness(clock=clock)
    await harness.submit_all(DAN)
    await submit_all(harness, (ANN, AWAY), (BOB, HERE), (CLEO, HERE))
    await harness.started[0].finish()
    assert harness.order == [DAN, BOB]
    clock.now += MAX_SKIPPED_S + 1
    await harness.started[1].finish()
    assert harness.order == [DAN, BOB, ANN]
    await harness.drain()


async def test_relaxed_jobs_never_skip_fast_ones():
    harness = QueueHarness()
    await harness.submit_all(DAN)
    await submit_all(harness, (ANN, HERE), speed=Speed.RELAX)
    await submit_all(harness, (BOB, AWAY))
    await harness.drain()
    assert harness.order == [DAN, BOB, ANN]


async def test_a_loaded_model_does_not_lift_a_persons_limits():
    harness = QueueHarness(FakeWorker(capacity=2), running_per_person=1)
    await submit_all(harness, (ANN, HERE))
    await submit_all(harness, (ANN, HERE), (BOB, AWAY))
    assert harness.order == [ANN, BOB]
    await harness.drain()


async def record_duration(harness, clock, seconds, model=HERE):
    """Let the queue measure a job of this model that takes `seconds`."""
    [person] = await submit_all(harness, (DAN, model))
    clock.now += seconds
    await person.finish()


async def test_every_model_has_its_own_throughput():
    clock, worker = FakeClock(), FakeWorker()
    worker.loaded_models |= {AWAY}
    harness = QueueHarness(worker, clock=clock)
    await record_duration(harness, clock, 8.0)
    await record_duration(harness, clock, 2.0, AWAY)
    _, bob, cleo = await submit_all(harness, (ANN, AWAY), (BOB, HERE), (CLEO, HERE))
    assert harness.queue.position(bob.job.id) == QueuePosition(1, pytest.approx(2.0))
    assert harness.queue.position(cleo.job.id) == QueuePosition(2, pytest.approx(10.0))
    await harness.drain()


async def test_an_unknown_model_is_estimated_by_the_most_similar_one():
    clock, worker = FakeClock(), FakeWorker()
    worker.loaded_models |= {AWAY, FAR}
    harness = QueueHarness(worker, clock=clock)
    await record_duration(harness, clock, 30.0, FAR)
    await record_duration(harness, clock, 8.0, HERE)
    _, bob = await submit_all(harness, (ANN, AWAY), (BOB, HERE))
    assert harness.queue.position(bob.job.id).seconds == pytest.approx(8.0)
    await harness.drain()


async def test_the_estimate_includes_the_last_load_time_of_the_model():
    clock, worker = FakeClock(), FakeWorker()
    worker.load_seconds[AWAY] = 5.0
    harness = QueueHarness(worker, clock=clock)
    await record_duration(harness, clock, 8.0)
    await submit_all(harness, (ANN, AWAY))
    bob, cleo = await submit_all(harness, (BOB, AWAY), (CLEO, AWAY))
    assert harness.queue.position(bob.job.id).seconds == pytest.approx(13.0)
    assert harness.queue.position(cleo.job.id).seconds == pytest.approx(21.0)
    await harness.drain()


async def test_load_time_does_not_count_as_throughput():
    clock, worker = FakeClock(), FakeWorker()
    harness = QueueHarness(worker, clock=clock)
    await record_duration(harness, clock, 8.0)
    await record_duration(harness, clock, 100.0, AWAY)
    worker.loaded_models |= {AWAY}
    _, bob = await submit_all(harness, (ANN, AWAY), (BOB, HERE))
    assert harness.queue.position(bob.job.id).seconds == pytest.approx(8.0)
    await harness.drain()


CANDIDATES = st.lists(st.tuples(st.sampled_from([HERE, AWAY, FAR]), st.integers(0, 1)), min_size=1, max_size=40)


@given(CANDIDATES, st.lists(st.tuples(st.sets(st.sampled_from([HERE, AWAY, FAR])), st.integers(0, 40)), min_size=1))
def test_no_job_is_ever_skipped_too_often_or_for_too_long(wanted, moments):
    waiting = [Candidate(str(number), *each) for number, each in enumerate(sorted(wanted, key=lambda each: each[1]))]
    affinity, skips, since, now = ModelAffinity(), dict.fromkeys(waiting, 0), {}, 0.0
    while waiting:
        for loaded, seconds in moments:
            if not waiting:
                break
            now += seconds
            chosen = affinity.choose(waiting, loaded, now)
            for other in waiting[: waiting.index(chosen)]:
                skips[other] += 1
                assert now - since.setdefault(other, now) <= MAX_SKIPPED_S
                assert other.priority == chosen.priority
            waiting.remove(chosen)
            affinity.forget(chosen.job_id)
    assert max(skips.values()) <= MAX_SKIPS


@settings(max_examples=50)
@given(st.lists(st.sampled_from([ANN, BOB, CLEO, DAN]), max_size=15), st.booleans())
def test_with_one_model_the_order_is_the_fair_order(crowd, is_loaded):
    asyncio.run(assert_served_in_fair_order(crowd, is_loaded))


async def assert_served_in_fair_order(crowd, is_loaded):
    worker = FakeWorker()
    worker.loaded_models = worker.loaded_models if is_loaded else frozenset()
    harness = QueueHarness(worker, waiting_per_person=100)
    await harness.submit_all(*crowd)
    fair = [waiting.job for waiting in harness.queue._waiting.in_order()]
    assert harness.queue.waiting == fair
    await harness.drain()
    assert [person.job for person in harness.started][1:] == fair


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.sampled_from([ANN, BOB, CLEO]), st.sampled_from([HERE, AWAY, FAR])), max_size=25),
    st.integers(1, 3),
)
def test_every_job_of_every_model_runs_and_the_next_is_predicted(asked, capacity):
    asyncio.run(assert_all_served(asked, capacity))


async def assert_all_served(asked, capacity):
    harness = QueueHarness(FakeWorker(capacity), waiting_per_person=100, running_per_person=9)
    await submit_all(harness, *asked)
    harness.workers[0].loaded_models |= {
        harness.workers[0].registry.model_name(person.job.params) for person in harness.started
    }
    predicted = harness.queue.waiting
    began = len(harness.started)
    await drain(harness)
    assert len(harness.started) == len(asked)
    assert [person.job for person in harness.started[began : began + 1]] == predicted[:1]
