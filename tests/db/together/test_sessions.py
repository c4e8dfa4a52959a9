"""Sessions take each step once, whoever asks for it, and keep what a restart needs."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from db.guilds import AuditEntry, Block, GuildStore
from db.image_files import ImageStore
from db.privacy import PersonalData
from db.together.ballots import Ballot, BallotStore
from db.together.sessions import ABANDONED, ENDED, Move, Round, Session, SessionKind, SessionStore
from db.upkeep.retention import DAY_S, Retention
from tests.support.sessions import make_session


@pytest.fixture
def sessions(connection):
    return SessionStore(connection)


def move(session, to="voting", number=1, due=None):
    return Move(
        session_id=session.id,
        phase=session.phase,
        round=session.round,
        to_phase=to,
        to_round=number,
        due_at=due,
    )


async def test_a_session_is_stored_with_everything(sessions):
    session = make_session(settings={"words": "ein Schloß", "minutes": 3}, due_at=1060.5)
    assert await sessions.add(session, most=2)
    assert await sessions.get(session.id) == session
    await sessions.set_place(session.id, 77, 78)
    assert (await sessions.get(session.id)).place_id == 77
    assert await sessions.get("unknown") is None


async def test_of_a_hundred_rivals_one_takes_the_step(sessions):
    session = make_session()
    await sessions.add(session, most=1)
    taken = await asyncio.gather(*(sessions.move(move(session, number=2, due=float(number))) for number in range(100)))
    assert taken.count(True) == 1
    assert (await sessions.get(session.id)).due_at == float(taken.index(True))


async def test_of_two_rivals_only_the_faster_begins_its_round(sessions, connection):
    session = make_session()
    await sessions.add(session, most=1)
    rounds = [Round(session_id=session.id, number=2, job_id=each, worded_by=12) for each in ("one", "two")]
    taken = await asyncio.gather(*(sessions.move_to_round(move(session, number=2), each) for each in rounds))
    assert sorted(taken) == [False, True]
    assert [each.job_id for each in await sessions.rounds(session.id)] == [rounds[taken.index(True)].job_id]
    await PersonalData(connection).begin_erasure(12, 1.0)
    assert (await sessions.round(session.id, 2)).worded_by is None


async def test_a_channel_has_at_most_so_many_sessions(sessions):
    made = [make_session() for _ in range(3)]
    stored = await asyncio.gather(*(sessions.add(session, most=2) for session in made))
    assert stored == [True, True, False]
    assert await sessions.add(make_session(channel_id=99), most=2)
    await sessions.end(made[0].id, 5.0)
    assert await sessions.add(made[2], most=2)


async def test_an_ended_session_takes_no_step_and_ends_once(sessions):
    session = make_session(due_at=3.0)
    await sessions.add(session, most=1)
    assert await sessions.end(session.id, 9.0)
    assert not await sessions.end(session.id, 10.0)
    assert not await sessions.move(move(session))
    assert not await sessions.postpone(session, 12.0)
    ended = await sessions.get(session.id)
    assert (ended.phase, ended.ended_at, ended.due_at) == (ENDED, 9.0, None)
    assert await sessions.next_due() is None
    assert await sessions.active() == await sessions.active_in_guild(1) == []


async def test_the_next_step_is_the_earliest(sessions):
    later, sooner = make_session(due_at=30.0), make_session(due_at=20.0)
    for session in (later, sooner, make_session()):
        await sessions.add(session, most=5)
    assert await sessions.next_due() == 20.0
    assert [session.id for session in await sessions.due(25.0)] == [sooner.id]
    assert await sessions.postpone(sooner, 40.0)
    assert await sessions.next_due() == 30.0


async def test_what_is_written_while_its_author_is_erased_is_not_stored(sessions, connection):
    session = make_session(kind=SessionKind.TELEPHONE, phase="turn", host_id=99)
    await sessions.add(session, most=1)
    made = Round(session_id=session.id, number=1, job_id="a" * 12, worded_by=12)
    await sessions.add_round(made)
    await PersonalData(connection).begin_erasure(12, 2000.0)
    assert await sessions.move_in_round(move(session, "drawing"), replace(made, facts={"words": "a secret"}))
    stored = await sessions.round(session.id, 1)
    assert (stored.worded_by, stored.facts) == (None, {})


async def test_a_round_is_found_by_its_job(sessions):
    session = make_session()
    await sessions.add(session, most=1)
    await sessions.add_round(Round(session_id=session.id, number=1, job_id="job1", facts={"words": "at night"}))
    await sessions.add_round(Round(session_id=session.id, number=2, job_id="job2"))
    await sessions.set_round_message(session.id, 1, 55)
    found = await sessions.find_round("job1")
    assert (found.number, found.message_id, found.facts) == (1, 55, {"words": "at night"})
    assert [each.number for each in await sessions.rounds(session.id)] == [1, 2]
    assert await sessions.round(session.id, 3) is None


async def test_sessions_expire_with_their_votes_as_jobs_do(sessions, connection, tmp_path, clock):
    old, young = make_session(), make_session()
    for session in (old, young):
        await sessions.add(session, most=5)
        await sessions.add_round(Round(session_id=session.id, number=1, job_id=session.id))
    await sessions.end(old.id, clock.now)
    clock.now += 31 * DAY_S
    await sessions.end(young.id, clock.now)

    async def guild_days():
        return {}

    await Retention(connection, ImageStore(tmp_path), 30, guild_days, clock).sweep()
    assert await sessions.get(old.id) is None
    assert await sessions.rounds(old.id) == []
    assert await sessions.get(young.id) is not None


async def test_the_sessions_of_an_erased_host_are_abandoned_without_their_words(sessions, connection):
    session = make_session(host_id=11, settings={"words": "secret"})
    await sessions.add(session, most=1)
    await PersonalData(connection).begin_erasure(11, 2000.0)
    left = await sessions.get(session.id)
    assert (left.host_id, left.phase, left.due_at, left.settings) == (0, ABANDONED, 0.0, {})


async def test_a_block_drops_open_votes_in_that_server_only(connection, sessions):
    ballots = BallotStore(connection)
    here, elsewhere, over = make_session(), make_session(guild_id=2), make_session()
    for session in (here, elsewhere, over):
        await sessions.add(session, most=5)
        for person in (11, 12):
            vote = Ballot(session_id=session.id, round=1, person_id=person, kind="tile", choice="2", at=1.0)
            assert await ballots.vote(vote, "voting")
    await sessions.end(over.id, 2.0)
    entry = AuditEntry(guild_id=1, person_id=9, act="block", details="blocked", at=1.0)
    block = Block(guild_id=1, person_id=11, reason="x", until=None, by_id=9, at=1.0)
    await GuildStore(connection).block(entry, block)
    assert await ballots.voters(here.id, 1) == {12}
    assert await ballots.voters(elsewhere.id, 1) == await ballots.voters(over.id, 1) == {11, 12}


def test_the_kinds_are_the_stored_ones():
    assert [kind.value for kind in SessionKind] == ["jam", "canvas", "contest", "telephone"]
    assert isinstance(make_session(), Session)
