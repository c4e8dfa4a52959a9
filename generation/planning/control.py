"""Whether ControlNets act on a picture, and what they cost."""

from __future__ import annotations

from fractions import Fraction

from generation.params import Params

COST = Fraction(1, 2)  # of a ControlNet, as a share of its model's UNet, of which it has the first half and the middle


def has_control(params: Params) -> bool:
    """Return whether a ControlNet acts on the picture at all."""
    return params.control is not None and bool(params.control_set) and params.reading is None


def control_factor(params: Params) -> Fraction:
    """Return how much more a job costs than without ControlNets."""
    return 1 + COST * len(params.control_set) if has_control(params) else Fraction(1)
