"""Pictures of a canvas: its cells, what a piece goes on from, the overview, the credit map, and the whole."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from PIL import Image, ImageDraw, ImageFilter

from bot.images.fonts import load_font, printable
from bot.ui.text import truncate

Position = tuple[int, int]  # of a cell, in columns and rows from the upper left

OVERVIEW_SIDE = 1024  # pixels of the longer side
SMALL_SIDE = 256  # pixels of a cell's small copy, a JPEG, which is decoded at the size that is needed
SMALL_QUALITY, QUALITY = 92, 88
FILL_SIDE = 8  # pixels of a cell where the unpainted part is filled
FILL_STEPS = 64
LEGEND_LINE, MAX_LEGEND, MAX_NAME = 30, 12, 22
_PAPER, _LINE, _INK, _BUSY = "#2b2d31", "#3f4248", "#ffffff", "#f0b232"
_TINTS = ("#5865f2", "#f0b232", "#3ba55d", "#eb459e", "#00aafc", "#f47b67", "#9b84ee", "#a3c853", "#e67e22", "#1abc9c")
_NOBODY = "#808590"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What an overview shows: painted cells as small files, squares with numbers, and squares being painted."""

    columns: int
    rows: int
    cells: Mapping[Position, bytes]
    places: Mapping[Position, int] = field(default_factory=dict)  # by the square's upper left cell
    busy: Sequence[Position] = ()


def cut_cells(tile: bytes, cells: Iterable[Position], side: int) -> dict[Position, tuple[bytes, bytes]]:
    """Return cells of the square of 2×2 in the middle of a picture, each as a PNG and as a small JPEG."""
    square = _open(tile)
    margin = square.width // 2 - side
    found: dict[Position, tuple[bytes, bytes]] = {}
    for right, down in cells:
        cell = square.crop(_box(right, down, side, margin))
        small = cell.resize((min(side, SMALL_SIDE),) * 2, Image.Resampling.LANCZOS)
        found[right, down] = (
            _encoded(cell, "PNG", compress_level=3),
            _encoded(small, "JPEG", quality=SMALL_QUALITY, subsampling=0),
        )
    return found


def square_to_paint(side: int, width: int, cells: Mapping[Position, bytes]) -> tuple[bytes, bytes]:
    """Return a picture with a square of 2×2 cells in its middle and their neighbours in its margins, and a mask.

    Some of the cells are missing: there the mask is white. Positions count from the square's upper left cell.
    """
    pictures, margin = {place: _open(data) for place, data in cells.items()}, width // 2 - side
    square, mask = Image.new("RGB", (width, width), _mean(pictures.values())), Image.new("L", (width, width), 255)
    for (right, down), picture in pictures.items():
        box = _box(right, down, side, margin)
        square.paste(picture, box[:2])
        mask.paste(0, box)
    return _encoded(square, "PNG", compress_level=3), _encoded(mask, "PNG")


def _box(right: int, down: int, side: int, margin: int) -> tuple[int, int, int, int]:
    left, top = margin + right * side, margin + down * side
    return left, top, left + side, top + side


def pitch_of(columns: int, rows: int) -> int:
    """Return the pixels of a cell's side where so many are shown at once."""
    return OVERVIEW_SIDE // max(columns, rows)


def draw_overview(overview: Overview) -> bytes:
    """Return the canvas as WebP of at most `OVERVIEW_SIDE` pixels a side."""
    pitch = pitch_of(overview.columns, overview.rows)
    sheet = Image.new("RGB", (pitch * overview.columns, pitch * overview.rows), _PAPER)
    canvas = ImageDraw.Draw(sheet)
    _draw_empty_cells(canvas, overview, pitch)
    for (x, y), data in overview.cells.items():
        sheet.paste(_small(data, pitch), (x * pitch, y * pitch))
    for x, y in overview.busy:
        box = (x * pitch + 2, y * pitch + 2, (x + 2) * pitch - 3, (y + 2) * pitch - 3)
        canvas.rectangle(box, outline=_BUSY, width=max(3, pitch // 24))
    for (x, y), number in overview.places.items():
        _draw_number(canvas, number, (x + 1) * pitch, (y + 1) * pitch, pitch)
    return _encoded(sheet, "WEBP", quality=QUALITY, method=0)


def _draw_empty_cells(canvas: ImageDraw.ImageDraw, overview: Overview, pitch: int) -> None:
    for x in range(overview.columns):
        for y in range(overview.rows):
            if (x, y) not in overview.cells:
                canvas.rectangle((x * pitch, y * pitch, (x + 1) * pitch - 1, (y + 1) * pitch - 1), outline=_LINE)


def _draw_number(canvas: ImageDraw.ImageDraw, number: int, x: int, y: int, pitch: int) -> None:
    radius = min(30, max(14, round(pitch * 0.36)))
    canvas.ellipse((x - radius, y - radius, x + radius, y + radius), "#000000", _INK, 2)
    canvas.text((x, y), str(number), _INK, load_font(round(radius * 1.05)), anchor="mm")


def draw_window(cells: Mapping[Position, bytes], columns: int, rows: int) -> bytes:
    """Return part of a canvas as WebP; `cells` are files by their positions in the part, and are not enlarged."""
    pitch = min([pitch_of(columns, rows), *(_width(data) for data in cells.values())])
    sheet = Image.new("RGB", (columns * pitch, rows * pitch), _PAPER)
    for (x, y), data in cells.items():
        sheet.paste(_small(data, pitch), (x * pitch, y * pitch))
    return _encoded(sheet, "WEBP", quality=QUALITY, method=0)


def draw_whole(cells: Mapping[Position, bytes], columns: int, rows: int, cell: int) -> Image.Image:
    """Return the whole canvas at full size; what nobody painted gets the colours around it."""
    whole = _filling(cells, columns, rows).resize((columns * cell, rows * cell), Image.Resampling.BICUBIC)
    for (x, y), data in cells.items():
        whole.paste(_open(data), (x * cell, y * cell))
    return whole


def draw_frames(steps: Sequence[Mapping[Position, bytes]], columns: int, rows: int, side: int) -> list[bytes]:
    """Return the canvas after each of `steps`, which add small cells, as pictures of at most `side` pixels."""
    pitch = max(2, side // max(columns, rows) // 2 * 2)
    sheet, frames = Image.new("RGB", (columns * pitch, rows * pitch), _PAPER), []
    for step in steps:
        for (x, y), data in step.items():
            sheet.paste(_open(data).resize((pitch, pitch), Image.Resampling.LANCZOS), (x * pitch, y * pitch))
        frames.append(_encoded(sheet, "WEBP", quality=95, method=0))
    return frames


def draw_credit_map(
    cells: Mapping[Position, bytes], authors: Mapping[Position, int], names: Mapping[int, str], columns: int, rows: int
) -> bytes:
    """Return the canvas as WebP, each author's cells tinted, with a legend of `names` in their order.

    The author 0 is somebody without a name.
    """
    pitch = pitch_of(columns, rows)
    lines = list(names.items())[:MAX_LEGEND]
    height = rows * pitch
    sheet = Image.new("RGB", (columns * pitch, height + LEGEND_LINE * math.ceil(len(lines) / 2) + 16), _PAPER)
    tints = {author: _tint(number, author) for number, author in enumerate(names)}
    for (x, y), data in cells.items():
        picture = _small(data, pitch)
        tint = Image.new("RGB", picture.size, tints.get(authors.get((x, y), 0), _NOBODY))
        sheet.paste(Image.blend(picture.convert("L").convert("RGB"), tint, 0.45), (x * pitch, y * pitch))
    canvas, font = ImageDraw.Draw(sheet), load_font(20)
    for number, (author, name) in enumerate(lines):
        left, top = 12 + number % 2 * sheet.width // 2, height + 10 + number // 2 * LEGEND_LINE
        canvas.rectangle((left, top + 2, left + 18, top + 20), tints[author])
        canvas.text((left + 28, top + 11), printable(truncate(name, MAX_NAME), font), _INK, font, anchor="lm")
    return _encoded(sheet, "WEBP", quality=QUALITY, method=0)


def _tint(number: int, author: int) -> str:
    return _TINTS[number % len(_TINTS)] if author else _NOBODY


def _filling(cells: Mapping[Position, bytes], columns: int, rows: int) -> Image.Image:
    """Return the canvas at a few pixels a cell, its unpainted part filled smoothly from around it."""
    size = columns * FILL_SIDE, rows * FILL_SIDE
    pictures = {place: _open(data).resize((FILL_SIDE,) * 2, Image.Resampling.BOX) for place, data in cells.items()}
    known, painted = Image.new("L", size), Image.new("RGB", size, _mean(pictures.values()))
    for (x, y), picture in pictures.items():
        painted.paste(picture, (x * FILL_SIDE, y * FILL_SIDE))
        known.paste(255, (x * FILL_SIDE, y * FILL_SIDE, (x + 1) * FILL_SIDE, (y + 1) * FILL_SIDE))
    filled = painted.copy()
    for step in range(FILL_STEPS if len(cells) < columns * rows else 0):
        blurred = filled.filter(ImageFilter.GaussianBlur(max(1.0, FILL_SIDE * 2 * (1 - step / FILL_STEPS))))
        filled = Image.composite(painted, blurred, known)
    return filled


def _mean(pictures: Iterable[Image.Image]) -> tuple[int, int, int]:
    means = [picture.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0)) for picture in pictures]
    if not means:
        return 128, 128, 128
    red, green, blue = (round(sum(channel) / len(means)) for channel in zip(*means, strict=True))
    return red, green, blue


def _open(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as opened:
        return opened.convert("RGB")


def _width(data: bytes) -> int:
    with Image.open(io.BytesIO(data)) as opened:  # reads the header only
        return opened.width


def _small(data: bytes, side: int) -> Image.Image:
    with Image.open(io.BytesIO(data)) as opened:
        opened.draft("RGB", (side, side))
        return opened.convert("RGB").resize((side, side), Image.Resampling.BILINEAR)


def _encoded(picture: Image.Image, kind: str, **options: int) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()
