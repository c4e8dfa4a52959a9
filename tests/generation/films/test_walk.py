"""The film of a walk changes evenly, whatever its pictures do."""

from __future__ import annotations

from itertools import pairwise
from statistics import median

import pytest
from PIL import Image, ImageChops

from generation.films.appearance import appearance_film
from generation.films.walk import picture_distance, walk_film


def grey(level: int) -> Image.Image:
    return Image.new("RGB", (64, 64), (level, level, level))


@pytest.mark.parametrize("levels", [[0, 1, 2, 3, 200, 201, 250], [10, 90, 91, 92, 93, 94], list(range(0, 240, 10))])
def test_frames_change_evenly_however_the_pictures_do(levels: list[int]) -> None:
    film = walk_film([grey(level) for level in levels])
    steps = [picture_distance(*pair) for pair in pairwise(film.frames())]
    assert max(steps) / median(steps) <= 3
    assert min(steps) > 0


def test_both_ends_are_the_pictures_themselves() -> None:
    film = walk_film([grey(level) for level in (7, 100, 101, 220)])
    frames = list(film.frames())
    assert not ImageChops.difference(frames[0], grey(7)).getbbox()
    assert not ImageChops.difference(frames[-1], grey(220)).getbbox()


def test_a_walk_of_24_pictures_takes_about_four_seconds_and_holds_its_ends() -> None:
    film = walk_film([grey(10 * number) for number in range(24)])
    assert len(film) == 48
    assert film.seconds == pytest.approx(5.4, abs=0.1)


def test_pictures_that_are_all_the_same_make_a_film() -> None:
    film = walk_film([grey(5)] * 24)
    assert len(list(film.frames())) == len(film) == 48


@pytest.mark.parametrize("steps", [1, 2, 3, 12, 23])
def test_an_appearance_begins_and_ends_with_the_finished_picture(steps: int) -> None:
    pictures = [grey(9 * number) for number in range(steps)]
    film = appearance_film([*pictures, grey(250)])
    frames = list(film.frames())
    assert len(frames) == len(film)
    for frame in (frames[0], frames[-1]):
        assert not ImageChops.difference(frame, grey(250)).getbbox()
    shown = {frame.getpixel((0, 0)) for frame in frames}
    assert {picture.getpixel((0, 0)) for picture in pictures} <= shown, "every step is seen"
    assert 2 < film.seconds < 6


def test_a_single_picture_is_a_film_of_itself() -> None:
    assert len(list(appearance_film([grey(1)]).frames())) == 2
