"""Permutations: the prompts that groups in braces expand to, and their number."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generation.prompt.permutations import TooManyPermutations, count, expand


@pytest.mark.parametrize(
    ("text", "prompts"),
    [
        ("a fox", ["a fox"]),
        ("", [""]),
        ("a {red, blue} fox", ["a red fox", "a blue fox"]),
        ("{red,blue}{fox,cat}", ["redfox", "redcat", "bluefox", "bluecat"]),
        ("{a, {b, c} d} e", ["a e", "b d e", "c d e"]),
        ("{a, b{, c}}", ["a", "b", "bc"]),
        ("fox --ar {3:2, 1:1}", ["fox --ar 3:2", "fox --ar 1:1"]),
        ("fox --{tile, draft}", ["fox --tile", "fox --draft"]),
        ("a {, red} fox", ["a fox", "a red fox"]),
        ("{red} fox", ["red fox"]),
        ("{} fox", ["fox"]),
        ("{a, a}", ["a", "a"]),
        (r"{one\, two, three}", [r"one\, two", "three"]),
        (r"\{a, b\}", [r"\{a, b\}"]),
        (r"{\{a\}, b}", [r"\{a\}", "b"]),
        ("a, b {c, d}, e", ["a, b c, e", "a, b d, e"]),
        ("an open { brace, {a, b}", ["an open { brace, a", "an open { brace, b"]),
        ("a closed } brace", ["a closed } brace"]),
        ("{赤い, 青い} 狐", ["赤い 狐", "青い 狐"]),
        ("{赤い、青い} 狐、月", ["赤い 狐、月", "青い 狐、月"]),
        ("{红色，蓝色}狐狸", ["红色狐狸", "蓝色狐狸"]),
    ],
)
def test_a_group_expands_to_each_of_its_choices(text, prompts):
    assert expand(text, limit=10) == prompts
    assert count(text) == len(prompts)


def test_too_many_permutations_are_counted_without_being_expanded():
    with pytest.raises(TooManyPermutations, match="make 1,024 prompts; at most 40"):
        expand("{a, b}" * 10, limit=40)
    with pytest.raises(TooManyPermutations, match="make more than 1,000,000 prompts"):
        expand("{a, b}" * 1000, limit=40)


def test_thousands_of_nested_groups_are_expanded():
    assert expand("{" * 3000 + "a" + "}" * 3000, limit=1) == ["a"]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(["{", "}", ",", "\\", "a", " ", "b"]) | st.text(max_size=3), max_size=15).map("".join))
def test_any_text_expands_to_as_many_prompts_as_counted(text):
    total = count(text)
    assert total >= 1
    if total <= 1000:
        assert len(expand(text, limit=1000)) == total


WORD = st.text(st.characters(categories=["L"]), max_size=4)


@given(st.lists(st.lists(WORD, min_size=1, max_size=3), max_size=3))
def test_groups_multiply_like_a_product(groups):
    text = " ".join("{" + ", ".join(choices) + "}" for choices in groups)
    assert expand(text, limit=27) == [" ".join(" ".join(choice).split()) for choice in itertools.product(*groups)]
