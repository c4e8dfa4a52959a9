"""Zoom films: exponential motion between keyframes, each of which is the middle of the next."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFilter

from generation.films.film import Film, film_size, frame_durations, resized
from generation.params import FilmKind, Frame

RATE = 24  # frames a second
MAX_SECONDS = 12.0
SECONDS_PER_STEP = 1.0
FEATHER = 0.06  # of the inner picture's shorter side, at the end of a step


def zoom_film(keyframes: Sequence[Image.Image], frames: Sequence[Frame], kind: FilmKind) -> Film:
    """Return the film through `keyframes`, from the inner one to the outer; `frames` say where each lies in the next.

    The frames are in pixels of the keyframes after the first, which are all of one size.
    """
    width, height = keyframes[-1].size
    size = film_size(width, height)
    path = _path(len(keyframes) - 1, kind)
    canvas = _Canvas(keyframes, frames, size)
    return Film(size, frame_durations(len(path), RATE), lambda index: canvas.render(path[index]))


def frames_per_step(steps: int, kind: FilmKind) -> int:
    """Return how many frames lead from one keyframe to the next, so that the film is not too long."""
    legs = 2 * steps if kind is FilmKind.LOOP else steps
    return max(2, round(RATE * min(SECONDS_PER_STEP, MAX_SECONDS / legs)))


def _path(steps: int, kind: FilmKind) -> list[float]:
    """Return the place of each frame between the keyframes: 0 shows the first, 1.5 is halfway to the third."""
    each = frames_per_step(steps, kind)
    outwards = [index / each for index in range(steps * each + 1)]
    if kind is FilmKind.ZOOM_OUT:
        return outwards
    inwards = outwards[::-1]
    return inwards if kind is FilmKind.ZOOM_IN else inwards[:-1] + outwards[:-1]  # a loop begins with the outer picture


class _Canvas:
    """Renders the view at a place between two keyframes: the outer one, and the inner one pasted into its middle.

    The inner one has twice the resolution there, so that a film is sharp wherever something was drawn.
    """

    def __init__(self, keyframes: Sequence[Image.Image], frames: Sequence[Frame], size: tuple[int, int]) -> None:
        self._keyframes, self._frames, self._size = keyframes, frames, size
        self._outer_size = keyframes[-1].size

    def render(self, place: float) -> Image.Image:
        step, progress = int(place), place - int(place)
        if progress == 0:
            return resized(self._keyframes[step], self._size)
        frame = self._frames[step]
        left, top, right, bottom = view = self._view(frame, progress)
        outer = self._keyframes[step + 1].resize(self._size, Image.Resampling.LANCZOS, box=view)
        scale_x, scale_y = self._size[0] / (right - left), self._size[1] / (bottom - top)
        place_of_inner = (
            (frame.left - left) * scale_x,
            (frame.top - top) * scale_y,
            (frame.left + frame.width - left) * scale_x,
            (frame.top + frame.height - top) * scale_y,
        )
        _paste_feathered(outer, self._keyframes[step], place_of_inner, FEATHER * progress)
        return outer

    def _view(self, frame: Frame, progress: float) -> tuple[float, float, float, float]:
        """Return the part of the outer keyframe that is visible: its size grows exponentially from the inner one's."""
        width, height = self._outer_size
        view_width = width * (frame.width / width) ** (1 - progress)
        view_height = height * (frame.height / height) ** (1 - progress)
        left = frame.left * _share(width, frame.width, view_width)
        top = frame.top * _share(height, frame.height, view_height)
        return left, top, left + view_width, top + view_height


def _share(outer: int, inner: int, view: float) -> float:
    """Return how much of the inner picture's offset remains, so that one point of the picture stays where it is."""
    return (outer - view) / (outer - inner) if outer > inner else 0.0


def _paste_feathered(
    outer: Image.Image, inner: Image.Image, place: tuple[float, float, float, float], feather: float
) -> None:
    """Paste `inner` at `place` in pixels of `outer`, which need not be whole, with an edge that becomes transparent."""
    left, top = math.ceil(place[0]), math.ceil(place[1])
    right, bottom = math.floor(place[2]), math.floor(place[3])
    scale_x, scale_y = inner.width / (place[2] - place[0]), inner.height / (place[3] - place[1])
    box = (
        max(0.0, (left - place[0]) * scale_x),
        max(0.0, (top - place[1]) * scale_y),
        min(float(inner.width), (right - place[0]) * scale_x),
        min(float(inner.height), (bottom - place[1]) * scale_y),
    )
    size = (right - left, bottom - top)
    scaled = inner.resize(size, Image.Resampling.LANCZOS, box=box)
    outer.paste(scaled, (left, top), _feathered_mask(size, feather * min(size)))


def _feathered_mask(size: tuple[int, int], edge: float) -> Image.Image:
    """Return a mask that is white inside, and falls to black within `edge` pixels of the border."""
    inset = round(edge)
    if inset < 1:
        return Image.new("L", size, 255)
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).rectangle((inset, inset, size[0] - 1 - inset, size[1] - 1 - inset), fill=255)
    return mask.filter(ImageFilter.BoxBlur(inset / 2))
