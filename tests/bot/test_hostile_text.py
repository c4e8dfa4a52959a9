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
    """Return how long a call takes."""
    start = time.process_time()
    function(text)
    return time.process_time() - start


def grows_too_fast(function, prefix: str, unit: str) -> bool:
    """Return whether a long text takes too many times as long as a short one, in each of three tries."""
    shortest = longest = float("inf")
    for _ in range(3):
        longest = min(longest, seconds(function, prefix + unit * (LONG // len(unit))))
        if longest < ENOUGH_S:
            return False
        shortest = min(shortest, *(seconds(function, prefix + unit * (SHORT // len(unit))) for _ in range(2)))
        if longest < MOST * shortest + ENOUGH_S:
            return False
    return True


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_work_grows_as_the_text_does(name):
    too_fast = [
        (prefix, unit) for prefix in STARTS for unit in FEW_UNITS if grows_too_fast(FUNCTIONS[name], prefix, unit)
    ]
    assert too_fast == []


def test_hostile_texts_have_the_length_of_a_prompt():
    assert {len(text) for text in hostile_text.hostile_texts(200)} == {200}
