"""Contact sheets for inspection."""

from __future__ import annotations

from pathlib import Path

from PIL import Image


def make_contact_sheet(images: list[Image.Image], path: Path, columns: int = 8, side: int = 160) -> None:
    """Save a contact sheet of rows of images, each fitted into a square."""
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * side, rows * side), (255, 255, 255))
    for i, image in enumerate(images):
        small = image.copy()
        small.thumbnail((side - 4, side - 4), Image.Resampling.LANCZOS)
        sheet.paste(small, ((i % columns) * side + 2, (i // columns) * side + 2))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
