"""The `parameters` text inside a PNG, as AUTOMATIC1111's web UI writes it and Civitai and others read it."""

from __future__ import annotations

import json
import re

from generation.guidance import styled
from generation.models import Model
from generation.params import Params
from generation.passes import HD_FACTOR, HD_STRENGTH, goes_twice
from generation.prompt import write
from generation.prompt.weights import number

NO_WEIGHT = -0.5
LEAST_WEIGHT = 0.0005  # less is written as 0
NEGATIVE = "Negative prompt:"

# That program's names for the samplers: (Sampler, Schedule type).
SAMPLER_LABELS = {
    "ddim": ("DDIM", None),
    "ddpm": ("DDPM", None),
    "dpmpp_2m": ("DPM++ 2M", None),
    "dpmpp_2m_karras": ("DPM++ 2M", "Karras"),
    "dpmpp_2m_sde": ("DPM++ 2M SDE", None),
    "euler": ("Euler", None),
    "euler_a": ("Euler a", None),
    "heun": ("Heun", None),
    "lcm": ("LCM", None),
    "pndm": ("PLMS", None),
    "unipc": ("UniPC", None),
}


def infotext(params: Params, model: Model, tile: int, *, with_prompt: bool = True) -> str:
    """Describe tile number `tile` (from 0) of `params`; under `Atelier` is the prompt that draws the whole grid again.

    Parts with weights are joined by `AND`, which means there what it means here: their noise is added up; the house
    style stands among the words, as strongly as it is applied, and LoRAs behind them. What is pushed away stands in the
    negative prompt. The size is that of the first pass, as in that program's own "Hires. fix". Without the prompt, what
    is left are the settings.
    """
    settings = _settings(params, model, tile)
    if not with_prompt:
        return _line(settings)
    lines = [_positive(params)]
    if negative := _negative(params):
        lines.append(f"{NEGATIVE} {negative}")
    lines.append(_line(settings | {"Atelier": write(params, None, seed=True)}))
    return "\n".join(lines)


def _positive(params: Params) -> str:
    pulling = [part for part in params.weighted_parts if part.weight > 0]
    told = [(text, weight) for part in pulling for text, weight in styled(part, params) if abs(weight) > LEAST_WEIGHT]
    alone = len(told) == 1
    texts = told[0][0] if alone else " AND ".join(f"{text} :{number(round(weight, 3))}" for text, weight in told)
    return _plain(" ".join(filter(None, [texts, *_loras(params)])))


def _loras(params: Params) -> list[str]:
    return [f"<lora:{use.name}:{number(use.weight)}>" for use in params.loras]


def _negative(params: Params) -> str:
    pushed = [_emphasis(part.text, part.weight / NO_WEIGHT) for part in params.parts if part.weight < 0]
    return _plain(", ".join(filter(None, [params.negative_prompt, *pushed, *params.no])))


def _emphasis(text: str, strength: float) -> str:
    return text if strength == 1 else f"({text}:{number(round(strength, 3))})"


def _settings(params: Params, model: Model, tile: int) -> dict[str, str]:
    name = params.sampler or model.sampler
    sampler, schedule = SAMPLER_LABELS.get(name or "", (name, None))
    twice = goes_twice(params)
    strength = params.strength if params.source is not None else HD_STRENGTH if twice else None
    values = {
        "Steps": str(params.num_inference_steps),
        "Sampler": sampler,
        "Schedule type": schedule,
        "CFG scale": number(params.guidance_scale),
        "Seed": str(params.seed_of(tile)),
        "Size": f"{params.width}x{params.height}",
        "Model": model.name,
        "Denoising strength": None if strength is None else number(strength),
        "Hires upscale": str(HD_FACTOR) if twice else None,
        "Tile": str(tile + 1),
    }
    return {key: value for key, value in values.items() if value is not None}


def _plain(text: str) -> str:
    """Keep what was typed from being taken for the structure around it."""
    return re.sub(r"\s*[\r\n]\s*", " ", text).replace(NEGATIVE, f"{NEGATIVE[:-1]} :")


def _line(settings: dict[str, str]) -> str:
    return ", ".join(f"{key}: {_quote(value)}" for key, value in settings.items())


def _quote(value: str) -> str:
    """Quote as JSON, without the marks that readers which know nothing of quotes take for the next setting."""
    if not any(mark in value for mark in ',\n:"'):
        return value
    return json.dumps(value, ensure_ascii=False).replace(",", r"\u002c").replace(":", r"\u003a")
