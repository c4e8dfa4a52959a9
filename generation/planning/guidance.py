"""The guidance weight of each text of a job: one formula for prompt weights, `--no`, style and guidance scale."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import NamedTuple

from generation.errors import UserError
from generation.params import Params, PromptPart
from generation.text import Text


class ConditioningText(NamedTuple):
    """A text that conditions the UNet; `perturbed` says that chaos and weird shift its embedding.

    With `sees_original`, the UNet sees the image beside it that the words say how to change.
    """

    text: str
    perturbed: bool = False
    sees_original: bool = False


def guidance_weights(params: Params) -> dict[ConditioningText, float]:
    """Return each distinct text's weight in the guided prediction; raise UserError if no part has a positive weight.

    `u + g · Σ wᵢ (cᵢ − u)`, collected by text: `g · wᵢ` for each cᵢ and `1 − g · Σ wᵢ` for u, the empty or the negative
    prompt. Texts with weight 0 are left out, so a single prompt without guidance costs one row, as in diffusers, where
    a scale up to 1 means no guidance.

    The texts of an edit see the original. Its guidance goes from u, which does not see it, to the negative prompt with
    it, i, and on to the texts: `u + image guidance · (i − u) + g · Σ wᵢ (cᵢ − i)`, as in InstructPix2Pix.
    """
    if not any(part.weight > 0 for part in params.parts):
        raise UserError(Text("No part of the prompt has a weight above 0: give at least one part a positive weight."))
    guidance = max(1.0, params.guidance_scale)
    is_perturbed, is_edit = bool(params.chaos or params.weird), params.original is not None
    weights: dict[ConditioningText, float] = defaultdict(float)
    for part in params.weighted_parts:
        for text, weight in split_by_style(part, params):
            weights[ConditioningText(text, is_perturbed and part.weight > 0, is_edit)] += guidance * weight
    negative = ConditioningText(params.negative_prompt or "", sees_original=is_edit)
    image_guidance = params.image_guidance if is_edit and guidance > 1 else 1.0
    weights[negative] += image_guidance - sum(weights.values())
    weights[negative._replace(sees_original=False)] += 1 - image_guidance
    return {text: weight for text, weight in weights.items() if abs(weight) > 1e-6}


def style_share(stylize: int) -> float:
    """Return the share of the house style: `stylize / 100` up to 1, beyond that `1 + ½ · log₁₀(stylize / 100)`.

    So 250 is 1.2 and 1000 is 1.5: larger shares would soon drown out the prompt.
    """
    share = stylize / 100
    return share if share <= 1 else 1 + math.log10(share) / 2


def append_text(text: str, suffix: str) -> str:
    """Append `suffix` to a text; either may be empty."""
    return ", ".join(filter(None, (text, suffix)))


def split_by_style(part: PromptPart, params: Params) -> list[tuple[str, float]]:
    """Split a part's weight between its plain and its styled text; a share above 1 makes the plain text negative."""
    if part.weight < 0 or not params.house_style:
        return [(part.text, part.weight)]
    share = style_share(params.stylize)
    in_style = append_text(part.text, params.house_style)
    return [(part.text, part.weight * (1 - share)), (in_style, part.weight * share)]
