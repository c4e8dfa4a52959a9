"""How strongly a style reference acts, from `--sw`."""

from __future__ import annotations

import math

from generation.params import Params

MAX_STYLE_WEIGHT = 1000
DEFAULT_STYLE_WEIGHT = 100
# At the default weight the colours move two fifths of the way to the reference's, and its keys count as much in
# self-attention as the picture's own; at the largest, nine tenths of the way, and eight times as much.
_DEFAULT_MOMENTS, _MAX_MOMENTS = 0.4, 0.9
_MAX_ATTENTION = 8.0
PALETTE_MOMENTS = 0.3  # of the way, where only the colours are taken over


def has_style(params: Params) -> bool:
    """Return whether a style reference acts on the picture at all."""
    return params.style is not None and params.style_weight > 0


def has_leader(params: Params) -> bool:
    """Return whether the picture attends to its style reference, which takes a row more in each step."""
    return has_style(params) and not params.style_is_palette and not has_style_adapter(params)


def has_style_adapter(params: Params) -> bool:
    """Return whether an IP-Adapter takes the style over, instead of attention and colours."""
    return has_style(params) and not params.style_is_palette and bool(params.style_adapter)


def moments_share(weight: int) -> float:
    """Return how far the latents' mean and deviation move towards the reference's in each step, from 0 to 0.9."""
    return _power(weight, _DEFAULT_MOMENTS, _MAX_MOMENTS)


def attention_share(weight: int) -> float:
    """Return how much the reference's keys count in self-attention beside the picture's own, from 0 to 8."""
    return _power(weight, 1.0, _MAX_ATTENTION)


def _power(weight: int, default: float, most: float) -> float:
    """Return the power of the weight with these values at the default and at the largest weight; 0 stays 0."""
    exponent = math.log(most / default, MAX_STYLE_WEIGHT / DEFAULT_STYLE_WEIGHT)
    return default * math.pow(weight / DEFAULT_STYLE_WEIGHT, exponent)
