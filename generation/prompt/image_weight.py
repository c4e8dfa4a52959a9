"""`--iw`, the weight of the image prompt, as the strength of image-to-image.

Each unit of weight leaves 0.6 of the noise that the unit before it left: 0 forgets the picture (strength 1), 1 keeps
its composition (0.6), 2 its forms (0.36), 3 nearly everything (0.216).
"""

from __future__ import annotations

import math

NOISE_PER_WEIGHT = 0.6


def strength_for(image_weight: float) -> float:
    """Give the strength, from 1 downwards, for an image weight from 0 upwards."""
    return round(math.pow(NOISE_PER_WEIGHT, image_weight), 3)


def image_weight_for(strength: float) -> float:
    """Give the shortest image weight whose strength is `strength`."""
    exact = math.log(max(strength, 0.0004)) / math.log(NOISE_PER_WEIGHT)  # which `strength_for` rounds to 0
    candidates = (round(exact, digits) for digits in range(1, 6))
    return next((weight for weight in candidates if strength_for(weight) == strength), round(exact, 5)) + 0.0
