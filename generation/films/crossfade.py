"""Slide shows: pictures in order, each fading into the next."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageOps, ImageStat

from generation.films.film import Film, film_size, frame_durations

RATE = 12  # frames a second while one picture fades into the next
MAX_SECONDS = 12.0
FADE_SECONDS = 0.75
HOLD_SECONDS = 1.25


def crossfade_film(pictures: Sequence[Image.Image]) -> Film:
    """Return a film of `pictures` that begins and ends with the last one, the finished one, and runs in a circle.

    Pictures of another shape get a border in their own colour. Many pictures are shown for a shorter time each.
    """
    size = film_size(*pictures[-1].size)
    slides = [_fitted(picture, size) for picture in (pictures[-1], *pictures[:-1])]
    pace = min(1.0, MAX_SECONDS / (len(slides) * (HOLD_SECONDS + FADE_SECONDS)))
    fades = max(2, round(pace * FADE_SECONDS * RATE))
    durations = (round(1000 * pace * HOLD_SECONDS), *frame_durations(fades, RATE))

    def render(index: int) -> Image.Image:
        number, step = divmod(index, len(durations))
        shown, following = slides[number], slides[(number + 1) % len(slides)]
        return Image.blend(shown, following, step / len(durations)) if step else shown

    return Film(size, durations * len(slides), render)


def _fitted(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    picture = picture.convert("RGB")
    if picture.size == size:
        return picture
    red, green, blue = (round(channel) for channel in ImageStat.Stat(picture).mean)
    return ImageOps.pad(picture, size, Image.Resampling.LANCZOS, (red, green, blue))
