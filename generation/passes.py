"""How often the UNet goes over a job's pictures, at which size, and what that costs."""

from __future__ import annotations

import math

from generation.features import Feature
from generation.guidance import coefficients
from generation.models import Model
from generation.params import Params
from generation.windows import places_for, window_for

# The second pass of `--hd`: enough noise to draw what an enlargement lacks, too little to compose anew.
HD_FACTOR = 2
HD_STRENGTH = 0.45


def goes_twice(params: Params) -> bool:
    """Say whether there is a second pass; what is kept to the pixel cannot be shown at twice the size."""
    return params.hd and params.mask is None and params.frame is None and not params.region


def steps_made(num_inference_steps: int, strength: float) -> int:
    """Give how many steps `strength` leaves, as StableDiffusionImg2ImgPipeline does, but at least one above 0."""
    made = min(max(int(num_inference_steps * strength), 1), num_inference_steps)
    return made if strength > 0 else 0


def steps_until(stop: int, steps: int) -> int:
    """Give how many of a pass's steps `--stop` leaves; at least one, where there is one."""
    return min(steps, max(1, round(steps * stop / 100)))


def work(params: Params, model: Model | None) -> int:
    """Give what a job costs: the pixels that the UNet sees over all rows and steps, and those of one step at least.

    Without the model, one that sees any picture at once is thought of.
    """
    first = steps_made(params.num_inference_steps, 1.0 if params.source is None else params.strength)
    second = steps_made(params.num_inference_steps, HD_STRENGTH) if goes_twice(params) else 0
    again = HD_FACTOR**2 * params.width * params.height * steps_until(params.stop, second)
    seen = _seen(params, model)
    pixels = seen * steps_until(params.stop, first) + again
    return max(seen, pixels) * params.count * len(coefficients(params))


def _seen(params: Params, model: Model | None) -> int:
    """Give the pixels of a picture that are seen in a step of the first pass: some twice, where windows overlap."""
    canvas = params.height, params.width
    if model is None or Feature.WINDOWS not in model.features:
        return math.prod(canvas)
    size = window_for(canvas, model.native_size, model.size_multiple, model.max_aspect)
    places = places_for(canvas, size, endless=params.seamless)
    drawn = sum(_shows_something_new(params, top, left, size) for top, left in places)
    return max(1, drawn) * math.prod(size)


def _shows_something_new(params: Params, top: int, left: int, size: tuple[int, int]) -> bool:
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
    rows = _cells_between(top, bottom, params.height)
    columns = _cells_between(left, right, params.width)
    return any(row in rows and column in columns for row, column in (divmod(cell, 3) for cell in params.region))


def _cells_between(start: int, end: int, side: int) -> range:
    """Give which thirds of a side a stretch of it touches."""
    return range(3 * start // side, math.ceil(3 * end / side))
