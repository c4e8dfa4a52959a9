"""Pictures with numbers on them: a 3×3 grid over one image, and a contact sheet of several."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

PICKER_SIDE = 768  # pixels of the longer side
CELL_SIDE = 240  # pixels of a thumbnail on a contact sheet
CELL_GAP = 8
QUALITY = 85  # of the JPEG
_PAPER, _INK, _LABEL = "#2b2d31", "#ffffff", "#000000"


def draw_region_grid(image: bytes) -> bytes:
    """Return an image as a small JPEG with a 3×3 grid, whose cells are numbered from 1 by rows."""
    picture = _resized(image, PICKER_SIDE)
    width, height = picture.size
    canvas = ImageDraw.Draw(picture)
    for third in (1, 2):
        x, y = width * third // 3, height * third // 3
        for line in ((x, 0, x, height), (0, y, width, y)):
            canvas.line(line, _LABEL, 5)
            canvas.line(line, _INK, 2)
    for cell in range(9):
        _draw_number(canvas, cell + 1, width * (cell % 3) // 3, height * (cell // 3) // 3)
    return _jpeg(picture)


def thumbnail(image: bytes) -> Image.Image:
    """Return an image as small as a contact sheet shows it."""
    return _resized(image, CELL_SIDE)


def draw_contact_sheet(thumbnails: Sequence[Image.Image | None]) -> bytes:
    """Return thumbnails side by side, numbered from 1, as a JPEG; None leaves an empty cell."""
    columns = min(len(thumbnails), math.ceil(math.sqrt(len(thumbnails)) * 1.25))
    rows = math.ceil(len(thumbnails) / columns)
    pitch = CELL_SIDE + CELL_GAP
    sheet = Image.new("RGB", (columns * pitch + CELL_GAP, rows * pitch + CELL_GAP), _PAPER)
    canvas = ImageDraw.Draw(sheet)
    for place, picture in enumerate(thumbnails):
        left, top = CELL_GAP + place % columns * pitch, CELL_GAP + place // columns * pitch
        if picture is not None:
            sheet.paste(picture, (left + (CELL_SIDE - picture.width) // 2, top + (CELL_SIDE - picture.height) // 2))
        _draw_number(canvas, place + 1, left, top)
    return _jpeg(sheet)


def _resized(image: bytes, side: int) -> Image.Image:
    with Image.open(io.BytesIO(image)) as opened:
        opened.draft("RGB", (side, side))  # a JPEG is decoded at a smaller size
        picture = opened.convert("RGB")
    scale = side / max(picture.size)
    width, height = (max(1, round(scale * length)) for length in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def _draw_number(canvas: ImageDraw.ImageDraw, number: int, left: int, top: int) -> None:
    font, text = ImageFont.load_default(34), str(number)
    room = 14 + round(font.getlength(text))
    canvas.rounded_rectangle((left + 8, top + 8, left + 8 + max(room, 34), top + 50), 8, _LABEL)
    canvas.text((left + 8 + max(room, 34) / 2, top + 29), text, _INK, font, anchor="mm")


def _jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
