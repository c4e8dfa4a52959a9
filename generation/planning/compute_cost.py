"""How often the UNet goes over a job's pictures, at which size, and what that costs."""

from __future__ import annotations

import math

from generation.models.capabilities import Capability
from generation.models.model import Model
from generation.params import Params
from generation.planning.guidance import guidance_weights
from generation.planning.tiling import window_positions, window_size

# The second pass of `--hd`: enough noise to draw what an enlargement lacks, too little to compose anew.
HIRES_FACTOR = 2
HIRES_STRENGTH = 0.45


def has_hires_pass(params: Params) -> bool:
    """Say whether there is a second pass; what is kept to the pixel cannot be shown at twice the size."""
    return params.hd and params.mask is None and params.frame is None and not params.region


def effective_steps(num_inference_steps: int, strength: float) -> int:
    """Give how many steps `strength` leaves, as StableDiffusionImg2ImgPipeline does, but at least one above 0."""
    steps = min(max(int(num_inference_steps * strength), 1), num_inference_steps)
    return steps if strength > 0 else 0


def steps_before_stop(stop: int, steps: int) -> int:
    """Give how many of a pass's steps `--stop` leaves; at least one, where there is one."""
    return min(steps, max(1, round(steps * stop / 100)))


def compute_cost(params: Params, model: Model | None) -> int:
    """Give what a job costs: the pixels that the UNet sees over all rows and steps, and those of one step at least.

    Without the model, one that sees any picture at once is thought of.
    """
    first = effective_steps(params.num_inference_steps, 1.0 if params.source is None else params.strength)
    second = effective_steps(params.num_inference_steps, HIRES_STRENGTH) if has_hires_pass(params) else 0
    hires_pixels = HIRES_FACTOR**2 * params.width * params.height * steps_before_stop(params.stop, second)
    pixels_per_step = _pixels_per_step(params, model)
    pixels = pixels_per_step * steps_before_stop(params.stop, first) + hires_pixels
    return max(pixels_per_step, pixels) * params.count * len(guidance_weights(params))


def _pixels_per_step(params: Params, model: Model | None) -> int:
    """Give the pixels of a picture that are seen in a step of the first pass: some twice, where windows overlap."""
    canvas = params.height, params.width
    if model is None or Capability.TILED not in model.capabilities:
        return math.prod(canvas)
    size = window_size(canvas, model.native_size, model.size_multiple, model.max_aspect)
    positions = window_positions(canvas, size, wrap=params.seamless)
    window_count = sum(_needs_denoising(params, top, left, size) for top, left in positions)
    return max(1, window_count) * math.prod(size)


def _needs_denoising(params: Params, top: int, left: int, size: tuple[int, int]) -> bool:
    """Say whether a window is drawn: not where all of it is kept. What a mask keeps is not known here."""
    frame, bottom, right = params.frame, top + size[0], left + size[1]
    if params.mask is not None or (frame is None and not params.region):
        return True
    if frame is not None and not (
        frame.left <= left
        and frame.top <= top
        and right <= frame.left + frame.width
        and bottom <= frame.top + frame.height
    ):
        return True
    rows = _touched_cells(top, bottom, params.height)
    columns = _touched_cells(left, right, params.width)
    return any(row in rows and column in columns for row, column in (divmod(cell, 3) for cell in params.region))


def _touched_cells(start: int, end: int, side: int) -> range:
    """Give which thirds of a side a stretch of it touches."""
    return range(3 * start // side, math.ceil(3 * end / side))
