"""Whatever happens, the queue decides as its rules in their plainest form do."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generation.errors import WorkerCrashed
from generation.job import Speed
from generation.queue.limits import MemberLimits, QueueLimits
from generation.queue.queue import Queue
from tests.generation.queue.test_queue import FakeClock, FakeWorker, SlotHolder, make_job, settle
from tests.support.reference_queue import ReferenceQueue

LIMITS = QueueLimits(waiting_per_person=1000, running_per_person=2, waiting_in_all=1000)
MODELS = ("none", "other", "large")

asks = st.tuples(
    st.just("ask"),
    st.integers(1, 5),
    st.sampled_from(MODELS),
    st.sampled_from(list(Speed)),
    st.sampled_from([None, 1]),
)
events = st.tuples(st.sampled_from(["finish", "crash", "cancel", "load"]), st.integers(0, 9))
waits = st.tuples(st.just("wait"), st.sampled_from([0.5, 7.0, 61.0, 1000.0]))
restores = st.tuples(st.just("restore"), st.integers(1, 5), st.floats(0, 1000))


class Side:
    """One of the two queues, with workers of its own and the same jobs."""

    def __init__(self, kind, clock, capacities):
        self.workers = [FakeWorker(capacity) for capacity in capacities]
        for worker in self.workers:
            worker.load_seconds = {"none": 3.0, "other": 11.0}
        self.queue = kind(self.workers, LIMITS, clock)
        self.holders, self.started = [], []

    def ask(self, job, running):
        self.queue.enqueue(job, MemberLimits(running=running))
        self.holders.append(SlotHolder(self.queue, job, self.started))

    def restore(self, person, when):
        self.queue.restore_last_served(person, when)

    async def end(self, number, how):
        running = [holder for holder in self.started if not holder.task.done()]
        if not running:
            return
        holder = running[number % len(running)]
        if how == "load":
            holder.slot.worker.loaded_models |= {holder.job.params.model}
        elif how == "cancel":
            holder.task.cancel()
            await settle()
        else:
            await holder.finish(WorkerCrashed("died") if how == "crash" else None)

    async def cancel_waiting(self, number):
        waiting = [holder for holder in self.holders if holder not in self.started and not holder.task.done()]
        if waiting:
            waiting[number % len(waiting)].task.cancel()
            await settle()

    def state(self, with_seconds):
        waiting = [job.id for job in self.queue.waiting]
        asked = random.Random(len(waiting)).sample(waiting, len(waiting))  # a forecast goes only as far as it is asked
        found = {job_id: self.queue.position(job_id) for job_id in asked}
        positions = [found[job_id] for job_id in waiting]
        seconds = [None if each.seconds is None else round(each.seconds, 6) for each in positions]
        return (
            [holder.job.id for holder in self.started],
            waiting,
            [each.position for each in positions],
            seconds if with_seconds else None,
        )

    async def close(self):
        for holder in self.holders:
            holder.task.cancel()
        await asyncio.gather(*(holder.task for holder in self.holders), return_exceptions=True)


async def assert_same_decisions(script, capacities, with_seconds=True):
    clock = FakeClock()
    sides = [Side(kind, clock, capacities) for kind in (Queue, ReferenceQueue)]
    for step, (event, *details) in enumerate(script):
        clock.now += 0.1
        if event == "wait":
            clock.now += details[0]
        elif event == "ask":
            person, model, speed, running = details
            job = make_job(person, asked_at=step % 7, speed=speed, model=model)
        for side in sides:
            if event == "ask":
                side.ask(job, running)
            elif event == "restore":
                side.restore(*details)
            elif event == "cancel" and details[0] % 2:
                await side.cancel_waiting(details[0])
            elif event != "wait":
                await side.end(details[0], event)
        await settle()
        assert sides[0].state(with_seconds) == sides[1].state(with_seconds), (step, event, details)
    for side in sides:
        await side.close()


@settings(max_examples=60)
@given(st.lists(st.one_of(asks, asks, events, waits, restores), max_size=50), st.integers(1, 4))
def test_one_worker_gets_the_jobs_in_the_order_of_the_plain_rules(script, capacity):
    asyncio.run(assert_same_decisions(script, [capacity]))


@pytest.mark.parametrize("seed", range(3))
async def test_a_long_queue_of_many_people_keeps_to_the_plain_rules(seed):
    chance = random.Random(seed)
    script = [("ask", chance.randint(1, 30), chance.choice(MODELS), Speed.FAST, None) for _ in range(100)]
    script += [(chance.choice(["finish", "load"]), chance.randint(0, 9)) for _ in range(50)]
    await assert_same_decisions(script, [3])


@settings(max_examples=30)
@given(st.lists(st.one_of(asks, asks, events, waits), max_size=40))
def test_workers_that_hold_every_model_change_nothing_in_the_order(script):
    models = [(*each[:2], "none", *each[3:]) if each[0] == "ask" else each for each in script]
    asyncio.run(assert_same_decisions(models, [1, 2, 1], with_seconds=False))
