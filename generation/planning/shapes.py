"""The usual shapes of pictures."""

from __future__ import annotations

from dataclasses import replace

from generation.models.model import Model, size_for
from generation.params import Params

SHAPES = ((1, 1), (5, 4), (4, 3), (3, 2), (16, 9), (2, 1), (7, 3), (3, 1))


def nearest_shape(size: tuple[int, int], max_aspect: float) -> tuple[int, int]:
    """Return the usual aspect ratio that is nearest to a picture's."""
    width, height = size
    shapes = [shape for shape in SHAPES if shape[0] <= max_aspect * shape[1]]
    ratio = max(width, height) / max(1, min(width, height))
    long, short = min(shapes, key=lambda shape: abs(shape[0] / shape[1] - ratio))
    return (long, short) if width >= height else (short, long)


def in_shape(params: Params, aspect: tuple[int, int], model: Model) -> Params:
    """Return the params of a whole picture with another aspect ratio, at the model's size."""
    width, height = size_for(model, aspect, draft=params.draft)
    return replace(params, aspect=aspect, width=width, height=height)
