"""The markup of a copied source is undone: HTML's, Discord's, and line breaks written as two characters."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.prompt import format_prompt, parse_prompt, read_prompt

REGISTRY = ModelRegistry((Model(name="storybook", ref="m"),))
SETTINGS = {"negative": "ugly", "steps": 20, "seed": 5}


def meaning(typed: str) -> tuple[list[str], dict[str, object]]:
    reading = read_prompt(typed, REGISTRY)
    assert reading.problems == ()
    return [part.text for part in reading.parts], dict(reading.parameters)


@pytest.mark.parametrize(
    "pasted",
    [
        r"a fox\nNegative prompt: ugly\nSteps: 20, Seed: 5",
        r"a fox\r\nNegative prompt: ugly\r\nSteps: 20, Seed: 5",
        r'"a fox\nNegative prompt: ugly\nSteps: 20, Seed: 5"',
        r"a fox\nNegative prompt：ugly\nＳｔｅｐｓ：20，Seed：5",
        "a fox<br>Negative prompt: ugly<br/>Steps: 20, Seed: 5",
        "<p>a fox</p><p>Negative prompt: ugly</p><p>Steps: 20, Seed: 5</p>",
        '<div class="prompt">a <b>fox</b></div><div>Negative prompt: ugly</div>Steps: 20, Seed: 5',
        "a fox&#10;Negative prompt&#58; ugly&#x0A;Steps: 20, Seed: 5",
        "a&nbsp;fox\nNegative prompt: ugly\nSteps: 20, Seed: 5",
    ],
)
def test_infotext_is_read_from_the_source_of_a_page(pasted):
    assert meaning(pasted) == (["a fox"], SETTINGS)


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("Tom &amp; &quot;Jerry&quot; &mdash;ar 3:2", 'Tom & "Jerry"'),
        ("a fox&nbsp;in snow &#45;&#45;ar 3:2", "a fox in snow"),
        (r"a fox,\n\nsnow\n--ar 3:2", "a fox, snow"),
        ("||a fox --ar 3:2||", "a fox"),
        ("||a fox|| --ar 3:2", "a fox"),
        ("a fox ||in snow|| --ar 3:2", "a fox in snow"),
        ("> a fox\n--ar 3:2", "a fox"),
        ("> a fox\n> in snow\n\n> --ar 3:2", "a fox in snow"),
        ("`a fox` --ar 3:2", "a fox"),
        ('"a fox" --ar 3:2', "a fox"),
        ("*a fox* --ar 3:2", "a fox"),
        ("__a fox__ --ar 3:2", "a fox"),
        ("_a fox --ar 3:2_", "a fox"),
        ("~~a fox~~ --ar 3:2", "a fox"),
        ("***a fox*** --ar 3:2", "a fox"),
        ("a *red* fox --ar 3:2", "a red fox"),
        ("# a fox --ar 3:2", "a fox"),
        ("-# a fox --ar 3:2", "a fox"),
        ("- a fox --ar 3:2", "a fox"),
        ("• **a fox** --ar 3:2", "a fox"),
        ("Here is your prompt:\n```\na fox --ar 3:2\n```", "a fox"),
        ("Sure! Here is a prompt for you: a fox --ar 3:2", "a fox"),
        ("# Prompt\na fox --ar 3:2", "a fox"),
        ("**Prompt 1:** a fox --ar 3:2", "a fox"),
        ('--prompt "a fox" --ar 3:2', "a fox"),
        ("|| a fox --ar 3:2 ||", "a fox"),
        ('a fox "--ar 3:2"', "a fox"),
        ("a%20fox%20--ar%203%3A2", "a fox"),
    ],
)
def test_marks_that_no_reader_sees_are_left_out(typed, text):
    assert meaning(typed) == ([text], {"aspect": (3, 2)})


_PIECES = r"""&amp; & amp; &#10; <br> </p> <p \ \n r n * _ __ | || ~~ # % %20 ::50%
-ar 3:2 = here is prompt: prompt= ' ( ) fox —no Steps:3, Ｓｔｅｐｓ：3， Seed:4"""
_pieces = st.sampled_from([*_PIECES.split(), " ", "- ", "> ", "—no one"])


@settings(max_examples=500)
@given(st.lists(_pieces, max_size=10).map("".join))
def test_what_was_read_is_read_again(typed):
    reading = read_prompt(typed, REGISTRY)
    if reading.request is not None:
        params = reading.request.params
        assert parse_prompt(format_prompt(params, REGISTRY, seed=True), REGISTRY).params == params
