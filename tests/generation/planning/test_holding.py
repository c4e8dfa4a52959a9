"""Which picture is held while words change, and what is drawn from which step on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from generation.errors import UserError
from generation.job import Action
from generation.models.model import EMBEDDED, describe_model
from generation.params import FilmKind, FilmPlan, Params
from generation.planning.actions import available_actions
from generation.planning.compute_cost import compute_cost
from generation.planning.holding import held_picture, held_stages, holds, last_words
from generation.planning.walks import walk
from generation.prompt.weights import parse_parts
from tests.support.engine_harness import make_params


def _params(text: str) -> Params:
    return make_params("x", parts=parse_parts(text), hold=True)


@pytest.mark.parametrize(
    ("text", "held", "last"),
    [
        ("a [red:blue:.3] boat [:at night:2]", "a red boat", "a blue boat at night"),
        ("[a [red:blue:.5] boat:a car:.1]", "a [red:blue:.5] boat", "a car"),
        ("a boat::2 in [red:blue:.5]", "a boat::2 in red", "a boat::2 in blue"),
    ],
)
def test_the_outermost_changes_are_not_made_in_the_picture_that_is_held(text: str, held: str, last: str) -> None:
    assert held_picture(_params(text)) == replace(_params(held), hold=False)
    assert [part.text for part in last_words(_params(text)).parts] == [part.text for part in parse_parts(last)]


def test_both_pictures_are_drawn_with_their_words_of_each_step() -> None:
    stages = held_stages(_params("[a [red:blue:.5] boat:a car:.3]"), 10)
    texts = [(step, held.parts[0].text, edited.parts[0].text) for step, held, edited in stages]
    assert texts == [(0, "a red boat", "a red boat"), (3, "a red boat", "a car"), (5, "a blue boat", "a car")]


def test_nothing_is_held_where_no_words_change_or_on_a_walk() -> None:
    walk = FilmPlan(FilmKind.WALK, 24)
    assert holds(_params("a [red:blue:.3] boat"))
    assert not holds(_params("a red boat"))
    assert not holds(replace(_params("a [red:blue:.3] boat"), film=walk))


def test_there_is_no_walk_between_pictures_that_hold_another() -> None:
    held = replace(_params("a [red:blue:.3] boat"), count=4)
    for wanted in (held, replace(held, hold=False, retouch=True)):
        assert Action.WALK not in available_actions(wanted, describe_model(EMBEDDED))
        with pytest.raises(UserError, match="leave out `--hold` and `--retouch`"):
            walk(wanted, wanted.parts, 9, 24)


def test_a_held_picture_costs_the_rows_of_both() -> None:
    held = _params("a [red:blue:.3] boat")
    assert compute_cost(held, None) == 3 * compute_cost(replace(held, hold=False), None)
