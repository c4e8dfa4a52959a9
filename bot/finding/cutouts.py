"""The pictures that a file may show: the whole, the content of a screenshot, and the parts of a sheet."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from generation.files.fingerprint import Bytes, fingerprint

ANALYSED_SIDE = 256  # pixels of the longer side in which the content of a screenshot is looked for
BORDER_TOLERANCE = 18  # levels by which a screenshot's background may vary
FILLED = 0.45  # share of a row or column that a picture fills; lines of text fill less
MIN_CONTENT = 0.2  # of the width and the height: smaller content is no picture
MIN_SIDE = 32  # pixels of a part of a sheet


@dataclass(frozen=True, slots=True, eq=False)
class CutOut:
    """A part of a file that may be one of our pictures, or a mirrored one."""

    image: Image.Image
    vector: Bytes


def cut_outs(png: bytes) -> list[CutOut]:
    """Return everything in a file that may be a picture, mirrored as well."""
    with Image.open(io.BytesIO(png)) as opened:
        whole = opened.convert("RGB")
    found = [CutOut(image, fingerprint(image)) for image in _parts(whole)]
    mirrored = [ImageOps.mirror(each.image) for each in found]
    return found + [CutOut(image, fingerprint(image)) for image in mirrored]


def _parts(whole: Image.Image) -> Iterator[Image.Image]:
    yield whole
    content = _content(whole)
    if content is not None:
        yield content
    sheet = content or whole
    if min(sheet.size) >= 2 * MIN_SIDE:
        yield from _quarters(sheet)
        yield from _halves(sheet)


def _quarters(sheet: Image.Image) -> Iterator[Image.Image]:
    width, height = sheet.width // 2, sheet.height // 2
    for top in (0, height):
        for left in (0, width):
            yield sheet.crop((left, top, left + width, top + height))


def _halves(sheet: Image.Image) -> Iterator[Image.Image]:
    width = sheet.width // 2
    for left in (0, width):
        yield sheet.crop((left, 0, left + width, sheet.height))


def _content(image: Image.Image) -> Image.Image | None:
    """Return what a screenshot shows without the background around it and lines of text, or None if there is none."""
    scale = min(1.0, ANALYSED_SIDE / max(image.size))
    small = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    box = _content_box(np.asarray(small, np.int16))
    if box is None:
        return None
    left, top, right, bottom = (round(edge / scale) for edge in box)
    return image.crop((left, top, min(right, image.width), min(bottom, image.height)))


def _content_box(pixels: NDArray[np.int16]) -> tuple[int, int, int, int] | None:
    height, width = pixels.shape[:2]
    edges = np.concatenate((pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]))
    background = np.median(edges, axis=0)
    differs = np.abs(pixels - background).max(axis=2) > BORDER_TOLERANCE
    if differs[:, 0].mean() > 0.5 and differs[:, -1].mean() > 0.5 and differs[0].mean() > 0.5:
        return None  # it has no border
    left, right, top, bottom = 0, width, 0, height
    for _ in range(2):
        top, bottom = _longest_run(differs[:, left:right].mean(axis=1))
        left, right = _longest_run(differs[top:bottom].mean(axis=0)) if bottom > top else (0, 0)
        if right <= left:
            return None
    whole = (left, top, right, bottom) == (0, 0, width, height)
    too_small = right - left < MIN_CONTENT * width or bottom - top < MIN_CONTENT * height
    if whole or too_small:
        return None
    return left + 1, top + 1, right - 1, bottom - 1  # the outermost lines may be half background


def _longest_run(shares: NDArray[np.float64]) -> tuple[int, int]:
    """Return where the longest run of lines begins and ends that are filled nearly as much as the fullest one."""
    limit = FILLED * float(shares.max(initial=0.0))
    best, start = (0, 0), None
    for place, filled in enumerate([*(shares > limit), False]):
        if filled and start is None:
            start = place
        elif not filled and start is not None:
            best = max(best, (start, place), key=lambda run: run[1] - run[0])
            start = None
    return best
