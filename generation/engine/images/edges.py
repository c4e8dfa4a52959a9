"""Find the edges and lines of a picture, as the networks that follow them were trained."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

# As the pictures that ControlNet's canny network was trained on were made (Zhang et al., arXiv 2302.05543).
CANNY_LOW, CANNY_HIGH = 100, 200
# The sketches of the web UI's `scribble_xdog`: where a picture is darker than around it (Winnemöller's XDoG).
FINE_BLUR, COARSE_BLUR, DARKER = 0.5, 5.0, 16
# A drawing in one colour on a plain ground: nearly all of it is grey, and black or white.
_SHARE_OF_DRAWING, _GREY, _EXTREME = 0.97, 24, 56

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]


def canny_edges(image: Image.Image) -> Image.Image:
    """Return the edges of an RGB image, white on black, one pixel wide: Canny's detector (1986), as OpenCV has it.

    A picture that is white on black already is left as it is.
    """
    if (ground := drawing_ground(image)) is not None and not ground:
        return image
    across, down = _gradients(np.asarray(image, np.float32))
    ridges = _ridges(across, down)
    return _as_image(_connected(ridges > CANNY_HIGH, ridges > CANNY_LOW))


def scribble_lines(image: Image.Image) -> Image.Image:
    """Return the lines of a picture, white on black; of a drawing in black and white, the drawing itself."""
    if (ground := drawing_ground(image)) is not None:
        return image.point(lambda value: 255 - value) if ground else image
    fine, coarse = (
        np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), np.float32) for radius in (FINE_BLUR, COARSE_BLUR)
    )
    return _as_image((coarse - fine).min(-1) > DARKER)


def drawing_ground(image: Image.Image) -> bool | None:
    """Return whether the ground of a black and white drawing is white; None for any other picture."""
    values = np.asarray(image, np.int16)
    grey = np.ptp(values, axis=-1) <= _GREY
    bright, dark = values.min(-1) > 255 - _EXTREME, values.max(-1) < _EXTREME
    if (grey & (bright | dark)).mean() < _SHARE_OF_DRAWING:
        return None
    return bool(bright.mean() > 0.5)


def _as_image(mask: Mask) -> Image.Image:
    return Image.fromarray(mask).convert("RGB")


def _gradients(values: Plane) -> tuple[Plane, Plane]:
    """Return Sobel's gradients of each pixel, of the channel in which they are the largest."""
    padded = np.pad(values, ((1, 1), (1, 1), (0, 0)), "edge")
    across = _smooth(padded, 0)[:, 2:] - _smooth(padded, 0)[:, :-2]
    down = _smooth(padded, 1)[2:] - _smooth(padded, 1)[:-2]
    channel = (np.abs(across) + np.abs(down)).argmax(-1)[..., None]
    return np.take_along_axis(across, channel, -1)[..., 0], np.take_along_axis(down, channel, -1)[..., 0]


def _smooth(values: Plane, axis: int) -> Plane:
    before, here, after = (np.take(values, range(start, values.shape[axis] - 2 + start), axis) for start in range(3))
    return before + 2 * here + after


def _ridges(across: Plane, down: Plane) -> Plane:
    """Return the sizes of the gradients that are the largest along their direction, and 0 elsewhere."""
    size = np.abs(across) + np.abs(down)
    padded = np.pad(size, 1)
    height, width = size.shape

    def beside(rows: int, columns: int) -> Plane:
        return padded[1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]

    steep, flat = np.tan(np.radians(67.5)), np.tan(np.radians(22.5))
    is_across, is_down = np.abs(down) < flat * np.abs(across), np.abs(down) > steep * np.abs(across)
    falls = (across > 0) == (down > 0)
    largest = np.select(
        [is_across, is_down, falls],
        [
            (size > beside(0, -1)) & (size >= beside(0, 1)),
            (size > beside(-1, 0)) & (size >= beside(1, 0)),
            (size > beside(-1, -1)) & (size > beside(1, 1)),
        ],
        (size > beside(-1, 1)) & (size > beside(1, -1)),
    )
    return np.where(largest, size, 0).astype(np.float32)


def _connected(strong: Mask, weak: Mask) -> Mask:
    """Return the strong pixels, and the weak ones that a chain of weak ones joins to them."""
    width = weak.shape[1] + 2
    kept, free = np.pad(strong, 1).ravel(), np.pad(weak & ~strong, 1).ravel()
    around = np.array([row * width + column for row in (-1, 0, 1) for column in (-1, 0, 1) if row or column])
    frontier = np.flatnonzero(kept)
    while frontier.size:
        near = (frontier[:, None] + around).ravel()
        frontier = np.unique(near[free[near]])
        kept[frontier], free[frontier] = True, False
    return kept.reshape(-1, width)[1:-1, 1:-1]
