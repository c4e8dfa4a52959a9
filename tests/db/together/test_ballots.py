"""Each person has one vote of a kind in a round, and a tally is exact."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from db.privacy import PersonalData
from db.together.ballots import Ballot, BallotStore, Suggestion, Turnout, first_by_lot, winner
from db.together.sessions import Move, SessionStore
from tests.support.sessions import make_session


@pytest.fixture
def ballots(connection):
    return BallotStore(connection)


@pytest.fixture
async def session(connection):
    session = make_session()
    await SessionStore(connection).add(session, most=1)
    return session


def ballot(session, person, choice, kind="tile", at=1.0):
    return Ballot(session_id=session.id, round=session.round, person_id=person, kind=kind, choice=choice, at=at)


def suggestion(session, person, words, at):
    return Suggestion(session_id=session.id, person_id=person, round=1, name=f"p{person}", words=words, at=at)


async def test_300_votes_at_once_are_counted_exactly(ballots, session):
    stored = await asyncio.gather(
        *(ballots.vote(ballot(session, person, str(person % 4)), "voting") for person in range(300))
    )
    assert all(stored)
    assert await ballots.tallies(session.id, 1) == {"tile": {"0": 75, "1": 75, "2": 75, "3": 75}}


async def test_a_second_vote_moves_the_first(ballots, session):
    for choice in ("0", "3", "2"):
        await ballots.vote(ballot(session, 11, choice), "voting")
    await ballots.vote(ballot(session, 11, "zoom_2", "action"), "voting")
    assert await ballots.tallies(session.id, 1) == {"tile": {"2": 1}, "action": {"zoom_2": 1}}
    assert await ballots.of_person(session.id, 1, 11) == {"tile": "2", "action": "zoom_2"}
    assert await ballots.voters(session.id, 1) == {11}


async def test_the_turnout_is_complete_once_all_earlier_voters_have_voted(ballots, session, connection):
    for person in (11, 12):
        await ballots.vote(ballot(session, person, "0"), "voting")
    assert await ballots.turnout(session.id, 1) == Turnout(2, is_complete=False), "nobody voted before"
    await connection.write("UPDATE collab_sessions SET round = 2", {})
    for person, complete in ((12, False), (13, False), (11, True)):
        await ballots.vote(replace(ballot(session, person, "0"), round=2), "voting")
        assert (await ballots.turnout(session.id, 2)).is_complete is complete
    assert (await ballots.turnout(session.id, 2)).voters == 3


async def test_a_late_vote_is_not_counted(ballots, session, connection):
    step = Move(session_id=session.id, phase="voting", round=1, to_phase="voting", to_round=2)
    assert await SessionStore(connection).move(step)
    assert not await ballots.vote(ballot(session, 11, "0"), "voting")
    assert await ballots.tallies(session.id, 1) == {}


async def test_voters_for_a_choice_come_in_the_order_of_their_votes(ballots, session):
    for person, at in ((13, 3.0), (11, 1.0), (12, 2.0)):
        await ballots.vote(ballot(session, person, "0", at=at), "voting")
    assert await ballots.voters_for(session.id, 1, "tile", "0") == [11, 12, 13]


async def test_one_standing_suggestion_each_with_a_pause_between(ballots, session):
    assert await ballots.suggest(suggestion(session, 11, "at night", 100.0), "voting", 10.0)
    assert not await ballots.suggest(suggestion(session, 11, "in snow", 105.0), "voting", 10.0)
    assert await ballots.suggest(suggestion(session, 12, "with owls", 105.0), "voting", 10.0)
    assert await ballots.suggest(suggestion(session, 11, "in snow", 110.0), "voting", 10.0)
    assert [each.words for each in await ballots.suggestions(session.id)] == ["with owls", "in snow"]
    assert await ballots.drop_suggestion(session.id, 12)
    assert not await ballots.drop_suggestion(session.id, 12)


async def test_votes_for_words_do_not_count_for_those_that_replace_them(ballots, session):
    await ballots.suggest(suggestion(session, 11, "kittens", 100.0), "voting", 10.0)
    for person in (12, 13):
        await ballots.vote(ballot(session, person, "11", "words"), "voting")
    await ballots.vote(ballot(session, 12, "0"), "voting")
    await ballots.suggest(suggestion(session, 11, "wars", 105.0), "voting", 10.0)
    await ballots.suggest(suggestion(session, 11, "kittens", 120.0), "voting", 10.0)
    assert await ballots.tallies(session.id, 1) == {"tile": {"0": 1}, "words": {"11": 2}}, "refused, then the same"
    await ballots.suggest(suggestion(session, 11, "wars", 140.0), "voting", 10.0)
    assert await ballots.tallies(session.id, 1) == {"tile": {"0": 1}}


async def test_erasure_deletes_votes_and_words(ballots, session, connection):
    await ballots.vote(ballot(session, 11, "0"), "voting")
    await ballots.suggest(suggestion(session, 11, "at night", 1.0), "voting", 0.0)
    await ballots.vote(ballot(session, 12, "11", "words"), "voting")
    await ballots.vote(ballot(session, 12, "1"), "voting")
    rows = await PersonalData(connection).export_rows(11)
    assert [row["choice"] for row in rows["ballots"]] == ["0"]
    assert [row["words"] for row in rows["suggestions"]] == ["at night"]
    await PersonalData(connection).begin_erasure(11, 2000.0)
    assert await ballots.of_person(session.id, 1, 12) == {"tile": "1"}, "nobody's vote has the id of who is erased"
    assert await ballots.voters(session.id, 1) == {12}
    assert await ballots.suggestions(session.id) == []


def test_most_votes_win_and_a_tie_is_decided_by_the_same_lot():
    assert winner("s", 1, {"0": 2, "1": 3}) == "1"
    assert winner("s", 1, {}) is None
    tie = {"0": 2, "1": 1, "2": 2, "3": 2}
    decided = {winner("s", number, tie) for number in range(1, 40)}
    assert decided == {"0", "2", "3"}
    assert all(winner("s", n, tie) == winner("s", n, dict(reversed(tie.items()))) for n in range(40))
    assert first_by_lot("s", 1, ["b", "a"]) == first_by_lot("s", 1, ["a", "b"])
