"""The queue alone: its workers are plain values, its clock stands still until it is moved."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generation.errors import UserError, WorkerCrashed
from generation.job import Action, Destination, Job, Requester, Speed
from generation.messages import Loading, Ready
from generation.models.catalogue import Family
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.params import Params, PromptPart, Upload
from generation.queue.queue import (
    MAX_WAIT_S,
    MemberLimits,
    PersonQueueFull,
    Queue,
    QueueFull,
    QueueLimits,
    QueuePosition,
)
from generation.worker.worker import Broken, Restarting

MODEL = Model(name="none", ref="none")
OTHER = Model(name="other", ref="other")
LARGE = Model(name="large", ref="large", native_size=1024, family=Family.SDXL)
READY = Ready(MODEL, "cpu")
ANN, BOB, CLEO, DAN = 1, 2, 3, 4
numbers = count()
ages = count()


class StillWorker:
    """A worker as far as the queue looks at one."""

    registry = ModelRegistry((MODEL, OTHER, LARGE))

    def __init__(self, capacity=1, state=READY):
        self.capacity = capacity
        self.loaded_models = frozenset({MODEL.name})
        self.load_seconds = {}
        self.state = state
        self.callbacks = []

    def subscribe(self, callback):
        self.callbacks.append(callback)

    def become(self, state):
        self.state = state
        for callback in self.callbacks:
            callback()


class Clock:
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


class Person:
    """Takes a turn for a job and holds it until told to let go."""

    def __init__(self, queue, job, started):
        self.job = job
        self.turn = None
        self.let_go = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(self._run(queue, started))

    async def _run(self, queue, started):
        async with queue.acquire(self.job) as self.turn:
            started.append(self)
            await self.let_go

    async def finish(self, error=None):
        if error is None:
            self.let_go.set_result(None)
        else:
            self.let_go.set_exception(error)
        await asyncio.wait({self.task})
        if error is not None:
            assert self.task.exception() is error
        await settle()


class Room:
    """A queue and the people in it; `started` has them in the order of their turns."""

    def __init__(self, *workers, clock=None, **limits):
        self.workers = workers or (StillWorker(),)
        self.queue = Queue(self.workers, QueueLimits(**limits), clock or Clock())
        self.started = []

    def ask(self, person=ANN, **changes):
        return Person(self.queue, make_job(person, **changes), self.started)

    async def ask_all(self, *persons):
        people = [self.ask(person) for person in persons]
        await settle()
        return people

    async def drain(self):
        """Finish whoever has a turn, one after another, until nobody is left."""
        for person in self.started:
            if not person.task.done():
                await person.finish()

    @property
    def order(self):
        return [person.job.requester.id for person in self.started]


@pytest.fixture(autouse=True)
def nothing_is_logged(caplog):
    """Fail a test in whose event loop a callback has raised."""
    yield
    assert [record.message for record in caplog.get_records("call")] == []


async def settle():
    for _ in range(6):
        await asyncio.sleep(0)


async def test_a_free_worker_is_given_at_once():
    room = Room()
    [ann] = await room.ask_all(ANN)
    assert ann.turn.worker is room.workers[0]
    assert room.queue.running == [ann.job]
    assert room.queue.waiting == []
    await room.drain()
    assert room.queue.running == []


async def test_no_more_jobs_run_than_the_worker_takes_at_once():
    room = Room(StillWorker(capacity=2))
    await room.ask_all(ANN, BOB, CLEO)
    assert room.order == [ANN, BOB]
    await room.started[1].finish()
    assert room.order == [ANN, BOB, CLEO]
    await room.drain()


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
    room = Room()
    people = await room.ask_all(*asked)
    assert [ANN] + [job.requester.id for job in room.queue.waiting] == served
    await room.drain()
    assert room.order == served
    turns = [person.turn.order for person in room.started]
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
async def test_the_urgent_go_first_and_among_equals_it_is_fair(asked, served):
    room = Room()
    await room.ask_all(DAN)
    people = [room.ask(person, speed=speed) for person, speed in asked]
    await settle()
    await room.drain()
    assert room.order[1:] == served
    mine = [person for person in room.started[1:] if person.job.requester.id == ANN]
    assert mine == sorted(mine, key=lambda person: (list(Speed).index(person.job.speed), people.index(person)))


async def test_a_relaxed_job_goes_first_once_it_has_waited_half_an_hour():
    clock = Clock()
    room = Room(clock=clock)
    await room.ask_all(DAN)
    relaxed = room.ask(ANN, speed=RELAX)
    await settle()
    clock.now += MAX_WAIT_S + 1
    room.ask(BOB, speed=TURBO)
    room.ask(CLEO, speed=RELAX)
    await settle()
    assert room.queue.position(relaxed.job.id).position == 1
    await room.drain()
    assert room.order == [DAN, ANN, BOB, CLEO]


async def test_someone_who_comes_late_passes_everyone_who_was_served_since():
    room = Room()
    await room.ask_all(ANN, ANN, BOB, BOB)
    await room.started[0].finish()
    await room.ask_all(CLEO)
    await room.drain()
    assert room.order == [ANN, BOB, CLEO, ANN, BOB]


async def test_a_persons_own_jobs_run_in_the_order_they_were_asked():
    room = Room()
    await room.ask_all(DAN)
    people = [room.ask(ANN, asked_at=age) for age in (3, 1, 2)]
    await settle()
    await room.drain()
    assert room.started[1:] == [people[1], people[2], people[0]]


async def test_what_was_served_before_the_start_is_remembered():
    room = Room()
    for person, when in ((ANN, 300.0), (BOB, 100.0), (CLEO, 200.0)):
        room.queue.restore_last_served(person, when)
    await room.ask_all(ANN, BOB, CLEO, DAN)
    await room.drain()
    assert room.order == [DAN, BOB, CLEO, ANN]


async def test_jobs_of_one_moment_are_ordered_before_the_first_of_them_runs():
    room = Room()
    room.ask(ANN, asked_at=2)
    room.ask(BOB, asked_at=1)
    await settle()
    await room.drain()
    assert room.order == [BOB, ANN]


async def test_one_person_cannot_fill_a_worker():
    room = Room(StillWorker(capacity=4), running_per_person=2)
    await room.ask_all(ANN, ANN, ANN)
    assert room.order == [ANN, ANN]
    await room.ask_all(BOB)
    assert room.order == [ANN, ANN, BOB]
    await room.started[0].finish()
    assert room.order == [ANN, ANN, BOB, ANN]
    await room.drain()


async def test_the_emptiest_worker_is_given():
    small, large = StillWorker(capacity=1), StillWorker(capacity=2)
    room = Room(small, large, running_per_person=9)
    await room.ask_all(ANN, ANN, ANN, ANN)
    assert [person.turn.worker for person in room.started].count(large) == 2
    assert [person.turn.worker for person in room.started].count(small) == 1
    assert len(room.queue.waiting) == 1
    await room.drain()


@pytest.mark.parametrize("state", [Loading("unet", 1, 3), Restarting("it died")])
async def test_a_worker_that_is_not_ready_gets_nothing_until_it_is(state):
    worker = StillWorker(state=state)
    room = Room(worker)
    await room.ask_all(ANN)
    assert room.order == []
    worker.become(READY)
    await settle()
    assert room.order == [ANN]
    await room.drain()


async def test_a_broken_worker_is_avoided_as_long_as_there_is_hope_of_another():
    broken, other = StillWorker(capacity=5, state=Broken("no model")), StillWorker(state=Loading("unet", 0, 1))
    room = Room(broken, other)
    await room.ask_all(ANN)
    assert room.order == []
    other.become(Broken("no model either"))
    await settle()
    assert room.order == [ANN]
    await room.drain()


async def test_a_job_whose_worker_died_goes_before_those_who_came_after_it():
    worker = StillWorker(capacity=2)
    room = Room(worker)
    ann, bob, *_ = await room.ask_all(ANN, BOB, CLEO, DAN)
    assert room.order == [ANN, BOB]
    worker.become(Restarting("it died"))
    for person in (ann, bob):
        await person.finish(WorkerCrashed())
        room.started.remove(person)
    again = [Person(room.queue, person.job, room.started) for person in (bob, ann)]
    await settle()
    assert room.order == []
    worker.become(READY)
    await settle()
    assert room.started == [again[1], again[0]]
    await room.drain()
    assert room.order == [ANN, BOB, CLEO, DAN]


async def test_a_cancelled_waiter_leaves_at_once():
    room = Room()
    ann, bob, cleo = await room.ask_all(ANN, BOB, CLEO)
    bob.task.cancel()
    await settle()
    assert room.queue.waiting == [cleo.job]
    await ann.finish()
    assert room.order == [ANN, CLEO]
    await cleo.finish()


async def test_a_waiter_cancelled_in_the_tick_before_its_turn_never_takes_it():
    room = Room()
    ann, bob, cleo = await room.ask_all(ANN, BOB, CLEO)
    bob.task.cancel()
    await ann.finish()
    assert room.order == [ANN, CLEO]
    await cleo.finish()


@pytest.mark.parametrize("ticks", range(6))
async def test_a_turn_is_never_lost_whenever_its_waiter_is_cancelled(ticks):
    room = Room()
    ann, bob, cleo = await room.ask_all(ANN, BOB, CLEO)
    ann.let_go.set_result(None)
    for _ in range(ticks):
        await asyncio.sleep(0)
    bob.task.cancel()
    await settle()
    assert room.order[-1] == CLEO
    assert room.queue.running == [cleo.job]
    await cleo.finish()
    assert bob.task.cancelled()


async def test_a_turn_that_was_given_back_unused_does_not_count_as_served():
    room = Room()
    ann, bob, _ = await room.ask_all(ANN, BOB, CLEO)

    def cancel_when_granted():
        if bob.job in room.queue.running and bob.turn is None:
            bob.task.cancel()

    room.queue.subscribe(cancel_when_granted)
    await ann.finish()
    assert bob.task.cancelled()
    assert room.order == [ANN, CLEO]
    await room.ask_all(ANN, BOB)
    await room.drain()
    assert room.order == [ANN, CLEO, BOB, ANN]


async def test_an_error_in_the_block_frees_the_worker():
    room = Room()
    ann, _ = await room.ask_all(ANN, BOB)
    await ann.finish(ValueError("unexpected"))
    assert room.order == [ANN, BOB]
    await room.started[1].finish()


async def test_a_person_may_have_only_so_many_jobs_waiting():
    room = Room(waiting_per_person=2)
    for _ in range(3):
        room.queue.check_limits(ANN)
        await room.ask_all(ANN)
    with pytest.raises(PersonQueueFull, match="You already have 2 jobs waiting, and 2 is the most for one person"):
        room.queue.check_limits(ANN)
    room.queue.check_limits(BOB)
    await room.started[0].finish()
    room.queue.check_limits(ANN)
    await room.drain()


async def test_only_so_many_jobs_may_wait_in_all():
    room = Room(waiting_in_all=1)
    await room.ask_all(ANN, BOB)
    with pytest.raises(QueueFull, match="The queue is full: 1 job"):
        room.queue.check_limits(CLEO)
    await room.started[0].finish()
    room.queue.check_limits(CLEO)
    await room.drain()


def test_being_over_a_limit_is_an_ordinary_answer():
    assert issubclass(QueueFull, UserError)
    assert issubclass(PersonQueueFull, UserError)


async def test_no_burst_of_requests_gets_past_the_limits():
    room = Room(waiting_per_person=3)
    jobs = [make_job(ANN) for _ in range(5)]
    for job in jobs[:3]:
        room.queue.enqueue(job)
    with pytest.raises(PersonQueueFull):
        room.queue.enqueue(jobs[3])
    assert room.queue.waiting == jobs[:3]
    assert room.queue.position(jobs[2].id) == QueuePosition(3, None)
    room.queue.remove(jobs[0].id)
    room.queue.enqueue(jobs[3])
    await settle()
    assert room.queue.running == []
    for job in jobs[1:4]:
        Person(room.queue, job, room.started)
    await settle()
    await room.drain()
    assert [person.job for person in room.started] == jobs[1:4]


async def test_who_has_entered_but_does_not_wait_yet_does_not_hold_up_the_others():
    room = Room()
    absent = make_job(ANN)
    room.queue.enqueue(absent)
    await room.ask_all(BOB)
    assert room.order == [BOB]
    await room.drain()
    room.queue.remove(absent.id)
    assert room.queue.waiting == []


async def test_a_place_is_the_number_of_turns_until_ones_own():
    room = Room()
    people = await room.ask_all(ANN, ANN, BOB, ANN, CLEO)
    positions = {person.job.id: room.queue.position(person.job.id) for person in people}
    assert [positions[person.job.id] for person in people] == [
        None,
        QueuePosition(3, None),
        QueuePosition(1, None),
        QueuePosition(4, None),
        QueuePosition(2, None),
    ]
    assert room.queue.position("unknown") is None
    await room.drain()
    assert [person.job for person in room.started] == [people[i].job for i in (0, 2, 4, 1, 3)]


async def learn(room, clock, seconds):
    """Let the queue see that a job of `make_job`'s size takes so long."""
    [person] = await room.ask_all(DAN)
    clock.now += seconds
    await person.finish()


async def test_the_estimate_is_what_the_jobs_before_will_take():
    clock = Clock()
    room = Room(clock=clock)
    await learn(room, clock, 8.0)
    _, bob, cleo = await room.ask_all(ANN, BOB, CLEO)
    assert room.queue.position(bob.job.id).seconds == pytest.approx(8.0)
    assert room.queue.position(cleo.job.id).seconds == pytest.approx(16.0)
    clock.now += 3.0
    assert room.queue.position(cleo.job.id).seconds == pytest.approx(13.0)
    clock.now += 30.0
    assert room.queue.position(bob.job.id).seconds == 0.0
    await room.drain()


async def test_the_estimate_knows_how_many_jobs_run_at_once():
    clock = Clock()
    room = Room(StillWorker(capacity=2), clock=clock)
    await learn(room, clock, 8.0)
    await room.ask_all(ANN)
    clock.now += 6.0
    _, cleo, dan = await room.ask_all(BOB, CLEO, DAN)
    assert room.queue.position(cleo.job.id).seconds == pytest.approx(2.0)
    assert room.queue.position(dan.job.id).seconds == pytest.approx(8.0)
    await room.drain()


async def test_the_estimate_knows_how_many_jobs_one_person_may_have_running():
    clock = Clock()
    room = Room(StillWorker(capacity=3), clock=clock, running_per_person=1)
    await learn(room, clock, 8.0)
    _, second, third = await room.ask_all(ANN, ANN, ANN)
    assert room.queue.position(second.job.id).seconds == pytest.approx(8.0)
    assert room.queue.position(third.job.id).seconds == pytest.approx(16.0)
    [bob] = await room.ask_all(BOB)
    assert bob.turn is not None
    await room.drain()


async def test_the_estimate_follows_the_order_of_urgency():
    clock = Clock()
    room = Room(clock=clock)
    await learn(room, clock, 8.0)
    await room.ask_all(ANN)
    relaxed, fast = room.ask(BOB, speed=RELAX), room.ask(CLEO)
    await settle()
    assert room.queue.position(fast.job.id) == QueuePosition(1, pytest.approx(8.0))
    assert room.queue.position(relaxed.job.id) == QueuePosition(2, pytest.approx(16.0))
    await room.drain()


@pytest.mark.parametrize(
    ("changes", "factor"),
    [
        ({"num_inference_steps": 20}, 2),
        ({"width": 128, "height": 128}, 4),
        ({"count": 1}, 0.25),
        ({"guidance_scale": 7.5}, 2),
        ({"source": Upload("abc"), "strength": 0.5}, 0.5),
        ({"stop": 50}, 0.5),
        ({"guidance_scale": 7.5, "no": ("fog",)}, 3),
        ({"hd": True}, 1 + 4 * 0.4),
    ],
)
async def test_the_estimate_is_scaled_by_the_work(changes, factor):
    clock = Clock()
    room = Room(clock=clock)
    await learn(room, clock, 8.0)
    room.ask(ANN, **changes)
    await settle()
    [bob] = await room.ask_all(BOB)
    assert room.queue.position(bob.job.id).seconds == pytest.approx(8.0 * factor)
    await room.drain()


async def test_the_estimate_follows_what_was_seen_lately():
    clock = Clock()
    room = Room(clock=clock)
    await learn(room, clock, 8.0)
    for _ in range(30):
        await learn(room, clock, 2.0)
    _, bob = await room.ask_all(ANN, BOB)
    assert room.queue.position(bob.job.id).seconds == pytest.approx(2.0, abs=0.1)
    await room.drain()


async def test_there_is_no_estimate_while_no_worker_is_ready():
    clock, worker = Clock(), StillWorker()
    room = Room(worker, clock=clock)
    await learn(room, clock, 8.0)
    worker.become(Loading("unet", 0, 1))
    [ann] = await room.ask_all(ANN)
    assert room.queue.position(ann.job.id) == QueuePosition(1, None)
    worker.become(READY)
    await settle()
    await room.drain()


async def test_listeners_hear_of_every_change_of_places():
    room = Room()
    heard = []
    room.queue.subscribe(lambda: heard.append([job.requester.id for job in room.queue.waiting]))
    ann, bob, cleo = await room.ask_all(ANN, BOB, CLEO)
    assert heard == [[BOB, CLEO]]
    cleo.task.cancel()
    await settle()
    assert heard[-1] == [BOB]
    await ann.finish()
    assert heard[-1] == []
    await bob.finish()


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(list(Speed)), st.sampled_from([ANN, BOB, CLEO, DAN])),
        st.tuples(st.sampled_from(["finish", "die", "cancel running", "cancel waiting"]), st.integers(0, 20)),
        st.tuples(st.just("tick"), st.just(0)),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=150)
@given(events=EVENTS, capacities=st.lists(st.integers(1, 3), min_size=1, max_size=2), per_person=st.integers(1, 3))
def test_whatever_happens_the_turns_stay_fair_and_none_is_lost(events, capacities, per_person):
    asyncio.run(live_through(events, capacities, per_person))


async def live_through(events, capacities, per_person):
    room = Room(*(StillWorker(capacity) for capacity in capacities), running_per_person=per_person)
    people = []
    for event, which in events:
        match event:
            case Speed():
                people.append(room.ask(which, speed=event))
            case "tick":
                await settle()
                look(room, people, per_person)
            case _:
                disturb(event, which, people)
    await settle()
    look(room, people, per_person)
    for _ in range(len(people) + 1):
        for person in people:
            if person.turn is not None and not person.let_go.done():
                person.let_go.set_result(None)
        await settle()
    assert all(person.task.done() for person in people), "somebody starved"
    assert room.queue.running == room.queue.waiting == []
    for person in people:
        assert person.task.cancelled() or isinstance(person.task.exception(), WorkerCrashed | None)


def disturb(event, which, people):
    having_turn = event != "cancel waiting"
    candidates = [person for person in people if (person.turn is not None) is having_turn and not person.task.done()]
    if not candidates:
        return
    person = candidates[which % len(candidates)]
    if event.startswith("cancel"):
        person.task.cancel()
    elif not person.let_go.done():
        if event == "finish":
            person.let_go.set_result(None)
        else:
            person.let_go.set_exception(WorkerCrashed())


def look(room, people, per_person):
    """Check what is to be true whenever the queue has settled."""
    running = [job.requester.id for job in room.queue.running]
    assert all(running.count(person) <= per_person for person in running)
    for worker in room.workers:
        assert (
            sum(p.turn is not None and p.turn.worker is worker and not p.task.done() for p in people) <= worker.capacity
        )
    free = sum(worker.capacity for worker in room.workers) - len(running)
    could_run = [job for job in room.queue.waiting if running.count(job.requester.id) < per_person]
    assert not (free and could_run), "a free worker stands idle while somebody waits"
    assert {job.id for job in room.queue.waiting} == {p.job.id for p in people if p.turn is None and not p.task.done()}


@settings(deadline=None, max_examples=100)
@given(st.lists(st.sampled_from([ANN, BOB, CLEO, DAN]), max_size=15), st.lists(st.integers(0, 9), max_size=4))
def test_someone_with_one_job_never_waits_behind_a_second_job_of_somebody_else(crowd, done_before):
    asyncio.run(newcomer_waits_for_one_each(crowd, done_before))


async def newcomer_waits_for_one_each(crowd, done_before):
    room = Room()
    await room.ask_all(*crowd)
    for _ in done_before:
        if room.started and not room.started[-1].task.done():
            await room.started[-1].finish()
    before = len(room.started)
    [newcomer] = await room.ask_all(99)
    await room.drain()
    passed = [person.job.requester.id for person in room.started[before : room.started.index(newcomer)]]
    assert len(passed) == len(set(passed))


def job_in(guild_id: int) -> Job:
    job = make_job()
    return replace(job, destination=replace(job.destination, guild_id=guild_id))


async def test_an_allowance_bounds_who_waits_in_that_guild_only():
    queue = Room(waiting_per_person=5).queue
    queue.enqueue(job_in(1), MemberLimits(waiting=1))
    with pytest.raises(PersonQueueFull, match="1 is the most for one member of this server with your roles"):
        queue.enqueue(job_in(1), MemberLimits(waiting=1))
    queue.enqueue(job_in(2), MemberLimits(waiting=1))
    with pytest.raises(PersonQueueFull, match="You already have 2 jobs waiting, and 4 more are too many: 5 is"):
        queue.check_limits(ANN, 3, jobs=4)
    queue.check_limits(ANN, 3, jobs=3)


async def test_an_allowance_bounds_who_runs_in_that_guild_only():
    clock = Clock()
    room = Room(StillWorker(capacity=8), clock=clock, running_per_person=5)
    await learn(room, clock, 8.0)
    jobs = [job_in(1), job_in(1), job_in(2)]
    for job in jobs:
        room.queue.enqueue(job, MemberLimits(running=1))
    people = [Person(room.queue, job, room.started) for job in jobs]
    await settle()
    assert room.queue.running == [jobs[0], jobs[2]]
    assert room.queue.position(jobs[1].id) == QueuePosition(1, pytest.approx(8.0))
    await people[0].finish()
    assert room.queue.running == [jobs[2], jobs[1]]
