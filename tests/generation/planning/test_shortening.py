"""Prompts split into words, and what is left of them when the weak ones are gone."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.params import Word
from generation.planning.shortening import (
    MASS_KEPT,
    MAX_WORDS,
    join_words,
    shorter_texts,
    split_words,
    weights_of,
    without_word,
)


@given(st.text(alphabet="ab ,.;赤い船の、カ", max_size=400))
def test_the_words_of_a_text_are_the_text_again(text: str) -> None:
    text = " ".join(text.split())
    words = split_words(text)
    assert "".join(words) == text
    assert len(words) <= MAX_WORDS


def test_punctuation_belongs_to_the_word_before_it() -> None:
    words = split_words("a red boat, at sunset - calm")
    assert words == ("a ", "red ", "boat, ", "at ", "sunset - ", "calm")
    assert without_word(words, 2) == "a red at sunset - calm"
    assert without_word(words, 5) == "a red boat, at sunset -"


def test_a_language_without_spaces_has_words_as_well() -> None:
    assert split_words("海の上の赤い船、夕日") == ("海の", "上の", "赤い", "船、", "夕日")


def test_a_very_long_prompt_is_weighed_in_phrases() -> None:
    text = ", ".join(f"thing {number} of many" for number in range(90))
    words = split_words(text)
    assert len(words) <= MAX_WORDS
    assert words[0].strip(" ,") in ("thing 0 of many", "thing 0 of many, thing 1 of many")


def test_weights_are_logarithms_from_0_to_1() -> None:
    assert weights_of([1.0, 0.1, 0.001, 0.0]) == pytest.approx((1.0, 2 / 3, 0.0, 0.0))
    assert weights_of([]) == ()
    assert weights_of([0.0, 0.0]) == (1.0, 1.0), "no word matters more than another"


WORDS = [
    Word("a ", 0.0), Word("beautiful ", 0.0), Word("red ", 0.5), Word("boat ", 0.5), Word("on ", 0.0),
    Word("the ", 0.0), Word("sea ", 0.6), Word("at ", 0.05), Word("sunset, ", 1.0), Word("masterpiece", 0.0),
]  # fmt: skip


def test_five_texts_are_shorter_and_shorter_in_the_order_of_the_words() -> None:
    texts = shorter_texts(WORDS)
    assert texts[0] == "red boat sea at sunset"
    assert len(texts) == len(MASS_KEPT) == len(set(texts))
    assert all(len(later) < len(earlier) for earlier, later in pairwise(texts))
    assert texts[-1] == "sunset"


@pytest.mark.parametrize("words", [[Word("fox", 1.0)], [Word("a ", 0.0), Word("fox", 1.0)]])
def test_what_is_short_already_is_left_alone(words: list[Word]) -> None:
    assert shorter_texts(words) == ("fox",)


def test_commas_at_the_ends_are_dropped() -> None:
    assert join_words(["boat, ", "sunset, "]) == "boat, sunset"


def test_a_weighted_group_is_one_word() -> None:
    words = split_words("a (red fox:1.3), in (the) snow")
    assert words == ("a ", "(red fox:1.3), ", "in ", "(the) ", "snow")
