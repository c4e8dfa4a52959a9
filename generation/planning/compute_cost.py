"""The number, size and cost of a job's denoising passes."""

from __future__ import annotations

import math

from generation.models.capabilities import Capability
from generation.models.model import Model
from generation.params import Params
from generation.planning.control import control_factor
from generation.planning.guidance import guidance_weights
from generation.planning.holding import drawn_rows
from generation.planning.readings import reading_rows
from generation.planning.style import has_leader
from generation.planning.tiling import window_positions, window_size

# The second pass of `--hd`: enough noise to add the missing detail, too little to change the composition.
HIRES_FACTOR = 2
HIRES_STRENGTH = 0.45


def has_hires_pass(params: Params) -> bool:
    """Return whether there is a second pass; inpainting has none, since the kept pixels have no larger version."""
    return params.hd and params.mask is None and params.frame is None and not params.region


def effective_steps(num_inference_steps: int, strength: float) -> int:
    """Return the number of steps for `strength`, as StableDiffusionImg2ImgPipeline does, but at least 1 above 0."""
    steps = min(max(int(num_inference_steps * strength), 1), num_inference_steps)
    return steps if strength > 0 else 0


def steps_before_stop(stop: int, steps: int) -> int:
    """Return how many of a pass's steps are done before `--stop`; at least one, if there are any."""
    return min(steps, max(1, round(steps * stop / 100)))


def compute_cost(params: Params, model: Model | None) -> int:
    """Return a job's cost: the pixels that the UNet processes over all rows and steps, but at least those of one step.

    If `model` is None, the cost is that of a model that processes any image in one window.
    """
    if params.reading is not None:
        return params.width * params.height * reading_rows(params, model)
    first = effective_steps(params.num_inference_steps, 1.0 if params.source is None else params.strength)
    second = effective_steps(params.num_inference_steps, HIRES_STRENGTH) if has_hires_pass(params) else 0
    hires_pixels = HIRES_FACTOR**2 * params.width * params.height * steps_before_stop(params.stop, second)
    pixels_per_step = _pixels_per_step(params, model)
    pixels = pixels_per_step * steps_before_stop(params.stop, first)
    images = params.count if params.film is None else params.film.steps
    rows, hires_rows = (
        images * each + has_leader(params) for each in (drawn_rows(params), len(guidance_weights(params)))
    )
    return int(max(pixels_per_step * rows, pixels * rows + hires_pixels * hires_rows) * control_factor(params))


def _pixels_per_step(params: Params, model: Model | None) -> int:
    """Return the pixels processed per image and step of the first pass; overlapping windows count some twice."""
    canvas = params.height, params.width
    if model is None or Capability.TILED not in model.capabilities:
        return math.prod(canvas)
    size = window_size(canvas, model.native_size, model.size_multiple, model.max_aspect)
    positions = window_positions(canvas, size, wrap=params.seamless)
    window_count = sum(_needs_denoising(params, top, left, size) for top, left in positions)
    return max(1, window_count) * math.prod(size)


def _needs_denoising(params: Params, top: int, left: int, size: tuple[int, int]) -> bool:
    """Return whether a window is denoised: not if all of it is kept. The contents of a mask are not known here."""
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
    """Return the thirds of a side that the interval touches."""
    return range(3 * start // side, math.ceil(3 * end / side))
