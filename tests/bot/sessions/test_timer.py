"""Due steps are taken once, by a clock that may jump."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from bot.sessions import timer as timer_module
from bot.sessions.timer import SessionTimer
from db.connection import Connection
from db.together.sessions import Move, SessionStore
from tests.support.bot_harness import eventually
from tests.support.sessions import make_session

ROUND_S = 180.0


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def sessions(tmp_path, make_database):
    async with Connection.open(make_database(tmp_path / "store.sqlite3")) as connection:
        yield SessionStore(connection)


@pytest.fixture
def taken():
    return []


@pytest.fixture
def timer(sessions, clock, taken):
    async def step(session):
        taken.append((session.id, session.round))
        move = Move(
            session_id=session.id,
            phase=session.phase,
            round=session.round,
            to_phase="voting",
            to_round=session.round + 1,
            due_at=clock.now + ROUND_S,
        )
        await sessions.move(move)

    return SessionTimer(sessions, clock, step)


@asynccontextmanager
async def running(timer):
    task = asyncio.create_task(timer.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def take_due_steps(timer):
    async with asyncio.TaskGroup() as steps:
        await timer.begin_due_steps(steps)


async def test_a_bot_that_slept_over_three_due_times_takes_one_step(sessions, timer, clock, taken):
    session = make_session(due_at=clock.now + ROUND_S)
    await sessions.add(session, most=1)
    clock.now += 3 * ROUND_S + 10
    for _ in range(5):
        await take_due_steps(timer)
    assert taken == [(session.id, 1)]
    assert (await sessions.get(session.id)).due_at == clock.now + ROUND_S


async def test_the_running_timer_takes_each_step_when_it_is_due(sessions, timer, clock, taken):
    first, second = make_session(due_at=clock.now + 10), make_session(due_at=clock.now + 20, channel_id=3)
    async with running(timer):
        for session in (first, second):
            await sessions.add(session, most=1)
            timer.wake()
        for seconds, expected in ((9, []), (1, [(first.id, 1)]), (10, [(first.id, 1), (second.id, 1)])):
            clock.now += seconds
            timer.wake()
            await eventually(lambda expected=expected: taken == expected)


async def test_a_session_that_was_due_long_ago_does_not_delay_another(sessions, clock, taken):
    gate = asyncio.Event()

    async def step(session):
        if session.channel_id == 2:
            await gate.wait()
        taken.append(session.channel_id)
        await sessions.end(session.id, clock.now)

    for channel in (2, 3):
        await sessions.add(make_session(due_at=1.0, channel_id=channel), most=1)
    async with running(SessionTimer(sessions, clock, step)):
        await eventually(lambda: taken == [3])
        gate.set()
        await eventually(lambda: taken == [3, 2])


async def test_a_slow_step_delays_no_session_that_is_due_later(sessions, clock, taken):
    gate = asyncio.Event()

    async def step(session):
        taken.append(session.channel_id)
        if session.channel_id == 2:
            await gate.wait()
        await sessions.end(session.id, clock.now)

    timer = SessionTimer(sessions, clock, step)
    await sessions.add(make_session(due_at=1.0, channel_id=2), most=1)
    async with running(timer):
        await eventually(lambda: taken == [2])
        await sessions.add(make_session(due_at=1.0, channel_id=3), most=1)
        timer.wake()
        await eventually(lambda: taken == [2, 3])
        gate.set()
        await eventually(lambda: not timer._running)
    assert taken == [2, 3], "each step once"


async def test_a_step_that_fails_is_tried_again_later_and_not_at_once(sessions, clock, taken):
    async def step(session):
        taken.append(session.id)
        raise RuntimeError("no")

    session = make_session(due_at=1.0)
    await sessions.add(session, most=1)
    timer = SessionTimer(sessions, clock, step)
    await take_due_steps(timer)
    await take_due_steps(timer)
    assert taken == [session.id]
    clock.now += timer_module.RETRY_S
    await take_due_steps(timer)
    assert taken == [session.id] * 2


async def test_a_step_that_a_rival_has_taken_is_not_postponed(sessions, clock):
    async def step(session):
        rival = Move(
            session_id=session.id, phase="voting", round=1, to_phase="drawing", to_round=2, due_at=session.due_at
        )
        assert await sessions.move(rival)

    session = make_session(due_at=900.0)
    await sessions.add(session, most=1)
    await take_due_steps(SessionTimer(sessions, clock, step))
    left = await sessions.get(session.id)
    assert (left.phase, left.due_at) == ("drawing", 900.0)
