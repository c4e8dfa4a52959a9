"""The queue alone, with fake workers and a fake clock."""

from __future__ import annotations

import asyncio
import gc
import weakref
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generation.errors import UserError, WorkerCrashed, WorkerLost
from generation.job import Action, Destination, Job, Requester, Speed
from generation.messages import Loading, Ready
from generation.models.catalogue import Family
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.params import Params, PromptPart, Upload
from generation.planning.job_cost import DECODING, ENCODING
from generation.queue.fair_order import MAX_WAIT_S
from generation.queue.limits import MemberLimits, PersonQueueFull, QueueFull, QueueLimits
from generation.queue.queue import Queue, QueuePosition
from generation.worker.worker import Broken, Restarting

MODEL = Model(name="none", ref="none")
OTHER = Model(name="other", ref="other")
LARGE = Model(name="large", ref="large", native_size=1024, family=Family.SDXL)
READY = Ready(MODEL, "cpu")
ANN, BOB, CLEO, DAN = 1, 2, 3, 4
numbers = count()
ages = count()


class FakeWorker:
    """A worker with the attributes that the queue uses."""

    registry = ModelRegistry((MODEL, OTHER, LARGE))

    def __init__(self, capacity=1, state=READY, cannot_draw=()):
        self.capacity = capacity
        self.cannot_draw = cannot_draw
        self.draining = False
        self.loaded_models = frozenset({MODEL.name})
        self.load_seconds = {}
        self.state = state
        self.callbacks = []

    def can_draw(self, params):
        return params.model not in self.cannot_draw

    def subscribe(self, callback):
        self.callbacks.append(callback)

    def set_state(self, state):
        self.state = state
        for callback in self.callbacks:
            callback()


class FakeClock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def make_job(person=ANN, asked_at=None, speed=Speed.FAST, **changes):
    values = {"width": 64, "height": 64, "num_inference_steps": 10, "guidance_scale": 1.0} | changes
    return Job(
        id=f"{next(numbers):012x}",
        action=Action.IMAGINE,
        params=Params(parts=(PromptPart("a fox"),), seed=1, **values),
        requester=Requester(person, "somebody"),
        destination=Destination(
            guild_id=None, channel_id=1, by_channel=True, token="", token_expires_at=0.0, upload_limit=1
        ),
        parent=None,
        asked_at=next(ages) if asked_at is None else asked_at,
        speed=speed,
    )


class SlotHolder:
    """Acquires a slot for a job and holds it until released."""

    def __init__(self, queue, job, started):
        self.job = job
        self.slot = None
        self.release = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(self._run(queue, started))

    async def _run(self, queue, started):
        async with queue.acquire(self.job) as self.slot:
            started.append(self)
            await self.release

    async def finish(self, error=None):
        if error is None:
            self.release.set_result(None)
        else:
            self.release.set_exception(error)
        await asyncio.wait({self.task})
        if error is not None:
            assert self.task.exception() is error
        await settle()


class QueueHarness:
    """A queue and the people in it; `started` has them in the order of their slots."""

    def __init__(self, *workers, clock=None, **limits):
        self.workers = workers or (FakeWorker(),)
        self.queue = Queue(self.workers, QueueLimits(**limits), clock or FakeClock())
        self.started = []

    def submit(self, person=ANN, **changes):
        return SlotHolder(self.queue, make_job(person, **changes), self.started)

    async def submit_all(self, *persons):
        people = [self.submit(person) for person in persons]
        await settle()
        return people

    async def drain(self):
        """Finish all jobs one after another."""
        for person in self.started:
            if not person.task.done():
                await person.finish()

    @property
    def order(self):
        return [person.job.requester.id for person in self.started]


@pytest.fixture(autouse=True)
def assert_nothing_logged(caplog):
    """Fail a test if a callback in its event loop has raised."""
    yield
    assert [record.message for record in caplog.get_records("call")] == []


async def settle():
    for _ in range(6):
        await asyncio.sleep(0)


async def test_a_free_worker_is_assigned_at_once():
    harness = QueueHarness()
    [ann] = await harness.submit_all(ANN)
    assert ann.slot.worker is harness.workers[0]
    assert harness.queue.running == [ann.job]
    assert harness.queue.waiting == []
    await harness.drain()
    assert harness.queue.running == []


async def test_no_more_jobs_run_than_the_workers_capacity():
    harness = QueueHarness(FakeWorker(capacity=2))
    await harness.submit_all(ANN, BOB, CLEO)
    assert harness.order == [ANN, BOB]
    await harness.started[1].finish()
    assert harness.order == [ANN, BOB, CLEO]
    await harness.drain()


@pytest.mark.parametrize(
    ("asked", "served"),
    [
        ([ANN, BOB, CLEO], [ANN, BOB, CLEO]),
        ([ANN, ANN, ANN, BOB], [ANN, BOB, ANN, ANN]),
        ([ANN, ANN, BOB, BOB, CLEO], [ANN, BOB, CLEO, ANN, BOB]),
        ([ANN, ANN, ANN, BOB, CLEO, BOB], [ANN, BOB, CLEO, ANN, BOB, ANN]),
        ([ANN] * 10 + [BOB], [ANN, BOB] + [ANN] * 9),
    ],
)
async def test_the_person_served_least_recently_is_first_and_then_age(asked, served):
    harness = QueueHarness()
    people = await harness.submit_all(*asked)
    assert [ANN] + [job.requester.id for job in harness.queue.waiting] == served
    await harness.drain()
    assert harness.order == served
    turns = [person.slot.order for person in harness.started]
    assert turns == sorted(turns)
    assert len(set(turns)) == len(people)


TURBO, FAST, RELAX = Speed.TURBO, Speed.FAST, Speed.RELAX


@pytest.mark.parametrize(
    ("asked", "served"),
    [
        ([(ANN, RELAX), (BOB, FAST), (CLEO, TURBO)], [CLEO, BOB, ANN]),
        ([(ANN, RELAX), (ANN, FAST)], [ANN, ANN]),
        ([(ANN, FAST), (ANN, FAST), (BOB, RELAX), (CLEO, FAST)], [ANN, CLEO, ANN, BOB]),
        ([(ANN, RELAX), (ANN, RELAX), (BOB, RELAX), (CLEO, TURBO)], [CLEO, ANN, BOB, ANN]),
        ([(ANN, TURBO), (ANN, TURBO), (BOB, TURBO), (CLEO, FAST)], [ANN, BOB, ANN, CLEO]),
    ],
)
async def test_higher_priority_goes_first_and_each_priority_is_fair(asked, served):
    harness = QueueHarness()
    await harness.submit_all(DAN)
    people = [harness.submit(person, speed=speed) for person, speed in asked]
    await settle()
    await harness.drain()
    assert harness.order[1:] == served
    mine = [person for person in harness.started[1:] if person.job.requester.id == ANN]
    assert mine == sorted(mine, key=lambda person: (list(Speed).index(person.job.speed), people.index(person)))


async def test_a_relaxed_job_goes_first_once_it_has_waited_half_an_hour():
    clock = FakeClock()
    harness = QueueHarness(clock=clock)
    await harness.submit_all(DAN)
    relaxed = harness.submit(ANN, speed=RELAX)
    await settle()
    clock.now += MAX_WAIT_S + 1
    harness.submit(BOB, speed=TURBO)
    harness.submit(CLEO, speed=RELAX)
    await settle()
    assert harness.queue.position(relaxed.job.id).position == 1
    await harness.drain()
    assert harness.order == [DAN, ANN, BOB, CLEO]


async def test_a_late_person_goes_before_everyone_served_more_recently():
    harness = QueueHarness()
    await harness.submit_all(ANN, ANN, BOB, BOB)
    await harness.started[0].finish()
    await harness.submit_all(CLEO)
    await harness.drain()
    assert harness.order == [ANN, BOB, CLEO, ANN, BOB]


async def test_a_persons_own_jobs_run_in_the_order_of_submission():
    harness = QueueHarness()
    await harness.submit_all(DAN)
    people = [harness.submit(ANN, asked_at=age) for age in (3, 1, 2)]
    await settle()
    await harness.drain()
    assert harness.started[1:] == [people[1], people[2], people[0]]


async def test_who_was_served_before_the_start_is_remembered():
    harness = QueueHarness()
    for person, when in ((ANN, 300.0), (BOB, 100.0), (CLEO, 200.0)):
        harness.queue.restore_last_served(person, when)
    await harness.submit_all(ANN, BOB, CLEO, DAN)
    await harness.drain()
    assert harness.order == [DAN, BOB, CLEO, ANN]


async def test_jobs_of_one_tick_are_ordered_before_the_first_of_them_runs():
    harness = QueueHarness()
    harness.submit(ANN, asked_at=2)
    harness.submit(BOB, asked_at=1)
    await settle()
    await harness.drain()
    assert harness.order == [BOB, ANN]


async def test_one_person_cannot_occupy_a_whole_worker():
    harness = QueueHarness(FakeWorker(capacity=4), running_per_person=2)
    await harness.submit_all(ANN, ANN, ANN)
    assert harness.order == [ANN, ANN]
    await harness.submit_all(BOB)
    assert harness.order == [ANN, ANN, BOB]
    await harness.started[0].finish()
    assert harness.order == [ANN, ANN, BOB, ANN]
    await harness.drain()


async def test_the_worker_with_the_most_free_capacity_is_chosen():
    small, large = FakeWorker(capacity=1), FakeWorker(capacity=2)
    harness = QueueHarness(small, large, running_per_person=9)
    await harness.submit_all(ANN, ANN, ANN, ANN)
    assert [person.slot.worker for person in harness.started].count(large) == 2
    assert [person.slot.worker for person in harness.started].count(small) == 1
    assert len(harness.queue.waiting) == 1
    await harness.drain()


async def test_a_worker_that_joins_is_used_at_once_and_one_that_parts_no_more():
    first, second = FakeWorker(), FakeWorker()
    harness = QueueHarness(first)
    people = [harness.submit(person) for person in (ANN, BOB, CLEO)]
    await settle()
    harness.queue.join(second)
    await settle()
    assert [person.slot.worker for person in harness.started] == [first, second]
    harness.queue.part(first)
    await people[0].finish(WorkerLost("its machine is gone"))
    assert len(harness.started) == 2
    await people[1].finish()
    assert [person.slot.worker for person in harness.started] == [first, second, second]


async def test_a_worker_that_has_gone_is_forgotten():
    harness = QueueHarness()
    harness.queue.join(worker := FakeWorker())
    await settle()
    harness.queue.part(worker)
    await settle()
    gone = weakref.ref(worker)
    del worker
    gc.collect()
    assert gone() is None


async def test_a_queue_without_any_worker_waits_for_the_first():
    harness = QueueHarness()
    harness.queue.part(harness.workers[0])
    person = harness.submit(ANN)
    await settle()
    assert harness.queue.estimate_seconds(person.job.params) is None
    assert harness.queue.position(person.job.id) == QueuePosition(1, None)
    harness.queue.join(worker := FakeWorker())
    await settle()
    assert person.slot.worker is worker


async def test_a_job_goes_to_a_worker_that_has_its_model_and_others_pass_it():
    without, holder = FakeWorker(cannot_draw=(LARGE.name,)), FakeWorker()
    harness = QueueHarness(without, holder)
    busy = harness.submit(ANN, model=LARGE.name)
    await settle()
    assert busy.slot.worker is holder
    waiting, passing = harness.submit(BOB, model=LARGE.name), harness.submit(CLEO)
    await settle()
    assert [waiting.slot, passing.slot.worker] == [None, without]
    await busy.finish()
    assert waiting.slot.worker is holder


async def test_a_draining_worker_gets_no_more_jobs_until_it_is_used_again():
    draining = FakeWorker()
    draining.draining = True
    harness = QueueHarness(draining)
    person = harness.submit(ANN)
    await settle()
    assert person.slot is None
    draining.draining = False
    harness.queue.wake()
    await settle()
    assert person.slot.worker is draining


@pytest.mark.parametrize("state", [Loading("unet", 1, 3), Restarting("it died")])
async def test_a_worker_gets_no_jobs_until_it_is_ready(state):
    worker = FakeWorker(state=state)
    harness = QueueHarness(worker)
    await harness.submit_all(ANN)
    assert harness.order == []
    worker.set_state(READY)
    await settle()
    assert harness.order == [ANN]
    await harness.drain()


async def test_a_broken_worker_is_avoided_while_another_may_become_ready():
    broken, other = FakeWorker(capacity=5, state=Broken("no model")), FakeWorker(state=Loading("unet", 0, 1))
    harness = QueueHarness(broken, other)
    await harness.submit_all(ANN)
    assert harness.order == []
    other.set_state(Broken("no model either"))
    await settle()
    assert harness.order == [ANN]
    await harness.drain()


async def test_a_job_whose_worker_is_lost_is_back_at_its_old_place_at_once():
    clock, one, two = FakeClock(), FakeWorker(), FakeWorker()
    harness = QueueHarness(one, two, clock=clock, running_per_person=9)
    ann, bob, cleo = await harness.submit_all(ANN, BOB, CLEO)
    clock.now += MAX_WAIT_S - 1
    one.set_state(Restarting("it was killed"))
    await ann.finish(WorkerLost())
    assert harness.queue.waiting == [ann.job, cleo.job]
    harness.submit(DAN, speed=Speed.TURBO)
    clock.now += 2
    again = SlotHolder(harness.queue, ann.job, harness.started)
    await settle()
    assert harness.queue.waiting[:2] == [ann.job, cleo.job], "both have waited for too long to be passed"
    await bob.finish()
    assert harness.started[-1] is again
    await harness.drain()


async def test_a_lost_job_that_nobody_awaits_gets_no_slot_until_it_is_removed():
    harness = QueueHarness(FakeWorker())
    (ann,) = await harness.submit_all(ANN)
    await ann.finish(WorkerLost())
    await harness.submit_all(BOB)
    assert harness.order == [ANN, BOB]
    harness.queue.remove(ann.job.id)
    assert harness.queue.waiting == []
    await harness.drain()


async def test_a_job_avoids_the_worker_it_crashed_on_where_another_is_free():
    one, two = FakeWorker(), FakeWorker()
    harness = QueueHarness(one, two)
    async with harness.queue.acquire(make_job(ANN), avoid=one) as slot:
        assert slot.worker is two
        async with harness.queue.acquire(make_job(BOB), avoid=two) as slot:
            assert slot.worker is one
    two.set_state(Broken("no model"))
    async with harness.queue.acquire(make_job(ANN), avoid=one) as slot:
        assert slot.worker is one, "a job never waits for another worker"
        assert [job.requester.id for job in harness.queue.running_on(one)] == [ANN]
        assert harness.queue.running_on(two) == []


async def test_a_job_whose_worker_crashed_keeps_its_place():
    worker = FakeWorker(capacity=2)
    harness = QueueHarness(worker)
    ann, bob, *_ = await harness.submit_all(ANN, BOB, CLEO, DAN)
    assert harness.order == [ANN, BOB]
    worker.set_state(Restarting("it died"))
    for person in (ann, bob):
        await person.finish(WorkerCrashed())
        harness.started.remove(person)
    again = [SlotHolder(harness.queue, person.job, harness.started) for person in (bob, ann)]
    await settle()
    assert harness.order == []
    worker.set_state(READY)
    await settle()
    assert harness.started == [again[1], again[0]]
    await harness.drain()
    assert harness.order == [ANN, BOB, CLEO, DAN]


async def test_a_cancelled_job_leaves_the_queue_at_once():
    harness = QueueHarness()
    ann, bob, cleo = await harness.submit_all(ANN, BOB, CLEO)
    bob.task.cancel()
    await settle()
    assert harness.queue.waiting == [cleo.job]
    await ann.finish()
    assert harness.order == [ANN, CLEO]
    await cleo.finish()


async def test_a_job_cancelled_in_the_tick_before_its_slot_never_gets_it():
    harness = QueueHarness()
    ann, bob, cleo = await harness.submit_all(ANN, BOB, CLEO)
    bob.task.cancel()
    await ann.finish()
    assert harness.order == [ANN, CLEO]
    await cleo.finish()


@pytest.mark.parametrize("ticks", range(6))
async def test_a_slot_is_never_lost_whenever_its_job_is_cancelled(ticks):
    harness = QueueHarness()
    ann, bob, cleo = await harness.submit_all(ANN, BOB, CLEO)
    ann.release.set_result(None)
    for _ in range(ticks):
        await asyncio.sleep(0)
    bob.task.cancel()
    await settle()
    assert harness.order[-1] == CLEO
    assert harness.queue.running == [cleo.job]
    await cleo.finish()
    assert bob.task.cancelled()


async def test_an_unused_slot_does_not_count_as_served():
    harness = QueueHarness()
    ann, bob, _ = await harness.submit_all(ANN, BOB, CLEO)

    def cancel_when_granted():
        if bob.job in harness.queue.running and bob.slot is None:
            bob.task.cancel()

    harness.queue.subscribe(cancel_when_granted)
    await ann.finish()
    assert bob.task.cancelled()
    assert harness.order == [ANN, CLEO]
    await harness.submit_all(ANN, BOB)
    await harness.drain()
    assert harness.order == [ANN, CLEO, BOB, ANN]


async def test_an_error_in_the_block_frees_the_worker():
    harness = QueueHarness()
    ann, _ = await harness.submit_all(ANN, BOB)
    await ann.finish(ValueError("unexpected"))
    assert harness.order == [ANN, BOB]
    await harness.started[1].finish()


async def test_the_waiting_jobs_of_one_person_are_limited():
    harness = QueueHarness(waiting_per_person=2)
    for _ in range(3):
        harness.queue.check_limits(ANN)
        await harness.submit_all(ANN)
    with pytest.raises(PersonQueueFull, match="You already have 2 jobs waiting, and the limit is 2 per person"):
        harness.queue.check_limits(ANN)
    harness.queue.check_limits(BOB)
    await harness.started[0].finish()
    harness.queue.check_limits(ANN)
    await harness.drain()


async def test_the_waiting_jobs_of_all_people_are_limited():
    harness = QueueHarness(waiting_in_all=1)
    await harness.submit_all(ANN, BOB)
    with pytest.raises(QueueFull, match=r"The queue is full: 1 job waiting, and the limit is 1\. Try again later\."):
        harness.queue.check_limits(CLEO)
    await harness.started[0].finish()
    harness.queue.check_limits(CLEO)
    await harness.drain()


async def test_jobs_that_are_being_posted_count_as_waiting():
    harness = QueueHarness(waiting_per_person=1, waiting_in_all=2)
    with harness.queue.posting(make_job(ANN)):
        with pytest.raises(PersonQueueFull):
            harness.queue.check_limits(ANN)
        harness.queue.check_limits(BOB)
        with harness.queue.posting(make_job(BOB)), pytest.raises(QueueFull):
            harness.queue.check_limits(CLEO)
        harness.queue.check_limits(CLEO)
    harness.queue.check_limits(ANN)


def test_exceeding_a_limit_is_a_user_error():
    assert issubclass(QueueFull, UserError)
    assert issubclass(PersonQueueFull, UserError)


async def test_a_burst_of_requests_cannot_exceed_the_limits():
    harness = QueueHarness(waiting_per_person=3)
    jobs = [make_job(ANN) for _ in range(5)]
    for job in jobs[:3]:
        harness.queue.enqueue(job)
    with pytest.raises(PersonQueueFull):
        harness.queue.enqueue(jobs[3])
    assert harness.queue.waiting == jobs[:3]
    assert harness.queue.position(jobs[2].id) == QueuePosition(3, None)
    harness.queue.remove(jobs[0].id)
    harness.queue.enqueue(jobs[3])
    await settle()
    assert harness.queue.running == []
    for job in jobs[1:4]:
        SlotHolder(harness.queue, job, harness.started)
    await settle()
    await harness.drain()
    assert [person.job for person in harness.started] == jobs[1:4]


async def test_an_enqueued_job_without_a_waiter_does_not_delay_others():
    harness = QueueHarness()
    absent = make_job(ANN)
    harness.queue.enqueue(absent)
    await harness.submit_all(BOB)
    assert harness.order == [BOB]
    await harness.drain()
    harness.queue.remove(absent.id)
    assert harness.queue.waiting == []


async def test_the_position_is_the_number_of_slots_until_ones_own():
    harness = QueueHarness()
    people = await harness.submit_all(ANN, ANN, BOB, ANN, CLEO)
    positions = {person.job.id: harness.queue.position(person.job.id) for person in people}
    assert [positions[person.job.id] for person in people] == [
        None,
        QueuePosition(3, None),
        QueuePosition(1, None),
        QueuePosition(4, None),
        QueuePosition(2, None),
    ]
    assert harness.queue.position("unknown") is None
    await harness.drain()
    assert [person.job for person in harness.started] == [people[i].job for i in (0, 2, 4, 1, 3)]


async def record_duration(harness, clock, seconds):
    """Let the queue measure a job of `make_job`'s size that takes `seconds`."""
    [person] = await harness.submit_all(DAN)
    clock.now += seconds
    await person.finish()


async def test_a_job_that_starts_at_once_has_no_wait_even_before_any_was_measured():
    harness = QueueHarness()
    first, second = make_job(ANN), make_job(BOB)
    harness.queue.enqueue(first)
    harness.queue.enqueue(second)
    assert harness.queue.position(first.id) == QueuePosition(1, 0.0)
    assert harness.queue.position(second.id) == QueuePosition(2, None)


async def test_the_estimate_is_the_time_of_the_jobs_ahead():
    clock = FakeClock()
    harness = QueueHarness(clock=clock)
    await record_duration(harness, clock, 8.0)
    _, bob, cleo = await harness.submit_all(ANN, BOB, CLEO)
    assert harness.queue.position(bob.job.id).seconds == pytest.approx(8.0)
    assert harness.queue.position(cleo.job.id).seconds == pytest.approx(16.0)
    clock.now += 3.0
    assert harness.queue.position(cleo.job.id).seconds == pytest.approx(13.0)
    clock.now += 30.0
    assert harness.queue.position(bob.job.id).seconds == 0.0
    await harness.drain()


async def test_the_estimate_considers_the_workers_capacity():
    clock = FakeClock()
    harness = QueueHarness(FakeWorker(capacity=2), clock=clock)
    await record_duration(harness, clock, 8.0)
    await harness.submit_all(ANN)
    clock.now += 6.0
    _, cleo, dan = await harness.submit_all(BOB, CLEO, DAN)
    assert harness.queue.position(cleo.job.id).seconds == pytest.approx(2.0)
    assert harness.queue.position(dan.job.id).seconds == pytest.approx(8.0)
    await harness.drain()


async def test_the_estimate_considers_the_limit_of_running_jobs():
    clock = FakeClock()
    harness = QueueHarness(FakeWorker(capacity=3), clock=clock, running_per_person=1)
    await record_duration(harness, clock, 8.0)
    _, second, third = await harness.submit_all(ANN, ANN, ANN)
    assert harness.queue.position(second.job.id).seconds == pytest.approx(8.0)
    assert harness.queue.position(third.job.id).seconds == pytest.approx(16.0)
    [bob] = await harness.submit_all(BOB)
    assert bob.slot is not None
    await harness.drain()


async def test_the_estimate_follows_the_order_of_priority():
    clock = FakeClock()
    harness = QueueHarness(clock=clock)
    await record_duration(harness, clock, 8.0)
    await harness.submit_all(ANN)
    relaxed, fast = harness.submit(BOB, speed=RELAX), harness.submit(CLEO)
    await settle()
    assert harness.queue.position(fast.job.id) == QueuePosition(1, pytest.approx(8.0))
    assert harness.queue.position(relaxed.job.id) == QueuePosition(2, pytest.approx(16.0))
    await harness.drain()


@pytest.mark.parametrize(
    ("changes", "factor"),
    [
        ({"num_inference_steps": 20}, (20 + DECODING) / (10 + DECODING)),
        ({"width": 128, "height": 128}, 4),
        ({"count": 1}, 0.25),
        ({"guidance_scale": 7.5}, (20 + DECODING) / (10 + DECODING)),
        ({"source": Upload("abc"), "strength": 0.5}, (5 + DECODING + ENCODING / 4) / (10 + DECODING)),
        ({"stop": 50}, (5 + DECODING) / (10 + DECODING)),
        ({"guidance_scale": 7.5, "no": ("fog",)}, (30 + DECODING) / (10 + DECODING)),
        ({"hd": True}, (10 + DECODING + 4 * (4 + DECODING + ENCODING)) / (10 + DECODING)),
    ],
)
async def test_the_estimate_is_scaled_by_the_cost(changes, factor):
    clock = FakeClock()
    harness = QueueHarness(clock=clock)
    await record_duration(harness, clock, 8.0)
    harness.submit(ANN, **changes)
    await settle()
    [bob] = await harness.submit_all(BOB)
    assert harness.queue.position(bob.job.id).seconds == pytest.approx(8.0 * factor)
    await harness.drain()


async def test_the_estimate_follows_recent_jobs():
    clock = FakeClock()
    harness = QueueHarness(clock=clock)
    await record_duration(harness, clock, 8.0)
    for _ in range(30):
        await record_duration(harness, clock, 2.0)
    _, bob = await harness.submit_all(ANN, BOB)
    assert harness.queue.position(bob.job.id).seconds == pytest.approx(2.0, abs=0.1)
    await harness.drain()


async def test_there_is_no_estimate_while_no_worker_is_ready():
    clock, worker = FakeClock(), FakeWorker()
    harness = QueueHarness(worker, clock=clock)
    await record_duration(harness, clock, 8.0)
    worker.set_state(Loading("unet", 0, 1))
    [ann] = await harness.submit_all(ANN)
    assert harness.queue.position(ann.job.id) == QueuePosition(1, None)
    worker.set_state(READY)
    await settle()
    await harness.drain()


async def test_subscribers_are_notified_of_every_change_of_positions():
    harness = QueueHarness()
    calls = []
    harness.queue.subscribe(lambda: calls.append([job.requester.id for job in harness.queue.waiting]))
    ann, bob, cleo = await harness.submit_all(ANN, BOB, CLEO)
    assert calls == [[BOB, CLEO]]
    cleo.task.cancel()
    await settle()
    assert calls[-1] == [BOB]
    await ann.finish()
    assert calls[-1] == []
    await bob.finish()


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(list(Speed)), st.sampled_from([ANN, BOB, CLEO, DAN])),
        st.tuples(st.sampled_from(["finish", "die", "cancel running", "cancel waiting"]), st.integers(0, 20)),
        st.tuples(st.just("tick"), st.just(0)),
    ),
    max_size=60,
)


@settings(max_examples=150)
@given(events=EVENTS, capacities=st.lists(st.integers(1, 3), min_size=1, max_size=2), per_person=st.integers(1, 3))
def test_slots_stay_fair_and_none_is_lost_after_any_events(events, capacities, per_person):
    asyncio.run(run_events(events, capacities, per_person))


async def run_events(events, capacities, per_person):
    harness = QueueHarness(*(FakeWorker(capacity) for capacity in capacities), running_per_person=per_person)
    people = []
    for event, which in events:
        match event:
            case Speed():
                people.append(harness.submit(which, speed=event))
            case "tick":
                await settle()
                assert_invariants(harness, people, per_person)
            case _:
                apply_event(event, which, people)
    await settle()
    assert_invariants(harness, people, per_person)
    for _ in range(len(people) + 1):
        for person in people:
            if person.slot is not None and not person.release.done():
                person.release.set_result(None)
        await settle()
    assert all(person.task.done() for person in people), "a job never ran"
    assert harness.queue.running == harness.queue.waiting == []
    for person in people:
        assert person.task.cancelled() or isinstance(person.task.exception(), WorkerCrashed | None)


def apply_event(event, which, people):
    is_running = event != "cancel waiting"
    candidates = [person for person in people if (person.slot is not None) is is_running and not person.task.done()]
    if not candidates:
        return
    person = candidates[which % len(candidates)]
    if event.startswith("cancel"):
        person.task.cancel()
    elif not person.release.done():
        if event == "finish":
            person.release.set_result(None)
        else:
            person.release.set_exception(WorkerCrashed())


def assert_invariants(harness, people, per_person):
    """Check the invariants that must be true whenever the queue has settled."""
    running = [job.requester.id for job in harness.queue.running]
    assert all(running.count(person) <= per_person for person in running)
    for worker in harness.workers:
        assert (
            sum(p.slot is not None and p.slot.worker is worker and not p.task.done() for p in people) <= worker.capacity
        )
    free = sum(worker.capacity for worker in harness.workers) - len(running)
    could_run = [job for job in harness.queue.waiting if running.count(job.requester.id) < per_person]
    assert not (free and could_run), "a worker is idle while a job waits"
    assert {job.id for job in harness.queue.waiting} == {
        p.job.id for p in people if p.slot is None and not p.task.done()
    }


@settings(max_examples=100)
@given(st.lists(st.sampled_from([ANN, BOB, CLEO, DAN]), max_size=15), st.lists(st.integers(0, 9), max_size=4))
def test_a_users_only_job_never_waits_behind_another_users_second_job(crowd, done_before):
    asyncio.run(assert_newcomer_waits_once(crowd, done_before))


async def assert_newcomer_waits_once(crowd, done_before):
    harness = QueueHarness()
    await harness.submit_all(*crowd)
    for _ in done_before:
        if harness.started and not harness.started[-1].task.done():
            await harness.started[-1].finish()
    before = len(harness.started)
    [newcomer] = await harness.submit_all(99)
    await harness.drain()
    served = [person.job.requester.id for person in harness.started[before : harness.started.index(newcomer)]]
    assert len(served) == len(set(served))


def job_in_guild(guild_id: int) -> Job:
    job = make_job()
    return replace(job, destination=replace(job.destination, guild_id=guild_id))


async def test_member_limits_apply_to_waiting_jobs_of_that_guild_only():
    queue = QueueHarness(waiting_per_person=5).queue
    queue.enqueue(job_in_guild(1), MemberLimits(waiting=1))
    with pytest.raises(PersonQueueFull, match="the limit is 1 for your roles in this server"):
        queue.enqueue(job_in_guild(1), MemberLimits(waiting=1))
    queue.enqueue(job_in_guild(2), MemberLimits(waiting=1))
    with pytest.raises(PersonQueueFull, match="2 jobs waiting, and 4 more would exceed the limit of 5 per person"):
        queue.check_limits(ANN, 3, jobs=4)
    queue.check_limits(ANN, 3, jobs=3)


async def test_member_limits_apply_to_running_jobs_of_that_guild_only():
    clock = FakeClock()
    harness = QueueHarness(FakeWorker(capacity=8), clock=clock, running_per_person=5)
    await record_duration(harness, clock, 8.0)
    jobs = [job_in_guild(1), job_in_guild(1), job_in_guild(2)]
    for job in jobs:
        harness.queue.enqueue(job, MemberLimits(running=1))
    people = [SlotHolder(harness.queue, job, harness.started) for job in jobs]
    await settle()
    assert harness.queue.running == [jobs[0], jobs[2]]
    assert harness.queue.position(jobs[1].id) == QueuePosition(1, pytest.approx(8.0))
    await people[0].finish()
    assert harness.queue.running == [jobs[2], jobs[1]]
