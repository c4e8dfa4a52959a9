"""What a model can do besides drawing from words, by the family that it is of."""

from __future__ import annotations

from enum import StrEnum

from generation.models.catalogue import Family
from generation.params import Params


class Capability(StrEnum):
    """Something that not every model can do, as it is told to whoever asks for it."""

    IMG2IMG = "start from a picture"
    BLEND = "blend pictures"
    INPAINT = "draw a part or the surroundings of a picture"
    UPSCALE = "enlarge a picture"
    TILED = "draw a picture much larger than its own size"
    ASPECT_RATIO = "draw other shapes and sizes than its own"
    PROMPT_WEIGHTS = "weigh the parts of a prompt"
    PROMPT_DRIFT = "leave the beaten track"
    NEGATIVE_PROMPT = "keep something out of a picture"
    GUIDANCE = "be told how closely to follow the prompt"
    SAMPLER = "work with another sampler"
    SEAMLESS = "draw seamless textures"
    STOP = "stop early"
    HD = "go over its pictures at twice the size"
    ADAPTERS = "draw with LoRAs and learnt words"


ALL_CAPABILITIES = frozenset(Capability)
_IMG2IMG = {Capability.IMG2IMG, Capability.INPAINT, Capability.UPSCALE, Capability.ASPECT_RATIO}

FAMILY_CAPABILITIES: dict[Family, frozenset[Capability]] = {
    Family.SD1: ALL_CAPABILITIES,
    Family.SD2: ALL_CAPABILITIES,
    Family.SDXL: ALL_CAPABILITIES,
    Family.SD3: frozenset({*_IMG2IMG, Capability.NEGATIVE_PROMPT, Capability.GUIDANCE}),
    Family.FLUX: frozenset({*_IMG2IMG, Capability.GUIDANCE}),
    Family.FLUX_SCHNELL: frozenset(_IMG2IMG),
    Family.KANDINSKY: frozenset({*_IMG2IMG, Capability.NEGATIVE_PROMPT, Capability.GUIDANCE}),
    Family.UNCLIP: frozenset({Capability.GUIDANCE}),
    Family.CASCADE: frozenset({Capability.ASPECT_RATIO, Capability.NEGATIVE_PROMPT, Capability.GUIDANCE}),
    Family.WUERSTCHEN: frozenset({Capability.ASPECT_RATIO, Capability.NEGATIVE_PROMPT, Capability.GUIDANCE}),
    Family.IF: frozenset({Capability.ASPECT_RATIO, Capability.NEGATIVE_PROMPT, Capability.GUIDANCE}),
}


def required_capabilities(params: Params) -> frozenset[Capability]:
    """Say what a model must be able to do to draw `params`."""
    asked = {
        Capability.IMG2IMG: params.source is not None,
        Capability.BLEND: bool(params.blended),
        Capability.INPAINT: bool(params.frame or params.mask or params.region),
        Capability.PROMPT_WEIGHTS: len(params.parts) > 1 or any(part.weight != 1 for part in params.parts),
        Capability.PROMPT_DRIFT: bool(params.chaos or params.weird),
        Capability.NEGATIVE_PROMPT: bool(params.no or params.negative_prompt),
        Capability.SAMPLER: params.sampler is not None,
        Capability.SEAMLESS: params.seamless,
        Capability.STOP: params.stop < 100,
        Capability.HD: params.hd,
        Capability.ADAPTERS: bool(params.loras),
    }
    return frozenset(feature for feature, is_asked in asked.items() if is_asked)
