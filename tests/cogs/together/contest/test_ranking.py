"""Simulated contests with known tastes: the ranking recovers them, and few can sway it."""

from __future__ import annotations

import random

import pytest

from cogs.together.contest.pairing import next_pair
from cogs.together.contest.ranking import rank
from db.together.contests import Comparison
from tests.support.contest_simulation import SimulatedContest

VOTERS = range(1001, 1026)
RING = range(2001, 2006)


@pytest.fixture(scope="module", params=range(3))
def contest(request):
    """30 entries and 25 voters of whose answers every tenth is the wrong way round."""
    made = SimulatedContest(30, seed=request.param)
    made.vote(VOTERS, made.taste(noise=0.1))
    return made


def test_known_tastes_are_recovered(contest):
    assert contest.agreement() >= 0.9


def test_the_first_and_the_last_entry_are_shown_as_often(contest):
    shown = [entry.shown for entry in contest.entries]
    assert max(shown) - min(shown) <= 1
    assert shown[0] == pytest.approx(shown[-1], rel=0.1)


@pytest.mark.parametrize("place", [0, 14, 24])
@pytest.mark.parametrize("is_clever", [False, True])
def test_a_ring_of_five_moves_nobody_by_more_than_two_places(contest, place, is_clever):
    before = contest.ranking().order
    favourite = before[place]
    taste = contest.taste(noise=0.1)

    def judge(left, right):
        if favourite in (left.id, right.id):
            return left if left.id == favourite else right
        return taste(left, right) if is_clever else contest.dice.choice((left, right))

    with contest.trial():
        contest.vote(RING, judge)
        after = contest.ranking().order
    moved = {entry: before.index(entry) - after.index(entry) for entry in before}
    assert max(map(abs, moved.values())) <= 2


def test_nobody_ever_compares_their_own_picture():
    contest = SimulatedContest(20, seed=7)
    for turn in range(2000):
        author = contest.entries[turn % 20].person_id
        pair = next_pair(author, contest.entries, contest._answered.get(author, set()), {})
        assert pair is not None
        assert author not in (pair[0].person_id, pair[1].person_id)
        if turn % 20 == 0:
            contest.vote([contest.entries[turn // 20 % 20].person_id], contest.taste(noise=0.2), pairs=1)


def test_nobody_sees_a_pair_twice_and_sides_are_random():
    contest = SimulatedContest(12, seed=1)
    lefts = []
    while pair := next_pair(5000, contest.entries, contest._answered.get(5000, set()), contest._strengths):
        lefts.append(pair[0].id < pair[1].id)
        contest.vote([5000], contest.taste(noise=0), pairs=1)
    assert len(lefts) == 12 * 11 // 2
    assert 0.3 < sum(lefts) / len(lefts) < 0.7


def test_the_order_of_the_ballots_does_not_matter(contest):
    ranking = contest.ranking()
    shuffled = list(contest.comparisons)
    random.Random(1).shuffle(shuffled)
    again = rank("c", [entry.id for entry in reversed(contest.entries)], shuffled)
    assert again.order == ranking.order
    assert again.places() == ranking.places()


def test_a_deleted_entry_leaves_no_comparison(contest):
    best = contest.ranking().order[0]
    left = [entry.id for entry in contest.entries if entry.id != best]
    ranking = rank("c", left, contest.comparisons)
    assert best not in ranking.order
    assert len(ranking.order) == 29


def test_two_entries_that_nobody_can_tell_apart_share_a_place():
    answers = [Comparison(voter, 1, 2, 1 + voter % 2) for voter in range(10)]
    answers += [Comparison(voter, one, 3, one) for voter in range(10) for one in (1, 2)]
    places = rank("c", [1, 2, 3], answers).places()
    assert sorted(place for place, _ in places.values()) == [1, 1, 3]
    assert sorted(rank for _, rank in places.values()) == [1, 2, 3]
    assert places[3] == (3, 3)


def test_somebody_who_compares_little_counts_for_less():
    answers = [Comparison(1, 1, 2, 1)]
    many = [*answers, *(Comparison(1, 1, other, None) for other in range(3, 9))]
    few, full = rank("c", range(1, 9), answers), rank("c", range(1, 9), many)
    assert 0 < few.strengths[1] - few.strengths[2] < full.strengths[1] - full.strengths[2]


def test_without_an_answer_all_share_the_first_place():
    places = rank("c", [5, 6, 7], []).places()
    assert {place for place, _ in places.values()} == {1}
    assert rank("c", [], []).places() == {}
