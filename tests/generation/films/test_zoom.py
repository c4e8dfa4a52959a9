"""A zoom film: it passes exactly through its keyframes, and does not jump there."""

from __future__ import annotations

from itertools import pairwise
from statistics import median

import numpy as np
import pytest
from PIL import Image

from generation.films.zoom import frames_per_step, zoom_film
from generation.params import FilmKind, Frame
from tests.support.film_pictures import FRAME, FRAMES, SIDE, keyframes

STEPS = 3


def levels(one: Image.Image, other: Image.Image) -> float:
    """Return the mean difference of two pictures, in levels of 255."""
    return float(np.abs(np.asarray(one, float) - np.asarray(other, float)).mean())


def psnr(one: Image.Image, other: Image.Image) -> float:
    error = ((np.asarray(one, float) - np.asarray(other, float)) ** 2).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def test_a_zoom_out_passes_through_every_keyframe() -> None:
    pictures = keyframes(STEPS)
    film = zoom_film(pictures, FRAMES, FilmKind.ZOOM_OUT)
    each = frames_per_step(STEPS, FilmKind.ZOOM_OUT)

    assert len(film) == STEPS * each + 1
    for step, picture in enumerate(pictures):
        assert levels(film.render(step * each), picture) <= 2


@pytest.mark.parametrize("kind", FilmKind)
def test_a_zoom_does_not_jump_at_a_keyframe(kind: FilmKind) -> None:
    film = zoom_film(keyframes(STEPS), FRAMES, kind)
    each, frames = frames_per_step(STEPS, kind), list(film.frames())
    changes = [levels(before, after) for before, after in pairwise(frames)]

    for keyframe in range(each, len(frames) - each, each):
        assert max(changes[keyframe - 1], changes[keyframe]) <= 1.5 * median(changes)


def test_the_first_picture_is_in_the_middle_of_the_last_frame() -> None:
    pictures = keyframes(STEPS)
    last = zoom_film(pictures, FRAMES, FilmKind.ZOOM_OUT).render(STEPS * frames_per_step(STEPS, FilmKind.ZOOM_OUT))

    half = SIDE / 2 / 2**STEPS
    middle = (SIDE / 2 - half, SIDE / 2 - half, SIDE / 2 + half, SIDE / 2 + half)
    small = pictures[0].resize((SIDE // 2**STEPS,) * 2, Image.Resampling.LANCZOS)
    assert psnr(last.resize(small.size, Image.Resampling.LANCZOS, box=middle), small) > 30


def test_a_zoom_is_exponential() -> None:
    """Halfway between two keyframes, the inner one has 1/√2 of the width, not 3/4."""
    inner, outer = Image.new("RGB", (SIDE, SIDE), "white"), Image.new("RGB", (SIDE, SIDE), "black")
    outer.paste(inner.resize((FRAME.width, FRAME.height)), (FRAME.left, FRAME.top))
    film = zoom_film([inner, outer], FRAMES, FilmKind.ZOOM_OUT)

    halfway = np.asarray(film.render(len(film) // 2).convert("L"))[SIDE // 2] > 128
    assert halfway.sum() == pytest.approx(SIDE / 2**0.5, abs=2)


def test_a_loop_begins_and_ends_with_the_finished_picture() -> None:
    pictures = keyframes(STEPS)
    loop, inwards = (zoom_film(pictures, FRAMES, kind) for kind in (FilmKind.LOOP, FilmKind.ZOOM_IN))

    assert levels(loop.render(0), pictures[-1]) == levels(inwards.render(0), pictures[-1]) == 0
    assert levels(loop.render(len(loop) // 2), pictures[0]) == 0
    assert levels(loop.render(len(loop) - 1), loop.render(0)) < levels(loop.render(len(loop) // 4), loop.render(0))


@pytest.mark.parametrize("kind", [FilmKind.ZOOM_OUT, FilmKind.ZOOM_IN, FilmKind.LOOP])
@pytest.mark.parametrize("steps", [3, 8])
def test_a_zoom_is_never_longer_than_twelve_seconds(kind: FilmKind, steps: int) -> None:
    assert 2 < zoom_film(keyframes(steps), FRAMES, kind).seconds <= 12.1


def test_a_first_picture_of_another_size_fits_into_the_zoom() -> None:
    pictures = keyframes(STEPS)
    large = pictures[0].resize((3 * SIDE, 3 * SIDE), Image.Resampling.LANCZOS)
    film = zoom_film([large, *pictures[1:]], FRAMES, FilmKind.ZOOM_OUT)

    assert film.render(0).size == film.render(1).size == (SIDE, SIDE)
    assert levels(film.render(0), pictures[0]) < 3


def test_a_frame_off_the_middle_zooms_about_a_fixed_point() -> None:
    frame = Frame(0, 60, 64, 68)
    inner, outer = Image.new("RGB", (SIDE, SIDE), "white"), Image.new("RGB", (SIDE, SIDE), "black")
    outer.paste("white", (0, 60, 64, 128))
    film = zoom_film([inner, outer], [frame], FilmKind.ZOOM_OUT)

    for index in range(len(film)):
        assert film.render(index).getpixel((0, SIDE - 1)) != (0, 0, 0), "the lower left corner is in both pictures"
