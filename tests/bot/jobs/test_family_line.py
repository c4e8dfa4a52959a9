"""The line with the generations of a picture names nobody who is not to be named."""

from __future__ import annotations

import pytest

from bot.jobs.family_line import family_line
from db.lineage import Ancestor
from generation.job import Action
from tests.support.jobs import ADA, make_job
from tests.support.languages import run_in


def line(*people, **changes):
    """Return the line of a family, the newest first; a number is a person, None a deleted picture."""
    ancestors = [
        Ancestor(job_id=str(n))
        if person is None
        else Ancestor(job_id=str(n), action=Action.VARY_SUBTLE, person_id=person, name="x", guild_id=1, **changes)
        for n, person in enumerate(people)
    ]
    return family_line(ancestors, make_job())


@pytest.mark.parametrize(
    ("people", "expected"),
    [
        ((ADA.id,), ""),
        ((ADA.id, 2), ""),
        ((ADA.id, 2, 3), "3 generations · <@3> → <@2> → <@11>"),
        ((ADA.id, 2, 2, 3), "4 generations · <@3> → <@2> → <@11>"),
        ((ADA.id, 2, None, 3), "4 generations · <@3> → somebody → <@2> → <@11>"),
        ((ADA.id, 2, 3, 4, 5, 6), "6 generations · <@6> → … → <@2> → <@11>"),
    ],
)
def test_the_line_leads_from_the_oldest_to_the_requester(people, expected):
    assert line(*people) == (f"\n-# 🌳 {expected}" if expected else "")


def test_a_picture_that_was_only_picked_is_no_generation():
    ancestors = [
        Ancestor(job_id="c", action=Action.VARY_SUBTLE, person_id=11, guild_id=1),
        Ancestor(job_id="b", action=Action.PICK, person_id=2, guild_id=1),
        Ancestor(job_id="a", action=Action.IMAGINE, person_id=3, guild_id=1),
    ]
    assert family_line(ancestors, make_job()) == ""


def test_nobody_is_named_for_a_private_picture_or_one_of_another_server():
    mine = Ancestor(job_id="c", action=Action.VARY_SUBTLE, person_id=ADA.id, guild_id=2, private=True)
    private = Ancestor(job_id="b", action=Action.VARY_SUBTLE, person_id=2, guild_id=1, private=True)
    elsewhere = Ancestor(job_id="a", action=Action.IMAGINE, person_id=3, guild_id=2)
    assert family_line([mine, private, elsewhere], make_job()) == "\n-# 🌳 3 generations · <@11>"


def test_the_line_is_translated():
    ancestors = [Ancestor(job_id=each) for each in "abc"]
    assert run_in("de", family_line, ancestors, make_job()) == "\n-# 🌳 3 Generationen · jemand"
