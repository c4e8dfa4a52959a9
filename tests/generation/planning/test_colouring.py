"""Which prompts make a picture grey, and what they say without that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from generation.job import Action
from generation.models.model import EMBEDDED, describe_model
from generation.params import FilmKind, FilmPlan, PromptPart, Tile
from generation.planning import actions
from generation.planning.colouring import colourised, is_drawn_grey
from tests.support.jobs import make_job

MODEL = describe_model(EMBEDDED)


def params_of(*parts):
    return replace(make_job().params, parts=tuple(PromptPart(*part) for part in parts))


@pytest.mark.parametrize(
    ("text", "in_colour"),
    [
        ("a fox, black and white", "a fox"),
        ("black and white, a fox, night", "a fox, night"),
        ("A Black-and-White photo of a fox", "A photo of a fox"),
        ("monochrome photograph, a fox", "a fox"),
        ("a fox on the hills, greyscale, masterpiece", "a fox on the hills, masterpiece"),
        ("a fox in black and white", "a fox"),
        ("a fox in black and white, snow", "a fox, snow"),
        ("A fox at night. Black and white.", "A fox at night."),
        ("a dramatic black and white portrait photo of a fox", "a dramatic portrait photo of a fox"),
        ("b&w", ""),
    ],
)
def test_words_for_a_grey_picture_are_left_out(text, in_colour):
    params = params_of((text,))
    assert is_drawn_grey(params)
    coloured = colourised(params)
    assert (coloured.parts[0].text, coloured.colourise) == (in_colour, True)
    assert not is_drawn_grey(coloured)


@pytest.mark.parametrize(
    "text",
    [
        "a black and white cat",
        "a zebra, black and white stripes",
        "a grey fox",
        "a fox in black",
        "a room with black and white picture frames",
        "a room with a black and white photo on the wall",
        "a girl in a black and white style dress",
        "",
    ],
)
def test_words_for_grey_things_stay(text):
    params = params_of((text,))
    assert not is_drawn_grey(params)
    assert colourised(params).parts == params.parts


def test_a_part_that_says_nothing_else_goes_with_its_weight():
    assert colourised(params_of(("a fox", 2), ("black and white", 1))).parts == (PromptPart("a fox", 2),)
    without_words = colourised(params_of(("black and white", 2), ("a dog", -0.5))).parts
    assert without_words == (PromptPart("", 2), PromptPart("a dog", -0.5))


def test_only_what_is_asked_for_counts():
    params = params_of(("a fox",), ("black and white", -0.5))
    assert not is_drawn_grey(params)


def test_a_grey_picture_is_coloured_at_its_lightness_unless_it_is_already():
    grey = params_of(("a fox, black and white",))
    assert Action.COLOUR in actions.available_actions(grey, MODEL)
    child = actions.colour(grey, Tile("0" * 12, 2), MODEL, 7)
    assert (child.source, child.strength, child.count) == (Tile("0" * 12, 2), actions.COLOUR_STRENGTH, 4)
    film = FilmPlan(FilmKind.ZOOM_OUT, 3)
    for other in (child, replace(grey, colourise=True), replace(grey, mix="a cat"), replace(grey, film=film)):
        assert Action.COLOUR not in actions.available_actions(other, MODEL)
