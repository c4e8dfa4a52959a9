"""How strongly pictures act through an IP-Adapter, and through which layers."""

from __future__ import annotations

import math

from generation.models.catalogue import Family
from generation.params import Params
from generation.planning.style import DEFAULT_STYLE_WEIGHT

MAX_CHARACTER_WEIGHT, DEFAULT_IMAGE_WEIGHT = 100, 1.0
# The attention layers that take a style over and leave the things alone, by the start of their names: InstantStyle
# (arXiv 2404.02733) found them in SDXL. Of other families none are known.
STYLE_LAYERS = {Family.SDXL: ("up_blocks.0.attentions.1.",)}
ALL_LAYERS = ("",)
_STYLE_EXPONENT = math.log10(3)  # a scale of 1 at `--sw 100`, of 3 at 1000
_IMAGE_EXPONENT, _IMAGE_DEFAULT = math.log(2, 3), 0.5  # a scale of 0.5 at `--iw 1`, beside the text; of 1 at 3


def has_character(params: Params) -> bool:
    """Return whether the picture of a character acts at all."""
    return params.character is not None and params.character_weight > 0 and params.reading is None


def has_image_prompts(params: Params) -> bool:
    """Return whether pictures act as a prompt."""
    return bool(params.image_prompts) and params.image_weight > 0 and params.reading is None


def style_scale(params: Params) -> float:
    """Return how much the image's style counts beside the text in the layers that take it over."""
    return math.pow(params.style_weight / DEFAULT_STYLE_WEIGHT, _STYLE_EXPONENT)


def character_scale(params: Params) -> float:
    """Return how much a character's image counts beside the text."""
    return params.character_weight / MAX_CHARACTER_WEIGHT


def image_scale(params: Params) -> float:
    """Return how much image prompts count beside the text."""
    return _IMAGE_DEFAULT * math.pow(params.image_weight, _IMAGE_EXPONENT)
