"""`--hold`: where words change, the new ones are drawn, and less changes elsewhere than without it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from tests.support.embedded_model import Drawing, EmbeddedModelHarness, Pixels

HUES = {"red": 0, "green": 85, "orange": 18, "purple": 195}  # of 256, as Pillow counts them
SEEDS = (3, 7)
Mask = NDArray[np.bool_]


def _is(colour: str, drawing: Drawing) -> Mask:
    """Return where a picture is of a strong colour."""
    tile = Image.fromarray(drawing.tiles[0].astype(np.uint8)).convert("HSV")
    hue, saturation, value = np.moveaxis(np.asarray(tile, int), -1, 0)
    distance = np.abs((hue - HUES[colour] + 128) % 256 - 128)
    return np.asarray((distance < 18) & (saturation > 100) & (value > 60))


def _around(mask: Mask) -> Mask:
    grown = Image.fromarray(mask.astype(np.uint8) * 255).filter(ImageFilter.MaxFilter(17))
    return np.asarray(grown) > 0


def _changes(before: Drawing, after: Drawing, outside: Mask) -> float:
    difference: Pixels = np.abs(before.tiles[0] - after.tiles[0]).mean(-1)
    return float(difference[outside].mean())


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [("a {} boat on the sea", "red", "green"), ("a {} castle on the hills", "purple", "orange")],
)
def test_a_thing_gets_its_new_colour_and_all_else_stays(
    embedded_model: EmbeddedModelHarness, text: str, before: str, after: str
) -> None:
    changed = text.format(f"[{before}:{after}:.0]")
    outside_plain, outside_held = [], []
    for seed in SEEDS:
        drawn, plain, held = embedded_model.generate(text.format(before), changed, f"{changed} --hold", seed=seed)
        thing, new, new_plain = (_is(*each) for each in ((before, drawn), (after, held), (after, plain)))
        assert new.sum() >= 0.8 * new_plain.sum()
        assert _is(before, held).sum() <= 0.1 * thing.sum()
        outside = ~_around(thing | new | new_plain)
        outside_plain.append(_changes(drawn, plain, outside))
        outside_held.append(_changes(drawn, held, outside))
    assert np.mean(outside_held) <= np.mean(outside_plain) / 2


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [("a {} castle on the hills", "purple", "orange"), ("a {} car in the snow", "red", "green")],
)
def test_a_given_picture_changes_only_where_words_change(
    embedded_model: EmbeddedModelHarness, text: str, before: str, after: str
) -> None:
    (given,) = embedded_model.generate(text.format(before), seed=SEEDS[0])
    prompts = (f"{text.format(after)} --iw 0.32", f"{text.format(f'[{before}:{after}:.0]')} --retouch")
    plain, retouched = embedded_model.generate(*prompts, source=given.files[0], seed=SEEDS[1])
    thing, new, new_plain = (_is(*each) for each in ((before, given), (after, retouched), (after, plain)))
    outside = ~_around(thing | new | new_plain)
    assert new.sum() >= 0.8 * new_plain.sum()
    assert _is(before, retouched).sum() <= 0.1 * thing.sum()
    assert _changes(given, retouched, outside) <= _changes(given, plain, outside) / 2
