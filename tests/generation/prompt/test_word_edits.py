"""Edit words: the prompt that goes from the words of a picture to others, as briefly as it can be read again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings

from generation.errors import UserError
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.params import Params, PromptPart
from generation.planning.prompt_stages import prompt_stages
from generation.prompt import format_prompt, parse_params, parse_prompt
from generation.prompt.word_edits import edit_words
from tests.generation.prompt.test_parser import shown_texts

REGISTRY = ModelRegistry((Model(name="storybook", ref="models/storybook", num_inference_steps=20),))


def _params(typed: str) -> Params:
    return parse_prompt(typed, REGISTRY, forms=["keep"], new_seed=lambda: 7).params


@pytest.mark.parametrize(
    ("drawn", "edited", "keep", "written"),
    [
        ("a red boat on the sea", "a blue boat on the sea", 25, "a [red:blue:0.25] boat on the sea"),
        ("a boat", "a boat at night", 29, "a boat [:at night:0.29]"),
        ("a boat at night", "a boat", 40, "a boat [at night::0.4]"),
        ("red boat", "blue boat", 5, "[red:blue:0.05] boat"),
        ("a fox", "an owl", 50, "[a fox:an owl:0.5]"),
        ("the the", "the the the", 50, "the the [:the:0.5]"),
        ("3 foxes", "5 foxes", 50, "[3 foxes:5 foxes:0.5]"),
        ("a fox::2 snow", "an owl::2 snow", 50, "[a fox:an owl:0.5]::2 snow"),
        ("a [red:blue:.5] fox", "a green fox", 20, "[a [red:blue:0.5] fox:a green fox:0.2]"),
        ("a note: red", "a note: blue", 20, "a note: [red:blue:0.2]"),
        ("a red boat", "a blue boat", 0, "a blue boat"),
        ("a red boat", "a blue boat", 100, "a red boat"),
        ("a red boat", "a red boat", 50, "a red boat"),
        ("a red boat", "a blue boat --cfg 3", 50, "a [red:blue:0.5] boat --cfg 3"),
        ("a red boat", "a blue boat --hold", 0, "a [red:blue:0.0] boat --hold"),
        ("a red boat", "a blue boat --hold", 20, "a [red:blue:0.2] boat --hold"),
        ("a red boat", "a blue boat --hold", 100, "a red boat"),
        ("a red boat", "a red boat --cfg 3 --hold", 20, "a red boat --cfg 3"),
        ("a [red:blue:.2] boat", "a [red:blue:.2] boat --cfg 3 --hold", 0, "a [red:blue:0.2] boat --cfg 3"),
        ("a [red:blue:.2] boat", "a green boat --hold", 100, "a [red:blue:0.2] boat"),
        ("a [red:blue:.0] boat --hold", "a blue boat --hold", 0, "a [red:blue:0.0] boat --hold"),
        ("a [red:blue:.0] boat --hold", "a blue boat --hold", 15, "a [red:blue:0.15] boat --hold"),
        ("a [red:blue:.2] boat --hold", "a red boat --hold", 0, "a red boat"),
        ("a [red:blue:.2] boat --hold", "a green boat --hold", 10, "a [red:green:0.1] boat --hold"),
        ("a [red:blue:.2] boat --hold", "a blue boat", 10, "a [red:blue:0.2] boat"),
        ("a [red:blue:.2] boat --hold", "a blue car", 0, "a blue car"),
    ],
)
def test_words_change_after_the_share_that_is_kept(drawn: str, edited: str, keep: int, written: str) -> None:
    params = edit_words(_params(drawn), _params(edited), keep)
    assert format_prompt(params, REGISTRY) == written
    assert _params(written) == params


@settings(max_examples=100)
@given(shown_texts, shown_texts)
def test_what_is_edited_begins_as_the_one_and_ends_as_the_other(drawn: str, edited: str) -> None:
    first, last = (replace(_params("x"), parts=(PromptPart(text),)) for text in (drawn, edited))
    try:
        params = edit_words(first, last, 50)
    except UserError:
        return
    stages = prompt_stages(params, 10)
    texts = [" ".join(each.parts[0].text.split()) for _, each in stages]
    assert [texts[0], texts[-1]] == [" ".join(drawn.split()), " ".join(edited.split())]
    assert parse_params(format_prompt(params, REGISTRY), REGISTRY).parts == params.parts


@pytest.mark.parametrize(
    ("drawn", "edited", "problem"),
    [
        ("a fox", "a fox::2 snow", "parts and weights"),
        ("a fox :( x", "an owl [ y", "a bracket is open"),
        ("12:30", "12:45", "no letters"),
        (" ".join(["[a:b:.5]"] * 16), "a fox", "too often already"),
    ],
)
def test_words_that_cannot_change_are_refused(drawn: str, edited: str, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        edit_words(_params(drawn), _params(edited), 25)
    assert edit_words(_params(drawn), _params(edited), 0) == _params(edited)
