"""How often the UNet goes over a job's pictures, at which size, and what that costs."""

from __future__ import annotations

from generation.guidance import coefficients
from generation.params import Params

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


def work(params: Params) -> int:
    """Give what a job costs: the pixels that the UNet sees over all rows and steps, and those of one step at least."""
    first = steps_made(params.num_inference_steps, 1.0 if params.source is None else params.strength)
    second = steps_made(params.num_inference_steps, HD_STRENGTH) if goes_twice(params) else 0
    steps = steps_until(params.stop, first) + HD_FACTOR**2 * steps_until(params.stop, second)
    return max(1, steps) * params.count * len(coefficients(params)) * params.width * params.height
