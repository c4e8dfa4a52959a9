"""What a model can do besides drawing from words, by the family that it is of."""

from __future__ import annotations

from enum import StrEnum

from generation.catalogue import Family
from generation.params import Params


class Feature(StrEnum):
    """Something that not every model can do, as it is told to whoever asks for it."""

    PICTURE = "start from a picture"
    BLEND = "blend pictures"
    CANVAS = "draw a part or the surroundings of a picture"
    UPSCALE = "enlarge a picture"
    WINDOWS = "draw a picture much larger than its own size"
    SHAPES = "draw other shapes and sizes than its own"
    WEIGHTS = "weigh the parts of a prompt"
    WANDER = "leave the beaten track"
    NEGATIVE = "keep something out of a picture"
    GUIDANCE = "be told how closely to follow the prompt"
    SAMPLER = "work with another sampler"
    SEAMLESS = "draw seamless textures"
    STOP = "stop early"
    HD = "go over its pictures at twice the size"
    ADDITIONS = "draw with LoRAs and learnt words"


EVERYTHING = frozenset(Feature)
_PICTURES = {Feature.PICTURE, Feature.CANVAS, Feature.UPSCALE, Feature.SHAPES}

FEATURES: dict[Family, frozenset[Feature]] = {
    Family.SD1: EVERYTHING,
    Family.SD2: EVERYTHING,
    Family.SDXL: EVERYTHING,
    Family.SD3: frozenset({*_PICTURES, Feature.NEGATIVE, Feature.GUIDANCE}),
    Family.FLUX: frozenset({*_PICTURES, Feature.GUIDANCE}),
    Family.FLUX_SCHNELL: frozenset(_PICTURES),
    Family.KANDINSKY: frozenset({*_PICTURES, Feature.NEGATIVE, Feature.GUIDANCE}),
    Family.UNCLIP: frozenset({Feature.GUIDANCE}),
    Family.CASCADE: frozenset({Feature.SHAPES, Feature.NEGATIVE, Feature.GUIDANCE}),
    Family.WUERSTCHEN: frozenset({Feature.SHAPES, Feature.NEGATIVE, Feature.GUIDANCE}),
    Family.IF: frozenset({Feature.SHAPES, Feature.NEGATIVE, Feature.GUIDANCE}),
}


def needed(params: Params) -> frozenset[Feature]:
    """Say what a model must be able to do to draw `params`."""
    asked = {
        Feature.PICTURE: params.source is not None,
        Feature.BLEND: bool(params.blended),
        Feature.CANVAS: bool(params.frame or params.mask or params.region),
        Feature.WEIGHTS: len(params.parts) > 1 or any(part.weight != 1 for part in params.parts),
        Feature.WANDER: bool(params.chaos or params.weird),
        Feature.NEGATIVE: bool(params.no or params.negative_prompt),
        Feature.SAMPLER: params.sampler is not None,
        Feature.SEAMLESS: params.seamless,
        Feature.STOP: params.stop < 100,
        Feature.HD: params.hd,
        Feature.ADDITIONS: bool(params.loras),
    }
    return frozenset(feature for feature, is_asked in asked.items() if is_asked)
