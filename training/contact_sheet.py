"""Sheets of pictures to look at."""

from __future__ import annotations

from pathlib import Path

from PIL import Image


def make_contact_sheet(pictures: list[Image.Image], path: Path, columns: int = 8, side: int = 160) -> None:
    """Lay pictures out in rows, each fitted into a square."""
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * side, rows * side), (255, 255, 255))
    for i, picture in enumerate(pictures):
        small = picture.copy()
        small.thumbnail((side - 4, side - 4), Image.Resampling.LANCZOS)
        sheet.paste(small, ((i % columns) * side + 2, (i // columns) * side + 2))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
