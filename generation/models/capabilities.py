"""What a model can do beyond plain text-to-image, by its family."""

from __future__ import annotations

from enum import StrEnum

from generation.models.catalogue import Family
from generation.params import FilmKind, Params, ReadingKind
from generation.text import Text


class Capability(StrEnum):
    """Something that not every model can do; the value ends the error message "<model> cannot …".

    A translation may include the negation: "kann" and "keine Bilder mischen".
    """

    IMG2IMG = "start from a picture"
    BLEND = "blend pictures"
    INPAINT = "redraw a part of a picture or extend it"
    UPSCALE = "upscale a picture"
    TILED = "draw pictures much larger than its native size"
    ASPECT_RATIO = "draw in other shapes or sizes"
    PROMPT_WEIGHTS = "weight the parts of a prompt"
    PROMPT_EDITS = "change words while a picture is drawn"
    PROMPT_DRIFT = "make pictures more varied or unusual"
    NEGATIVE_PROMPT = "keep things out of a picture"
    GUIDANCE = "change how closely it follows the prompt"
    SAMPLER = "use another sampler"
    SEAMLESS = "draw seamless textures"
    STOP = "stop early"
    HD = "add a second pass at twice the size"
    ADAPTERS = "use LoRAs or embeddings"
    SHORTEN = "weigh the words of a prompt"
    VIDEO = "film how a picture appears"
    WALK = "walk from one picture to another"
    MIX = "draw another idea on the shapes of a picture"
    STYLE = "take over the style of a picture"
    CONTROL = "follow a picture by a ControlNet"
    CHARACTER = "draw the character of a picture"
    COLOUR = "colour a grey picture"
    EDIT = "change a picture as words say"

    @property
    def text(self) -> Text:
        """Return the value for an error message, translatable."""
        return Text(self.value)


ALL_CAPABILITIES = frozenset(Capability) - {Capability.EDIT}  # of a model that draws from words
_IMG2IMG = {
    Capability.IMG2IMG,
    Capability.INPAINT,
    Capability.UPSCALE,
    Capability.ASPECT_RATIO,
    Capability.COLOUR,
}
# What a model that edits pictures cannot do: its words say what to change, and it sees one whole picture.
_NOT_OF_EDITORS = {
    Capability.BLEND,
    Capability.INPAINT,
    Capability.SHORTEN,
    Capability.WALK,
    Capability.MIX,
    Capability.COLOUR,
    Capability.CONTROL,
    Capability.CHARACTER,
}

FAMILY_CAPABILITIES: dict[Family, frozenset[Capability]] = {
    Family.SD1: ALL_CAPABILITIES,
    Family.SD2: ALL_CAPABILITIES,
    Family.SDXL: ALL_CAPABILITIES,
    Family.SD3: frozenset({*_IMG2IMG, Capability.NEGATIVE_PROMPT, Capability.GUIDANCE}),
    Family.FLUX: frozenset({*_IMG2IMG, Capability.GUIDANCE}),
    Family.FLUX_SCHNELL: frozenset(_IMG2IMG),
    Family.FLUX_KONTEXT: frozenset({Capability.EDIT, Capability.ASPECT_RATIO, Capability.GUIDANCE}),
    Family.KANDINSKY: frozenset({*_IMG2IMG, Capability.NEGATIVE_PROMPT, Capability.GUIDANCE}),
    Family.UNCLIP: frozenset({Capability.GUIDANCE}),
    Family.CASCADE: frozenset({Capability.ASPECT_RATIO, Capability.NEGATIVE_PROMPT, Capability.GUIDANCE}),
    Family.WUERSTCHEN: frozenset({Capability.ASPECT_RATIO, Capability.NEGATIVE_PROMPT, Capability.GUIDANCE}),
    Family.IF: frozenset({Capability.ASPECT_RATIO, Capability.NEGATIVE_PROMPT, Capability.GUIDANCE}),
}


def model_capabilities(family: Family, *, is_editor: bool) -> frozenset[Capability]:
    """Return what a model of a family can do; an editor changes pictures, and needs one for all that it draws."""
    drawn = FAMILY_CAPABILITIES[family]
    return drawn - _NOT_OF_EDITORS | {Capability.EDIT} if is_editor else drawn


def required_capabilities(params: Params) -> frozenset[Capability]:
    """Return the capabilities that a model must have to generate `params`."""
    required = {
        Capability.IMG2IMG: params.source is not None and params.reading is None,
        Capability.BLEND: bool(params.blended),
        Capability.INPAINT: bool(params.frame or params.mask or params.region),
        Capability.PROMPT_WEIGHTS: len(params.parts) > 1 or any(part.weight != 1 for part in params.parts),
        Capability.PROMPT_EDITS: any(part.edited for part in params.parts),
        Capability.PROMPT_DRIFT: bool(params.chaos or params.weird),
        Capability.NEGATIVE_PROMPT: bool(params.no or params.negative_prompt),
        Capability.SAMPLER: params.sampler is not None,
        Capability.SEAMLESS: params.seamless,
        Capability.STOP: params.stop < 100,
        Capability.HD: params.hd,
        Capability.ADAPTERS: bool(params.loras),
        Capability.SHORTEN: params.reading is ReadingKind.SHORTEN,
        Capability.VIDEO: params.video,
        Capability.WALK: params.film is not None and params.film.kind is FilmKind.WALK,
        Capability.MIX: bool(params.mix),
        Capability.STYLE: params.style is not None,
        Capability.CONTROL: bool(params.controls),
        Capability.CHARACTER: bool(params.character or params.image_prompts),
        Capability.COLOUR: params.colourise,
        Capability.EDIT: params.original is not None,
    }
    return frozenset(capability for capability, is_required in required.items() if is_required)
