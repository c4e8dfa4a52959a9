"""Prompts whose words change while a picture is drawn, and prose that only looks like it."""

from __future__ import annotations

import contextlib
import time

import pytest

from generation.models.catalogue import Family
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.params import from_dict, to_dict
from generation.prompt import PromptError, format_prompt, parse_params
from generation.prompt.edits import mark_edits
from tests.support.growth import assert_grows_linearly

MODEL = Model(name="storybook", ref="models/storybook", num_inference_steps=20)
REGISTRY = ModelRegistry((MODEL,))
INFOTEXT = "\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x512"


@pytest.mark.parametrize(
    ("typed", "texts", "echo"),
    [
        ("a [red:blue:.4] boat", ["a red boat", "a blue boat"], "a [red:blue:0.4] boat"),
        ("a [red : blue : 0.4] boat", ["a red boat", "a blue boat"], "a [red : blue :0.4] boat"),
        ("hills [a moon:.4]", ["hills", "hills a moon"], "hills [:a moon:0.4]"),
        ("hills [a moon: 0.4]", ["hills", "hills a moon"], "hills [:a moon:0.4]"),
        ("[fog::.4] hills", ["fog hills", "hills"], "[fog::0.4] hills"),
        ("[:fog:.4] hills", ["hills", "fog hills"], "[:fog:0.4] hills"),
        ("a [cat:dog:10]", ["a cat", "a dog"], "a [cat:dog:10]"),
        ("a cat [hat:10]", ["a cat", "a cat hat"], "a cat [:hat:10]"),
        ("a cat [hat::10]", ["a cat hat", "a cat"], "a cat [hat::10]"),
        ("[rot:blau:0,4]", ["rot", "blau"], "[rot:blau:0.4]"),
        ("[red:blue:40%]", ["red", "blue"], "[red:blue:0.4]"),
        ("[red:blue:0.333333]", ["red", "blue"], "[red:blue:0.333333]"),
        ("[red:blue:.000012]", ["red", "blue"], "[red:blue:0.000012]"),
        ("[红：蓝：.5]", ["红", "蓝"], "[红:蓝:0.5]"),
        ("[(red:1.2):blue:.5]", ["(red:1.2)", "blue"], "[(red:1.2):blue:0.5]"),
        ("[red [fox]:blue:.5]", ["red [fox]", "blue"], "[red [fox]:blue:0.5]"),
        ("[a:[b:c:.6]:.3]", ["a", "b", "c"], "[a:[b:c:0.6]:0.3]"),
        ("[[a:b:.3]:c:.6]", ["a", "b", "c"], "[[a:b:0.3]:c:0.6]"),
        ("[a:b:.2] [c:d:.8]", ["a c", "b c", "b d"], "[a:b:0.2] [c:d:0.8]"),
        (r"[a\:x:b:.5]", ["a:x", "b"], r"[a\:x:b:0.5]"),
        ("[a:b:.2] [c:d:9]", ["a c", "a d", "b d", "b c"], "[a:b:0.2] [c:d:9]"),
    ],
)
def test_brackets_that_end_in_a_share_or_in_steps_change_words(typed: str, texts: list[str], echo: str) -> None:
    params = parse_params(typed, REGISTRY)
    (part,) = params.parts
    assert (list(part.texts), part.text) == (texts, texts[0])
    assert format_prompt(params, REGISTRY) == echo
    assert parse_params(echo, REGISTRY, new_seed=lambda: params.seed) == params
    assert from_dict(to_dict(params)) == params


@pytest.mark.parametrize(
    "prose",
    [
        "a clock [12:30]",
        "[12:30:45] on the clock",
        "[t:12:30]",
        "a sign [Exit: 3]",
        "a page [John 3:16]",
        "[16:9] poster",
        "[f:2.8] bokeh",
        "[note: the sky is red]",
        "[Scene 1: a fox]",
        "[a fox] and [a hen]",
        "[one:two]",
        "[a:b:c:.5]",
        r"[red:blue\:.5]",
        r"\[red:blue:.5\]",
        "[(red:blue:.5]",
        "(red:.5)",
        "a list: [x, y: .5, z]",
    ],
)
def test_prose_with_brackets_and_colons_stays_prose(prose: str) -> None:
    (part,) = parse_params(prose, REGISTRY).parts
    assert not part.edited
    assert part.text == prose.replace(r"blue\:", "blue:")


def test_double_colons_in_an_edit_are_no_weights() -> None:
    parts = parse_params("hills::2 [fog::.4] river::.5 [a::b", REGISTRY).parts
    assert [(part.texts, part.weight) for part in parts] == [
        (("hills",), 2.0),
        (("fog river", "river"), 0.5),
        (("[a",), 1.0),
        (("b",), 1.0),
    ]


@pytest.mark.parametrize(
    "divided", ["[(a::2):b:.5]", "[red [a :: b]:blue:.5]", "[a:((b∷ c)):10]", "[a:(b::[c:d:.3]):.5]"]
)
def test_brackets_that_a_weight_divides_are_no_edit(divided: str) -> None:
    params = parse_params(divided, REGISTRY)
    assert len(params.parts) == 2
    assert params.parts[0].text.startswith("[")
    assert parse_params(format_prompt(params, REGISTRY), REGISTRY, new_seed=lambda: params.seed) == params


def test_edits_of_infotext_are_taken_over_with_its_other_colons_escaped() -> None:
    params = parse_params(f"a [red:blue:0.4] boat, [fog::0.5], a::b{INFOTEXT}", REGISTRY)
    (part,) = params.parts
    assert part.texts == ("a red boat, fog, a::b", "a blue boat, fog, a::b", "a blue boat, , a::b")


def test_too_many_changes_are_refused() -> None:
    parse_params(" ".join(["[a:b:.5]"] * 16), REGISTRY)
    with pytest.raises(PromptError, match="at most 16 times"):
        parse_params(" ".join(["[a:b:.5]"] * 17), REGISTRY)


def test_a_model_with_another_loop_refuses_changing_words() -> None:
    flux = Model(name="flux", ref="somebody/flux", family=Family.FLUX)
    with pytest.raises(PromptError, match="with flux: it cannot change words while a picture is drawn"):
        parse_params("a [red:blue:.5] boat", ModelRegistry((flux,)))


@pytest.mark.parametrize("unit", ["[a:.5]", "[(a::2):b:.5]", "(a:1.3)"])
def test_reading_edits_grows_with_the_length(unit: str) -> None:
    assert_grows_linearly(mark_edits, unit)


def test_nested_brackets_without_letters_are_read_in_time_that_grows_with_the_length() -> None:
    assert_grows_linearly(lambda text: mark_edits("[" * (len(text) // 2) + text), ":.5]")


@pytest.mark.parametrize("hostile", ["[" * 3000 + "a:.5]" * 600, "[a:" * 1500 + ".5]" * 400, "(" * 3000 + "[a:b:.5]"])
def test_nested_brackets_take_no_time(hostile: str) -> None:
    before = time.perf_counter()
    with contextlib.suppress(PromptError):
        parse_params(hostile[:6000], REGISTRY)
    assert time.perf_counter() - before < 5
