"""The params of a piece of a canvas, and of the finished canvas: pure functions from the params of its theme."""

from __future__ import annotations

import math
from dataclasses import replace

from generation.params import Frame, ImageRef, Params, PromptPart
from generation.planning.actions import OUTPAINT_STRENGTH

THEME_WEIGHT = 0.6  # of the theme beside a piece's own words
CANDIDATES = 4
CELL_MULTIPLE = 8  # pixels, so that a border lies between two latents


def cell_side(width: int) -> int:
    """Return the side of a cell, for a model that draws squares of `width` pixels: three eighths of that.

    Around the two by two cells of a piece, an eighth on each side shows what is painted there: it is drawn to fit.
    """
    return max(CELL_MULTIPLE, width * 3 // 8 // CELL_MULTIPLE * CELL_MULTIPLE)


def first_piece(theme: Params, words: str, seed: int) -> Params:
    """Return the params of the candidates for the first piece: there is nothing yet to go on from."""
    return replace(theme, parts=_parts(theme, words), seed=seed, count=CANDIDATES)


def next_piece(theme: Params, words: str, seed: int, source: ImageRef, mask: ImageRef) -> Params:
    """Return the params of the candidates for a place that is painted in part; where `mask` is white, it is not.

    They cost one ordinary grid, however large the canvas is.
    """
    square = Frame(0, 0, theme.width, theme.height)
    child = first_piece(theme, words, seed)
    return replace(child, source=source, mask=mask, strength=OUTPAINT_STRENGTH, frame=square)


def with_palette(piece: Params, first: ImageRef) -> Params:
    """Return the params of a piece that holds to the colours of the first one."""
    return replace(piece, style=first, style_is_palette=True)


def finished_canvas(theme: Params, columns: int, rows: int, cell: int) -> Params:
    """Return the params of the whole picture of `columns` by `rows` cells with sides of `cell` pixels."""
    shared = math.gcd(columns, rows)
    aspect = columns // shared, rows // shared
    return replace(theme, width=columns * cell, height=rows * cell, aspect=aspect, count=1)


def _parts(theme: Params, words: str) -> tuple[PromptPart, ...]:
    return (PromptPart(words), *(replace(part, weight=THEME_WEIGHT * part.weight) for part in theme.parts))
