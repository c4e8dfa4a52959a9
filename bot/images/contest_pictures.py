"""Pictures of a contest: two entries side by side, and the three best ones on a podium."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from bot.images.fonts import load_font, printable
from bot.ui.text import truncate

PAIR_SIDE, PAIR_GAP = 640, 16  # pixels of an entry's longer side
PODIUM_SIDES = (460, 360, 300)  # pixels of the first, second and third
PODIUM_ORDER = (1, 0, 2)  # from the left
MARGIN, CAPTION = 24, 64
MAX_NAME = 24  # characters
QUALITY, SMALL_QUALITY = 88, 93
_PAPER, _INK = "#2b2d31", "#f2f3f5"
_MEDALS = ("#f0b232", "#b5bac1", "#c07a45")


@dataclass(frozen=True, slots=True)
class Winner:
    """A picture on the podium with its place, which ties share, and its author's name."""

    image: bytes
    place: int
    name: str


def shrink(image: bytes) -> bytes:
    """Return a picture as a small JPEG, from which a pair is drawn fast."""
    file = io.BytesIO()
    _resized(image, PAIR_SIDE).save(file, "JPEG", quality=SMALL_QUALITY)
    return file.getvalue()


def draw_pair(left: bytes, right: bytes) -> bytes:
    """Return two pictures side by side as WebP, with numbers only."""
    pictures = [_resized(each, PAIR_SIDE) for each in (left, right)]
    height = max(picture.height for picture in pictures)
    sheet = Image.new("RGB", (2 * PAIR_SIDE + 3 * PAIR_GAP, height + CAPTION + PAIR_GAP), _PAPER)
    canvas = ImageDraw.Draw(sheet)
    for number, picture in enumerate(pictures):
        left_edge = PAIR_GAP + number * (PAIR_SIDE + PAIR_GAP)
        sheet.paste(picture, (left_edge + (PAIR_SIDE - picture.width) // 2, PAIR_GAP + (height - picture.height) // 2))
        _caption(canvas, left_edge + PAIR_SIDE // 2, PAIR_GAP + height + CAPTION // 2, str(number + 1), 36, _INK)
    return _webp(sheet)


def draw_podium(winners: Sequence[Winner]) -> bytes:
    """Return up to three pictures as WebP, the best one in the middle and largest."""
    shown = {rank: winners[rank] for rank in PODIUM_ORDER if rank < len(winners)}
    width = sum(PODIUM_SIDES[rank] for rank in shown) + MARGIN * (len(shown) + 1)
    height = PODIUM_SIDES[0] + 2 * MARGIN + CAPTION
    sheet = Image.new("RGB", (width, height), _PAPER)
    canvas, left = ImageDraw.Draw(sheet), MARGIN
    for rank, winner in shown.items():
        side = PODIUM_SIDES[rank]
        picture, bottom = _resized(winner.image, side), height - CAPTION - MARGIN
        top = bottom - picture.height
        sheet.paste(picture, (left + (side - picture.width) // 2, top))
        colour, middle = _MEDALS[min(winner.place, 3) - 1], left + side // 2
        canvas.rectangle((left, bottom + 6, left + side, bottom + 12), colour)
        _caption(canvas, middle, bottom + 12 + CAPTION // 2, f"{winner.place} · {winner.name}", 24, _INK)
        left += side + MARGIN
    return _webp(sheet)


def _caption(canvas: ImageDraw.ImageDraw, x: int, y: int, text: str, size: int, colour: str) -> None:
    font = load_font(size)
    canvas.text((x, y), printable(truncate(text, MAX_NAME), font), colour, font, anchor="mm")


def _resized(image: bytes, side: int) -> Image.Image:
    with Image.open(io.BytesIO(image)) as opened:
        opened.draft("RGB", (side, side))  # a JPEG is decoded at a smaller size
        picture = opened.convert("RGB")
    if max(picture.size) == side:
        return picture
    scale = side / max(picture.size)
    width, height = (max(1, round(scale * length)) for length in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def _webp(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=QUALITY, method=0)
    return file.getvalue()
