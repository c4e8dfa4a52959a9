"""Positions of windows on a canvas too large for one UNet call (MultiDiffusion, Bar-Tal et al. 2023)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

OVERLAP = 0.25  # of a window's side, at least
MAX_SINGLE_WINDOW_AREA = (
    2.3  # squares of the native side: the largest area that the networks still generate as one scene
)


def window_size(canvas: tuple[int, int], side: int, multiple: int, max_aspect: float) -> tuple[int, int]:
    """Return the size of the windows on a canvas: the canvas itself if it is small enough for one window.

    `side` is the model's native side. Both sides are multiples of `multiple`, and neither is more than `max_aspect`
    times the other. On a canvas narrower than the native side the windows are longer instead.
    """
    if math.prod(canvas) <= MAX_SINGLE_WINDOW_AREA * side**2 and max(canvas) <= max_aspect * min(canvas):
        return canvas
    height, width = (min(length, side) for length in canvas)
    area = side**2
    return (
        min(canvas[0], max(height, int(min(area / width, max_aspect * width) / multiple) * multiple)),
        min(canvas[1], max(width, int(min(area / height, max_aspect * height) / multiple) * multiple)),
    )


def window_positions(canvas: tuple[int, int], size: tuple[int, int], *, wrap: bool = False) -> list[tuple[int, int]]:
    """Return the top left corners, as (down, right), of windows that cover a canvas.

    With `wrap` opposite edges of the canvas meet, and windows continue across them.
    """
    rows, columns = (_starts(side, length, wrap) for side, length in zip(canvas, size, strict=True))
    return list(product(rows, columns))


def _starts(side: int, length: int, wrap: bool) -> Sequence[int]:
    if side == length:
        return [0]
    stride = length * (1 - OVERLAP)
    if wrap:
        count = math.ceil(side / stride)
        return [round(place * side / count) for place in range(count)]
    count = math.ceil((side - length) / stride) + 1
    return [round(place * (side - length) / (count - 1)) for place in range(count)]
