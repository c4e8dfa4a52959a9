"""The `parameters` text of a PNG, in the format that AUTOMATIC1111's web UI writes and Civitai and others read."""

from __future__ import annotations

import json
import re
from dataclasses import replace

from generation.edited_text import write_edits
from generation.files.job_name import SETTING
from generation.models.files.controls import kind_of
from generation.models.model import Model
from generation.models.samplers import SAMPLER_LABELS
from generation.params import ControlWeight, Params, PromptPart, Tile
from generation.planning.compute_cost import HIRES_FACTOR, HIRES_STRENGTH, has_hires_pass
from generation.planning.guidance import split_by_style
from generation.planning.mixing import drawn_words
from generation.prompt import format_prompt
from generation.prompt.weights import format_number

NEGATIVE_WEIGHT = -0.5
MIN_WEIGHT = 0.0005  # smaller weights would be rounded to 0
NEGATIVE = "Negative prompt:"
# What the web UI calls the ways in which a picture is read for a kind of ControlNet; the others take it as it is.
_MODULES = {"canny": "canny", "scribble": "scribble_xdog"}


def infotext(params: Params, model: Model, tile: int, *, job_id: str = "", with_prompt: bool = True) -> str:
    """Describe tile number `tile` (from 0) of `params`; `Atelier` holds the prompt that generates the grid again.

    Weighted parts are joined by `AND`, which adds up their noise in the web UI as it does here. The house style is
    added to the text with its weight, and LoRAs come last. Parts of negative weight and `--no` items are in the
    negative prompt. The size is that of the first pass, as in the web UI's "Hires. fix". `Lineage` names the images
    that it starts from, `Job` the job that it comes from. Without the prompt, only the settings are written.
    """
    settings = _settings(params, model, tile) | ({SETTING: job_id} if job_id else {})
    if not with_prompt:
        return _format_settings(settings)
    lines = [_positive(params)]
    if negative := _negative(params):
        lines.append(f"{NEGATIVE} {negative}")
    lines.append(_format_settings(settings | {"Atelier": format_prompt(params, None, seed=True)}))
    return "\n".join(lines)


def _positive(params: Params) -> str:
    params = drawn_words(params)
    positive = [_with_notation(part) for part in params.weighted_parts if part.weight > 0]
    weighted = [
        (text, weight) for part in positive for text, weight in split_by_style(part, params) if abs(weight) > MIN_WEIGHT
    ]
    is_single = len(weighted) == 1
    texts = (
        weighted[0][0]
        if is_single
        else " AND ".join(f"{text} :{format_number(round(weight, 3))}" for text, weight in weighted)
    )
    return _sanitize(" ".join(filter(None, [texts, *_loras(params)])))


def _with_notation(part: PromptPart) -> PromptPart:
    return replace(part, text=write_edits(part.edited)) if part.edited else part


def _loras(params: Params) -> list[str]:
    return [f"<lora:{use.name}:{format_number(use.weight)}>" for use in params.loras]


def _negative(params: Params) -> str:
    parts = [_with_notation(part) for part in params.parts if part.weight < 0]
    negative = [_emphasis(part.text, part.weight / NEGATIVE_WEIGHT) for part in parts]
    return _sanitize(", ".join(filter(None, [params.negative_prompt, *negative, *params.no])))


def _emphasis(text: str, strength: float) -> str:
    return text if strength == 1 else f"({text}:{format_number(round(strength, 3))})"


def parent_tiles(params: Params) -> list[Tile]:
    """Return the bot's own images that `params` start from; uploaded images have no name to mention."""
    images = dict.fromkeys((params.source, *params.blended, params.original))
    return [image for image in images if isinstance(image, Tile)]


def _settings(params: Params, model: Model, tile: int) -> dict[str, str]:
    name = params.sampler or model.sampler
    sampler, schedule = SAMPLER_LABELS.get(name or "", (name, None))
    has_hires = has_hires_pass(params)
    strength = params.strength if params.source is not None else HIRES_STRENGTH if has_hires else None
    values = {
        "Steps": str(params.num_inference_steps),
        "Sampler": sampler,
        "Schedule type": schedule,
        "CFG scale": format_number(params.guidance_scale),
        "Image CFG scale": None if params.original is None else format_number(params.image_guidance),
        "Seed": str(params.seed_of(tile)),
        "Size": f"{params.width}x{params.height}",
        "Model": model.name,
        "Denoising strength": None if strength is None else format_number(strength),
        "Hires upscale": str(HIRES_FACTOR) if has_hires else None,
        **_controls(params),
        "Tile": str(tile + 1),
        "Lineage": " ".join(map(str, parent_tiles(params))) or None,
    }
    return {key: value for key, value in values.items() if value is not None}


def _controls(params: Params) -> dict[str, str]:
    """Return the ControlNets as the web UI's extension writes them, each a list of settings within one."""
    if params.control is None:
        return {}
    return {f"ControlNet {number}": _control(use) for number, use in enumerate(params.control_set)}


def _control(use: ControlWeight) -> str:
    module, weight = _MODULES.get(kind_of(use.name), "none"), format_number(use.weight)
    unchanged = "Resize Mode: Crop and Resize, Guidance Start: 0.0, Guidance End: 1.0, Control Mode: Balanced"
    return f"Module: {module}, Model: {use.name}, Weight: {weight}, {unchanged}"


def _sanitize(text: str) -> str:
    """Remove line breaks and break up the marker of the negative prompt, so that typed text cannot add structure."""
    return re.sub(r"\s*[\r\n]\s*", " ", text).replace(NEGATIVE, f"{NEGATIVE[:-1]} :")


def _format_settings(settings: dict[str, str]) -> str:
    return ", ".join(f"{key}: {_quote(value)}" for key, value in settings.items())


def _quote(value: str) -> str:
    """Quote as JSON, with `,` and `:` escaped, since some readers ignore quotes and would see the next setting."""
    if not any(character in value for character in ',\n:"'):
        return value
    return json.dumps(value, ensure_ascii=False).replace(",", r"\u002c").replace(":", r"\u003a")
