"""The encoder: within its budget, lazily, with a first frame that stands for the whole."""

from __future__ import annotations

import io
import random
import weakref
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from generation.errors import UserError
from generation.files.completeness import require_complete
from generation.films import encoder
from generation.films.crossfade import crossfade_film
from generation.films.encoder import encode_webp
from generation.films.film import Film, frame_durations
from generation.films.mp4 import FfmpegFailed, encode_mp4, find_ffmpeg
from generation.films.zoom import zoom_film
from generation.params import FilmKind
from tests.support.film_pictures import FRAMES, SIDE, keyframes, landscape

needs_ffmpeg = pytest.mark.skipif(find_ffmpeg() is None, reason="no ffmpeg: install the extra `film`")


def noise(frames: int, side: int = 64) -> Film:
    """Return a film that nothing compresses."""

    def render(index: int) -> Image.Image:
        return Image.frombytes("RGB", (side, side), random.Random(index).randbytes(3 * side * side))

    return Film((side, side), frame_durations(frames, 24), render)


def read(data: bytes) -> tuple[list[Image.Image], int]:
    """Return the frames of an animation and how long it runs in ms."""
    frames, duration = [], 0
    with Image.open(io.BytesIO(data)) as image:
        for index in range(image.n_frames):
            image.seek(index)
            frames.append(image.convert("RGB"))
            duration += int(image.info["duration"])
    return frames, duration


def test_an_animated_webp_has_all_frames_and_repeats() -> None:
    film = zoom_film(keyframes(3), FRAMES, FilmKind.ZOOM_OUT)
    data = encode_webp(film, 1_000_000)
    frames, duration = read(data)

    assert len(frames) == len(film)
    assert duration == sum(film.durations) == pytest.approx(1000 * len(film) / 24, abs=1)
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["loop"] == 0
    difference = np.abs(np.asarray(frames[0], float) - np.asarray(film.render(0), float)).mean()
    assert difference < 4


def test_every_frame_is_stored_whole() -> None:
    """A frame that is stored as its difference from another is worse, and a film of both kinds flickers."""

    def render(index: int) -> Image.Image:
        image = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
        image.paste("red", (index, 20, index + 8, 28))
        return image

    data = encode_webp(Film((64, 64), frame_durations(24, 24), render), 1_000_000)
    sizes = [data[place + 14 : place + 20] for place in range(len(data)) if data[place : place + 4] == b"ANMF"]
    assert len(sizes) == 24
    assert set(sizes) == {(63).to_bytes(3, "little") * 2}


def test_a_budget_costs_quality_then_size_then_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    film, made = noise(24), list[tuple[tuple[int, int], int, int]]()
    animate = encoder._animated_webp

    def recorded(smaller: Film, quality: int, exif: bytes) -> bytes:
        made.append((smaller.size, len(smaller), quality))
        return animate(smaller, quality, exif)

    monkeypatch.setattr(encoder, "_animated_webp", recorded)
    results = []
    for limit in (1_000_000, 40_000, 15_000, 4_000):
        data = encode_webp(film, limit)
        assert len(data) <= limit
        results.append(made[-1])
        assert read(data)[1] == sum(film.durations), "a film with fewer frames runs as long"

    assert results[0] == ((64, 64), 24, encoder.QUALITIES[0])
    assert results[-1][0] < (64, 64)
    assert results[-1][1] < 24
    assert [size for size, _, _ in results] == sorted((size for size, _, _ in results), reverse=True)


def test_a_budget_that_no_film_meets_is_an_error() -> None:
    with pytest.raises(ValueError, match="no film fits"):
        encode_webp(noise(24), 100)


def test_an_encoder_holds_only_a_few_frames_at_once() -> None:
    rendered, most = list[weakref.ref[Image.Image]](), 0

    def render(index: int) -> Image.Image:
        nonlocal most
        image = landscape(index % 3, 32)
        rendered.append(weakref.ref(image))
        most = max(most, sum(each() is not None for each in rendered))
        return image

    encode_webp(Film((32, 32), frame_durations(60, 24), render), 1_000_000)
    assert most <= 8


def test_a_crossfade_begins_with_the_finished_picture_and_shows_each_in_turn() -> None:
    pictures = [landscape(1), landscape(2).resize((SIDE, SIDE // 2)), landscape(3)]
    film = crossfade_film(pictures)
    holds = [index for index, duration in enumerate(film.durations) if duration > 500]

    assert len(holds) == 3
    assert film.render(holds[0]).tobytes() == pictures[2].tobytes()
    assert film.render(holds[1]).tobytes() == pictures[0].tobytes()
    assert film.render(holds[2]).size == (SIDE, SIDE)
    assert film.render(holds[2]).resize((8, 8)).getpixel((4, 4)) != film.render(holds[2]).getpixel((0, 0))
    steps = [np.asarray(film.render(index), float).mean(axis=(0, 1)) for index in range(holds[1] + 1)]
    jumps = [float(np.abs(after - before).max()) for before, after in pairwise(steps)]
    assert max(jumps) < 2 * sum(jumps) / len(jumps), "the fade is even"


def test_many_pictures_fade_faster() -> None:
    assert crossfade_film([landscape(index, 32) for index in range(20)]).seconds < 13


@needs_ffmpeg
def test_an_mp4_fits_its_budget() -> None:
    program = find_ffmpeg()
    assert program is not None
    film = zoom_film(keyframes(3), FRAMES, FilmKind.LOOP)
    data = encode_mp4(film, 1_000_000, program)
    small = encode_mp4(film, 30_000, program)

    assert data[4:8] == small[4:8] == b"ftyp"
    require_complete(data)
    with pytest.raises(UserError):
        require_complete(data[:-100])
    assert len(small) <= 30_000 < len(data) <= 1_000_000


def test_an_ffmpeg_that_fails_says_why() -> None:
    with pytest.raises(FfmpegFailed):
        encode_mp4(noise(3), 1_000_000, "false")
