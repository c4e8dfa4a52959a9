"""No text from outside keeps the event loop busy: the work grows as the text does, not as its square."""

from __future__ import annotations

import pytest

from benchmarks import hostile_text
from benchmarks.hostile_text import FUNCTIONS, UNITS
from tests.support.growth import assert_grows_linearly

STARTS = ("", "Steps: 1, Seed: 2, --no ")
READ_SETTINGS = {
    "convert_infotext",
    "strip_copied_text",
    "permute",
    "read_prompt",
    "without_model",
    "format_prompt",
    "escape",
}
# One mark of a kind is enough here; the benchmark takes all.
FEW_UNITS = [unit for unit in UNITS if len(unit) > 1 or unit.isascii() or unit in "ﷺ—：、。“字ᾨ"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_work_grows_as_the_text_does(name):
    for prefix in STARTS if name in READ_SETTINGS else ("",):  # to the others, the start is words as any
        for unit in FEW_UNITS:
            assert_grows_linearly(FUNCTIONS[name], unit, prefix)


def test_hostile_texts_have_the_length_of_a_prompt():
    assert {len(text) for text in hostile_text.hostile_texts(200)} == {200}
