"""All pictures of a picture telephone in one, with their words and who wrote them."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from bot.images.fonts import load_font, printable
from bot.ui.text import truncate

SIDE, GAP = 320, 16  # pixels of a picture, and between two
COLUMNS = 4
WORDS_LINES, LINE, WORDS_SIZE, NAME_SIZE = 3, 24, 18, 15
LINE_CHARS = 34
CAPTION = WORDS_LINES * LINE + 30
MAX_NAME = 28  # characters
_PAPER, _INK, _FAINT = "#2b2d31", "#f2f3f5", "#b5bac1"


@dataclass(frozen=True, slots=True)
class StripPicture:
    """A picture with the words that were drawn, and who wrote them."""

    image: bytes
    words: str
    name: str


def draw_strip(pictures: Sequence[StripPicture]) -> bytes:
    """Return the pictures in rows as WebP, each below its words."""
    columns = min(len(pictures), COLUMNS)
    if len(pictures) > COLUMNS:
        columns = math.ceil(len(pictures) / 2)
    rows = math.ceil(len(pictures) / columns)
    size = columns * (SIDE + GAP) + GAP, rows * (SIDE + CAPTION + GAP) + GAP
    sheet = Image.new("RGB", size, _PAPER)
    canvas = ImageDraw.Draw(sheet)
    for number, picture in enumerate(pictures):
        left, top = GAP + number % columns * (SIDE + GAP), GAP + number // columns * (SIDE + CAPTION + GAP)
        _write_caption(canvas, left, top, number + 1, picture)
        image = _fitted(picture.image)
        x, y = left + (SIDE - image.width) // 2, top + CAPTION + (SIDE - image.height) // 2
        sheet.paste(image, (x, y))
    file = io.BytesIO()
    sheet.save(file, "WEBP", quality=90, method=2)
    return file.getvalue()


def _write_caption(canvas: ImageDraw.ImageDraw, left: int, top: int, number: int, picture: StripPicture) -> None:
    font, small = load_font(WORDS_SIZE), load_font(NAME_SIZE)
    lines = textwrap.wrap(f"{number}. {picture.words}", LINE_CHARS, max_lines=WORDS_LINES, placeholder=" …")
    for place, line in enumerate(lines):
        canvas.text((left, top + place * LINE), printable(line, font), _INK, font)
    name = printable(truncate(picture.name, MAX_NAME), small)
    canvas.text((left, top + WORDS_LINES * LINE + 2), name, _FAINT, small)


def without_words(image: bytes) -> bytes:
    """Return a picture as a JPEG with nothing but its pixels: files name the words that they were drawn from."""
    file = io.BytesIO()
    with Image.open(io.BytesIO(image)) as opened:
        Image.frombytes("RGB", opened.size, opened.convert("RGB").tobytes()).save(file, "JPEG", quality=93)
    return file.getvalue()


def _fitted(image: bytes) -> Image.Image:
    with Image.open(io.BytesIO(image)) as opened:
        picture = opened.convert("RGB")
    scale = SIDE / max(picture.size)
    width, height = (max(1, round(scale * length)) for length in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)
