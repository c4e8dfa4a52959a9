"""Colours over a grey picture, whose lightness stays exact."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from generation.engine.images.lightness import as_grey, lightness_of, with_lightness

LEVELS = np.repeat(np.arange(256, dtype=np.uint8), 64).reshape(256, 64)
RANDOM = np.random.default_rng(0)
COLOURS = {
    "random": RANDOM.integers(0, 256, (256, 64, 3), dtype=np.uint8),
    "saturated": 255 * RANDOM.integers(0, 2, (256, 64, 3), dtype=np.uint8),
    "black": np.zeros((256, 64, 3), np.uint8),
    "white": np.full((256, 64, 3), 255, np.uint8),
    "blue": np.tile(np.array([0, 0, 255], np.uint8), (256, 64, 1)),
    "one level": np.tile(np.array([128, 128, 129], np.uint8), (256, 64, 1)),
}


def _cielab_lightness(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return L of CIELAB by its definition, in levels of 8 bits."""
    values = pixels / 255
    light = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    luminance = light @ np.array([0.2126, 0.7152, 0.0722])
    is_dark = luminance <= (6 / 29) ** 3
    lightness: NDArray[np.float64] = np.where(is_dark, luminance * (29 / 3) ** 3, 116 * np.cbrt(luminance) - 16)
    return 2.55 * lightness


@pytest.mark.parametrize("name", COLOURS)
def test_the_lightness_stays_exact_whatever_the_colours(name: str) -> None:
    result = with_lightness(COLOURS[name], LEVELS)
    assert (lightness_of(result) == LEVELS).all()
    assert np.abs(_cielab_lightness(result) - _cielab_lightness(as_grey(LEVELS))).max() <= 1


@pytest.mark.parametrize("level", [0, 1, 127, 254, 255])
def test_a_picture_of_one_level_keeps_it(level: int) -> None:
    levels = np.full((256, 64), level, np.uint8)
    result = with_lightness(COLOURS["saturated"], levels)
    assert (lightness_of(result) == levels).all()
    if level in (0, 255):
        assert (result == level).all()


def test_grey_over_grey_changes_nothing() -> None:
    assert (lightness_of(as_grey(LEVELS)) == LEVELS).all()
    assert (with_lightness(as_grey(LEVELS[::-1]), LEVELS) == as_grey(LEVELS)).all()


def test_colours_that_fit_stay_and_others_lose_saturation_only() -> None:
    soft = np.array([[200, 120, 110], [90, 140, 100], [80, 100, 160]], np.uint8)
    assert np.abs(with_lightness(soft, lightness_of(soft)).astype(int) - soft).max() <= 2
    (dark_red,) = with_lightness(np.array([[255, 0, 0]], np.uint8), np.array([30], np.uint8)).astype(int)
    (light_red,) = with_lightness(np.array([[255, 0, 0]], np.uint8), np.array([220], np.uint8)).astype(int)
    assert dark_red[0] > dark_red[1:].max() + 30
    assert light_red[0] >= 254
    assert light_red[1:].min() > 180
