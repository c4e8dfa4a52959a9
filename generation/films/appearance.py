"""Films of how a picture appears: its steps in order, and at last the finished picture."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from generation.films.film import Film, film_size, frame_durations, resized

RATE = 10  # frames a second
STEPS_SECONDS = 2.4  # of all steps together, at least: few steps fade into each other
FIRST_MS = 700  # of the finished picture, which a client that does not animate shows
LAST_MS = 2000


def appearance_film(pictures: Sequence[Image.Image]) -> Film:
    """Return a film of a picture's steps; the last of `pictures` is the finished one, with which it begins and ends."""
    size = film_size(*pictures[-1].size)
    steps = [resized(picture.convert("RGB"), size) for picture in pictures]
    each = max(1, round(RATE * STEPS_SECONDS / (len(steps) - 1))) if len(steps) > 1 else 1
    frames = each * (len(steps) - 1)
    durations = (FIRST_MS, *frame_durations(frames, RATE), LAST_MS)

    def render(index: int) -> Image.Image:
        if index in (0, frames + 1):
            return steps[-1]
        step, between = divmod(index - 1, each)
        return Image.blend(steps[step], steps[step + 1], between / each) if between else steps[step]

    return Film(size, durations, render)
