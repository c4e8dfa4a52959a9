"""Films of walks: through pictures between two ends, at an even pace."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise

from PIL import Image, ImageChops, ImageStat

from generation.films.film import Film, film_size, frame_durations, resized
from generation.planning.walks import PICTURES_PER_SECOND

RATE = 12  # frames a second
HOLD_MS = 800  # of the first and the last picture


def picture_distance(one: Image.Image, other: Image.Image) -> float:
    """Return the mean difference of two pictures of one size, in levels."""
    mean = ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean
    return sum(mean) / len(mean)


def walk_film(pictures: Sequence[Image.Image]) -> Film:
    """Return a film from the first of `pictures` to the last, in which each frame changes as much as any other.

    A frame between two pictures is a blend of them.
    """
    size = film_size(*pictures[0].size)
    shown = [resized(picture.convert("RGB"), size) for picture in pictures]
    travelled = [0.0, *accumulate(picture_distance(*pair) for pair in pairwise(shown))]
    frames = max(2, round(RATE * len(shown) / PICTURES_PER_SECOND))
    durations = (HOLD_MS, *frame_durations(frames - 2, RATE), HOLD_MS)

    def render(index: int) -> Image.Image:
        place = _place(travelled, index / (frames - 1))
        number, between = int(place), place - int(place)
        return Image.blend(shown[number], shown[number + 1], between) if between else shown[number]

    return Film(size, durations, render)


def _place(travelled: Sequence[float], share: float) -> float:
    """Return the place among the pictures where this share of the whole way lies behind; 1.5 is between two."""
    last = len(travelled) - 1
    if share >= 1 or not travelled[-1]:
        return float(round(share * last))
    way = share * travelled[-1]
    number = min(bisect_right(travelled, way), last) - 1
    return number + (way - travelled[number]) / (travelled[number + 1] - travelled[number])
