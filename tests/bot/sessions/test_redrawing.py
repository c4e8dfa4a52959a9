"""What is gone is drawn again until that has succeeded, and one session delays no other."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from bot.sessions import redrawing
from bot.sessions.redrawing import Redrawer
from db.connection import Connection
from db.together.sessions import SessionStore
from generation.errors import UserError
from tests.support.bot_harness import eventually
from tests.support.sessions import make_session


@pytest.fixture
async def connection(tmp_path, make_database):
    async with Connection.open(make_database(tmp_path / "store.sqlite3")) as connection:
        yield connection


@pytest.fixture
async def sessions(connection):
    store = SessionStore(connection)
    for name in ("first", "second"):
        await store.add(make_session(id=name), most=9)
    await connection.write("UPDATE collab_sessions SET stale = 1", {})
    return store


@asynccontextmanager
async def running(redrawer):
    task = asyncio.create_task(redrawer.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("error", [UserError("no"), RuntimeError("a fault")])
async def test_a_failure_delays_no_other_session_and_is_tried_again(sessions, monkeypatch, error):
    monkeypatch.setattr(redrawing, "PAUSE_S", 0.01)
    monkeypatch.setattr(redrawing, "RETRY_S", 0.1)
    drawn = []

    async def redraw(session):
        drawn.append(session.id)
        if session.id == "first" and drawn.count("first") == 1:
            raise error
        return True

    async with running(Redrawer(sessions, redraw)):
        await eventually(lambda: drawn.count("first") == 2)
        await asyncio.sleep(0.15)
    assert sorted(drawn) == ["first", "first", "second"]
    assert await sessions.stale() == []


async def test_what_goes_while_it_is_drawn_again_is_drawn_once_more(sessions, connection):
    drawn = []

    async def redraw(session):
        drawn.append(session.id)
        if len(drawn) == 1:
            await connection.write("UPDATE collab_sessions SET stale = stale + 1 WHERE id = 'first'", {})
        return True

    redrawer = Redrawer(sessions, redraw)
    async with running(redrawer):
        await eventually(lambda: len(drawn) == 2)
        redrawer.wake()
        await eventually(lambda: len(drawn) == 3)
    assert drawn.count("first") == 2


async def test_a_session_is_drawn_as_it_is_when_its_turn_comes(sessions, connection):
    phases = []

    async def redraw(session):
        phases.append(session.phase)
        await connection.write("UPDATE collab_sessions SET phase = 'later'", {})
        return True

    async with running(Redrawer(sessions, redraw)):
        await eventually(lambda: len(phases) == 2)
    assert phases[1] == "later"


async def test_a_session_that_has_to_wait_stays_stale(sessions, monkeypatch):
    monkeypatch.setattr(redrawing, "PAUSE_S", 0.01)
    drawn = []

    async def redraw(session):
        drawn.append(session.id)
        return drawn.count(session.id) == 3

    async with running(Redrawer(sessions, redraw)):
        await eventually(lambda: len(drawn) == 6)
        await asyncio.sleep(0.05)
    assert len(drawn) == 6
    assert await sessions.stale() == []
