"""Weights of words within a text, and brackets that are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.planning.emphasis import MAX_WEIGHT, read_emphasis, without_emphasis
from tests.support.growth import assert_grows_linearly


@pytest.mark.parametrize(("text", "pieces"), [
    ("a (red:1.3) fox", [("a ", 1), ("red", 1.3), (" fox", 1)]),
    ("(red fox：1.3)", [("red fox", 1.3)]),
    ("(red:1,3)", [("red", 1.3)]),
    ("(red:.5)", [("red", 0.5)]),
    ("(red:1.157625) fox", [("red", 1.157625), (" fox", 1)]),
    ("(red: 1.3 )", [("red", 1.3)]),
    ("(red:0) fox", [("red", 0), (" fox", 1)]),
    ("((red:1.2) fox:1.5) snow", [("red", 1.8), (" fox", 1.5), (" snow", 1)]),
    ("(a (b) c:1.1)", [("a (b) c", 1.1)]),
    ("(mp3:1.2) player", [("mp3", 1.2), (" player", 1)]),
    ("(red:1.0)fox", [("redfox", 1)]),
])  # fmt: skip
def test_a_number_before_the_bracket_is_a_weight(text, pieces):
    assert [(piece, pytest.approx(weight)) for piece, weight in pieces] == list(map(tuple, read_emphasis(text)))


@pytest.mark.parametrize("text", [
    "",
    "a fox (cute)",
    "((big)) [small]",
    "nice (:3)",
    "(so nice :3)",
    "a screen (4:3)",
    "(Genesis 1:2)",
    "(at 5:30)",
    "(red:3)",
    "(red:12.5)",
    "a) red:1.3) fox",
    "(red:1.3",
    r"\(red:1.3\)",
])  # fmt: skip
def test_other_brackets_are_plain_text(text):
    assert read_emphasis(text) == ((text, 1.0),)
    assert without_emphasis(text) == text


@given(st.text(alphabet="ab ():.,1025\\", max_size=60))
def test_no_words_are_added_or_moved(text):
    rest = iter(text)
    assert all(character in rest for character in without_emphasis(text))


@given(st.lists(st.tuples(st.text("ab ", max_size=9), st.sampled_from([0.5, 1.0, 1.25])), max_size=6))
def test_written_weights_are_read_again(pieces):
    text = "".join(f"({piece}:{weight})" for piece, weight in pieces)
    read = [(character, weight) for piece, weight in read_emphasis(text) for character in piece]
    assert read == [(character, weight) for piece, weight in pieces for character in piece]


def test_deep_nesting_costs_no_more_than_its_length():
    assert_grows_linearly(lambda text: read_emphasis("(" * len(text) + text), "a:1.1)")


def test_nested_weights_are_not_multiplied_without_end() -> None:
    nested = "(" * 400 + "fox" + ":9.9)" * 400
    assert read_emphasis(f"a {nested}")[-1] == ("fox", MAX_WEIGHT)
