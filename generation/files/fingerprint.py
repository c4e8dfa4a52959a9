"""Fingerprints of images: 192 numbers that stay alike when an image is re-encoded, resized, brightened or cropped.

A fingerprint is an 8×8 thumbnail, centred and of unit length. Its outline is the 24 lowest frequencies of it: a search
compares the outlines of all images, then the fingerprints of the best ones, then those images themselves
(`likenesses`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 8  # pixels of the thumbnail
LENGTH = SIDE * SIDE * 3
OUTLINE_LENGTH = 24
COMPARED_SIDE = 64  # pixels of the two images that `likenesses` compares
MAX_CROP = 0.12  # of the width or height, at each edge
SEARCH_STEPS = (0.04, 0.02, 0.02, 0.01, 0.005)
MAX_CLIMBS = 4  # originals for which the edges of a cut-out are searched for closely
MIN_CLIMB = 0.4  # a likeness below which that is hopeless
COLOUR_RANGE = 160.0  # levels of difference at which colours have nothing in common
PART_RANGE = 400.0  # likewise, for the part of the image that differs most: 8×8 of the 64×64 pixels
EDGE_ERROR = 0.25  # of the contrast of a part, which a shift by a fraction of a pixel may have made
NOISE = 0.5  # a deviation of the details, in levels, that compression may have made
COPY_ERROR = 10.0  # levels by which the colours of an unchanged image differ, of 64×64 pixels, at most
EDGE = 2  # of the 64 pixels
FLAT = 1.5  # a standard deviation of the colours below which an image has no shapes, only a colour
_SCALE = 254.0  # fingerprints have hardly any value above one half

Floats = NDArray[np.floating[Any]]
Bytes = NDArray[np.int8]
Box = tuple[float, float, float, float]  # left, top, right, bottom, as fractions
FULL: Box = (0.0, 0.0, 1.0, 1.0)


def fingerprint(image: Image.Image) -> Bytes:
    """Return the fingerprint of an RGB image."""
    return _quantized(_vector(_pixels(image, SIDE)))


def fingerprints(images: Sequence[Image.Image]) -> bytes:
    """Return the fingerprints of several images as stored: 192 bytes each."""
    return b"".join(fingerprint(image).tobytes() for image in images)


def outlines(stored: bytes) -> bytes:
    """Return the outlines of stored fingerprints, 24 bytes each."""
    return outline(unpacked(stored)).tobytes()


def unpacked(stored: bytes) -> Bytes:
    """Return stored fingerprints as rows."""
    return np.frombuffer(stored, np.int8).reshape(-1, LENGTH)


def unpacked_outlines(stored: bytes) -> Bytes:
    """Return stored outlines as rows."""
    return np.frombuffer(stored, np.int8).reshape(-1, OUTLINE_LENGTH)


def outline(vectors: Bytes) -> Bytes:
    """Return the outlines of fingerprints, one a row."""
    low = (vectors.astype(np.float32) / _SCALE) @ _LOW_FREQUENCIES
    return np.asarray(np.clip(np.rint(low * 127), -127, 127), np.int8)


def mirrored(vectors: Bytes) -> Bytes:
    """Return the fingerprints of the same images, mirrored."""
    return np.ascontiguousarray(vectors.reshape(-1, SIDE, SIDE, 3)[:, :, ::-1].reshape(-1, LENGTH))


def likenesses(image: Image.Image, originals: Sequence[Image.Image]) -> list[float]:
    """Return how much `image` looks like each of `originals`, up to 1.

    `image` may be a cut-out, whose edges are searched for in the most promising originals. Both are compared at 64×64
    pixels, apart from brightness and contrast.
    """
    compared = _Compared(image)
    small = [_reduced(original) for original in originals]
    if compared.is_flat:
        return [compared.colour_likeness(original) for original in small]
    first = [_best_centred(compared, original) for original in small]
    scores = [score for score, _ in first]
    promising = [number for number, score in enumerate(scores) if score >= MIN_CLIMB]
    for number in sorted(promising, key=lambda number: -scores[number])[:MAX_CLIMBS]:
        scores[number] = _climb(compared, small[number], *first[number])
    return scores


def is_copy(image: Image.Image, original: Image.Image) -> bool:
    """Return whether two images are the same but for their size and compression, also if they have no details.

    The edges do not count: in a grid, compression mixes in colours of the tile beside.
    """
    differences = np.abs(_pixels(image, COMPARED_SIDE) - _pixels(original, COMPARED_SIDE))
    return float(differences[EDGE:-EDGE, EDGE:-EDGE].max()) <= COPY_ERROR


class _Compared:
    """An image that is compared with many others."""

    def __init__(self, image: Image.Image) -> None:
        self._pixels = _pixels(image, COMPARED_SIDE)
        self._shapes, self._details = _shapes(self._pixels), _details(self._pixels)
        self._mean = self._pixels.mean()
        self._centred = self._pixels - self._mean
        self.is_flat = float(self._pixels.std(axis=(0, 1)).max()) < FLAT

    def with_box(self, original: Image.Image, box: Box, best: float) -> float:
        """Return the likeness to the part `box` of an image, whichever is the least; too much if not over `best`.

        It is that of shapes, details or colours, or that of the part which differs most: a scene with another object in
        it has nearly the same shapes and colours.
        """
        other = _pixels(original, COMPARED_SIDE, box)
        likeness = float((self._shapes * _shapes(other)).sum())
        for further in (self._likeness_of_details, self._likeness_of_colours):
            if likeness <= best:
                break
            likeness = min(likeness, further(other))
        return likeness

    def colour_likeness(self, original: Image.Image) -> float:
        """Return the likeness of two images of a single colour; any other image is unlike this one."""
        other = _pixels(original, COMPARED_SIDE)
        if float(other.std(axis=(0, 1)).max()) >= FLAT:
            return 0.0
        return 1.0 - float(np.abs(self._pixels.mean(axis=(0, 1)) - other.mean(axis=(0, 1))).max()) / 255

    def _likeness_of_details(self, other: Floats) -> float:
        return 0.5 + 0.5 * float((self._details * _details(other)).sum())

    def _likeness_of_colours(self, other: Floats) -> float:
        colours, worst = self._errors(other)
        return min(1.0 - colours / COLOUR_RANGE, 1.0 - worst / PART_RANGE)

    def _errors(self, other: Floats) -> tuple[float, float]:
        """Return by how many levels the colours differ on the whole, and in the part where they differ most.

        One brightness and one contrast for the whole image do not count.
        """
        centred = other - other.mean()
        gain = float(np.vdot(centred, self._centred)) / max(float(np.vdot(centred, centred)), 1.0)
        expected = np.clip(gain * centred + self._mean, 0, 255)
        errors = _by_part(np.square(self._pixels - expected))
        contrasts = _by_part(np.square(expected)) - np.square(_by_part(expected))
        parts = np.sqrt(errors.mean(axis=2)) - EDGE_ERROR * np.sqrt(np.maximum(contrasts, 0).mean(axis=2))
        return float(np.sqrt(errors.mean())), float(parts.max())


def _centred_boxes() -> list[Box]:
    return [(margin, margin, 1 - margin, 1 - margin) for margin in (0.0, 0.025, 0.05, 0.08)]


def _best_centred(compared: _Compared, original: Image.Image) -> tuple[float, Box]:
    """Return the greatest likeness to a centred part of an image, and the part."""
    best, best_box = -math.inf, FULL
    for box in _centred_boxes():
        if (found := compared.with_box(original, box, best)) > best:
            best, best_box = found, box
    return best, best_box


def _climb(compared: _Compared, original: Image.Image, best: float, best_box: Box) -> float:
    """Move the edges of the box one by one, as long as that helps, in ever smaller steps; return the likeness."""
    for step in SEARCH_STEPS:
        for edge, sign in ((edge, sign) for edge in range(4) for sign in (step, -step)):
            box = _moved(best_box, edge, sign)
            if _is_allowed(box) and (found := compared.with_box(original, box, best)) > best:
                best, best_box = found, box
    return best


def _moved(box: Box, edge: int, by: float) -> Box:
    left, top, right, bottom = (value + by * (number == edge) for number, value in enumerate(box))
    return left, top, right, bottom


def _is_allowed(box: Box) -> bool:
    left, top, right, bottom = box
    return 0 <= left <= MAX_CROP and 0 <= top <= MAX_CROP and 1 - MAX_CROP <= right <= 1 and 1 - MAX_CROP <= bottom <= 1


def _pixels(image: Image.Image, side: int, box: Box = FULL) -> Floats:
    left, top, right, bottom = box
    within = (left * image.width, top * image.height, right * image.width, bottom * image.height)
    small = image.resize((side, side), Image.Resampling.BOX, box=within)
    return np.asarray(small, np.float32)


def _reduced(image: Image.Image) -> Image.Image:
    """Return an image at twice the size at which it is compared, from which its parts are cut."""
    return image.resize((2 * COMPARED_SIDE, 2 * COMPARED_SIDE), Image.Resampling.BOX)


def _vector(pixels: Floats) -> Floats:
    """Return pixels as a centred vector of unit length; of an image without shapes, its colour."""
    mean = pixels.mean(axis=(0, 1))
    if float(pixels.std(axis=(0, 1)).max()) < FLAT:
        return _unit(np.broadcast_to(mean - 127.5, pixels.shape).reshape(-1))
    return _unit((pixels - mean).reshape(-1))


def _shapes(pixels: Floats) -> Floats:
    return _unit(pixels - _mean_colour(pixels))


def _mean_colour(pixels: Floats) -> Floats:
    """Return the mean colour: `mean(axis=(0, 1))`, which takes twenty times as long."""
    flat = pixels.reshape(-1, 3)
    return np.full(len(flat), 1 / len(flat), np.float32) @ flat


def _details(pixels: Floats) -> Floats:
    """Return what is left of an image without its large shapes."""
    fine = _halved(pixels)
    details = np.asarray(fine - _halved(fine).repeat(2, axis=0).repeat(2, axis=1))
    return _unit(details) if float(details.std()) > NOISE else details * 0


def _halved(pixels: Floats) -> Floats:
    """Return pixels at half the size; numpy adds two times two slices much faster than it averages two axes."""
    height, width, channels = pixels.shape
    pairs = pixels.reshape(height // 2, 2, -1)
    rows = (pairs[:, 0] + pairs[:, 1]).reshape(height // 2, width // 2, 2, channels)
    return np.asarray((rows[:, :, 0] + rows[:, :, 1]) / 4)


def _by_part(pixels: Floats) -> Floats:
    """Return the means of the 8×8 parts."""
    return _halved(_halved(_halved(pixels)))


def _unit(vector: Floats) -> Floats:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 1e-6 else vector * 0


def _quantized(vector: Floats) -> Bytes:
    return np.asarray(np.clip(np.rint(vector * _SCALE), -127, 127), np.int8)


def _low_frequencies() -> NDArray[np.float32]:
    """Return the matrix from a fingerprint to its outline: 12 frequencies of brightness, 6 of each colour contrast."""
    at = (np.arange(SIDE) + 0.5) * np.pi / SIDE
    cosines = np.cos(np.outer(np.arange(SIDE), at)) * np.sqrt(2 / SIDE)
    cosines[0] /= np.sqrt(2)
    order = sorted(np.ndindex(SIDE, SIDE), key=lambda place: (sum(place), place))
    colours = ((1.0, 1.0, 1.0, 12), (1.0, 0.0, -1.0, 6), (1.0, -2.0, 1.0, 6))
    columns = []
    for red, green, blue, count in colours:
        colour = np.array((red, green, blue)) / np.linalg.norm((red, green, blue))
        for row, column in order[:count]:
            waves = np.outer(cosines[row], cosines[column])
            columns.append(np.multiply.outer(waves, colour).reshape(-1))
    return np.stack(columns, axis=1).astype(np.float32)


_LOW_FREQUENCIES = _low_frequencies()
