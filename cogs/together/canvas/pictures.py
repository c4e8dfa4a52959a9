"""Draw pictures of a canvas from the files of its cells, off the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from PIL import Image

from bot.images import canvas_pictures
from bot.images.canvas_pictures import Overview, Position
from db.image_files import ImageStore, cell_stem
from db.together.canvases import Canvas, Cell, Claim, Piece
from generation.params import Tile

FULL, SMALL = "png", "jpg"
MAX_FRAMES = 48  # of a film
FILM_SIDE = 768  # pixels
log = logging.getLogger(__name__)


class CanvasPictures:
    """Reads and writes the cells of canvases."""

    def __init__(self, files: ImageStore) -> None:
        self._files = files

    async def square_to_paint(
        self, canvas: Canvas, width: int, place: Position, cells: Sequence[Cell]
    ) -> tuple[bytes, bytes]:
        """Return what a piece goes on from, a picture of `width` pixels a side, and its mask."""
        paths = {(cell.x - place[0], cell.y - place[1]): self._path(canvas.session_id, cell, FULL) for cell in cells}
        return await asyncio.to_thread(lambda: canvas_pictures.square_to_paint(canvas.cell, width, _read(paths)))

    async def first_piece(self, canvas: Canvas, cells: Sequence[Cell]) -> bytes:
        """Return the picture of the first piece, whose colours all others hold to."""
        corner = min(cell.x for cell in cells), min(cell.y for cell in cells)
        picture, _ = await self.square_to_paint(canvas, 2 * canvas.cell, corner, cells)
        return picture

    async def cut(self, canvas: Canvas, claim: Claim, tile: Tile) -> None:
        """Store the new cells of a candidate. They count only once the piece is placed in the database."""
        data = await self._files.read(tile)
        cut = await asyncio.to_thread(canvas_pictures.cut_cells, data, claim.cells, canvas.cell)
        written: dict[Path, bytes] = {}
        for (right, down), (full, small) in cut.items():
            stem = cell_stem(claim.session_id, tile, claim.x + right, claim.y + down)
            written |= {self._files.cell_path(stem, FULL): full, self._files.cell_path(stem, SMALL): small}
        await self._files.save_cells(written)

    async def tidy(self, session_id: str, cells: Iterable[Cell]) -> None:
        """Delete the files of cells that are not painted any more."""
        await self._files.delete_cells(session_id, {_stem(session_id, cell) for cell in cells})

    async def overview(
        self, canvas: Canvas, cells: Sequence[Cell], places: Mapping[Position, int], busy: Sequence[Position]
    ) -> bytes:
        """Return the canvas in small, with numbered places and those that people are painting."""
        paths = self._paths(canvas, cells, SMALL)

        def draw() -> bytes:
            shown = Overview(columns=canvas.columns, rows=canvas.rows, cells=_read(paths), places=places, busy=busy)
            return canvas_pictures.draw_overview(shown)

        return await asyncio.to_thread(draw)

    async def window(self, canvas: Canvas, cells: Sequence[Cell], corner: Position, columns: int, rows: int) -> bytes:
        """Return a part of the canvas as large as Discord shows it."""
        left, top = corner
        suffix = SMALL if canvas_pictures.pitch_of(columns, rows) <= canvas_pictures.SMALL_SIDE else FULL
        paths = {
            (cell.x - left, cell.y - top): self._path(canvas.session_id, cell, suffix)
            for cell in cells
            if left <= cell.x < left + columns and top <= cell.y < top + rows
        }
        return await asyncio.to_thread(lambda: canvas_pictures.draw_window(_read(paths), columns, rows))

    async def whole(self, canvas: Canvas, cells: Sequence[Cell]) -> Image.Image:
        """Return the whole canvas at full size."""
        paths = self._paths(canvas, cells, FULL)
        return await asyncio.to_thread(
            lambda: canvas_pictures.draw_whole(_read(paths), canvas.columns, canvas.rows, canvas.cell)
        )

    async def frames(self, canvas: Canvas, cells: Sequence[Cell]) -> list[bytes]:
        """Return how the canvas grew, in at most `MAX_FRAMES` pictures."""
        by_piece: dict[int, dict[Position, Path]] = {}
        for cell in cells:
            by_piece.setdefault(cell.piece, {})[cell.x, cell.y] = self._path(canvas.session_id, cell, FULL)
        order = sorted(by_piece)
        length = -(-len(order) // MAX_FRAMES)
        groups = [order[start : start + length] for start in range(0, len(order), length)] if order else []
        steps = [{place: path for piece in group for place, path in by_piece[piece].items()} for group in groups]

        def draw() -> list[bytes]:
            return canvas_pictures.draw_frames([_read(step) for step in steps], canvas.columns, canvas.rows, FILM_SIDE)

        return await asyncio.to_thread(draw)

    async def credit_map(
        self, canvas: Canvas, cells: Sequence[Cell], pieces: Sequence[Piece], names: Mapping[int, str]
    ) -> bytes:
        """Return the canvas with each author's cells in a colour; an author who is not in `names` is 0."""
        paths = self._paths(canvas, cells, SMALL)
        author_of = {piece.number: piece.person_id if piece.person_id in names else 0 for piece in pieces}
        authors = {(cell.x, cell.y): author_of.get(cell.piece, 0) for cell in cells}
        size = canvas.columns, canvas.rows
        return await asyncio.to_thread(lambda: canvas_pictures.draw_credit_map(_read(paths), authors, names, *size))

    def _paths(self, canvas: Canvas, cells: Iterable[Cell], suffix: str) -> dict[Position, Path]:
        return {(cell.x, cell.y): self._path(canvas.session_id, cell, suffix) for cell in cells}

    def _path(self, session_id: str, cell: Cell, suffix: str) -> Path:
        return self._files.cell_path(_stem(session_id, cell), suffix)


def _stem(session_id: str, cell: Cell) -> str:
    return cell_stem(session_id, cell.tile, cell.x, cell.y)


def _read(paths: Mapping[Position, Path]) -> dict[Position, bytes]:
    """Read cells; one whose file is missing is left out, as if it were not painted."""
    found: dict[Position, bytes] = {}
    for place, path in paths.items():
        try:
            found[place] = path.read_bytes()
        except FileNotFoundError:
            log.warning("the file of a cell is missing: %s", path)
    return found
