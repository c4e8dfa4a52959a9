"""How strongly the edges of a kept picture show in the picture that was generated around it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from generation.params import Frame

Pixels = NDArray[np.int_]


def edge_steps(image: Pixels, frame: Frame) -> tuple[float, Pixels]:
    """Return the largest mean step at an edge of the frame, and all such steps elsewhere along the same lines."""
    seams, others = [], []
    for grid, start, length, low, high in (
        (image, frame.top, frame.height, frame.left, frame.left + frame.width),
        (image.transpose(1, 0, 2), frame.left, frame.width, frame.top, frame.top + frame.height),
    ):
        steps = np.abs(np.diff(grid[:, low:high], axis=0)).mean((1, 2))
        edges = [edge - 1 for edge in (start, start + length) if 0 < edge < len(grid)]
        seams += [steps[edge] for edge in edges]
        others += [step for place, step in enumerate(steps) if place not in edges]
    return max(seams), np.array(others)


def seam_strength(image: Pixels, frame: Frame) -> float:
    """Return the step at the frame's edges, as a multiple of the larger steps within the image."""
    at_seam, elsewhere = edge_steps(image, frame)
    return float(at_seam / max(np.percentile(elsewhere, 95), 1.0))
