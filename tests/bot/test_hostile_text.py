"""No text from outside keeps the event loop busy: the work grows as the text does, not as its square."""

from __future__ import annotations

import time

import pytest

from benchmarks import hostile_text
from benchmarks.hostile_text import FUNCTIONS, UNITS

SHORT, LONG = 1500, 6000
ENOUGH_S = 0.012  # under that, a ratio says nothing
MOST = 9  # times as long for a text of four times the length; a square makes it 16
STARTS = ("", "Steps: 1, Seed: 2, --no ")
# One mark of a kind is enough here; the benchmark takes all.
FEW_UNITS = [unit for unit in UNITS if len(unit) > 1 or unit.isascii() or unit in "ﷺ—：、。“字ᾨ"]


def seconds(function, text: str) -> float:
    """Return the shortest of three times."""
    taken = []
    for _ in range(3):
        start = time.process_time()
        function(text)
        taken.append(time.process_time() - start)
        if taken[-1] < ENOUGH_S:
            break
    return min(taken)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_work_grows_as_the_text_does(name):
    function = FUNCTIONS[name]
    for prefix in STARTS:
        for unit in FEW_UNITS:
            long = seconds(function, prefix + unit * (LONG // len(unit)))
            if long >= ENOUGH_S:
                assert long < MOST * seconds(function, prefix + unit * (SHORT // len(unit))) + ENOUGH_S, (prefix, unit)


def test_hostile_texts_have_the_length_of_a_prompt():
    assert {len(text) for text in hostile_text.hostile_texts(200)} == {200}
