"""How strongly each text of a job pulls at its pictures: the one formula for weights, `--no`, style and guidance."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import NamedTuple

from generation.errors import UserError
from generation.params import Params, PromptPart


class ConditioningText(NamedTuple):
    """A text that the UNet is told; `astray` says that chaos and weirdness lead it away from its plain meaning."""

    text: str
    perturbed: bool = False


def guidance_weights(params: Params) -> dict[ConditioningText, float]:
    """Give each distinct text's share in the guided prediction; raises Complaint if nothing in the prompt pulls.

    `u + g · Σ wᵢ (cᵢ − u)`, gathered by text: `g · wᵢ` for each cᵢ and `1 − g · Σ wᵢ` for u, the empty or the negative
    prompt. What has no share is left out, so a lone prompt without guidance costs one row, as in diffusers, where a
    scale up to 1 means none.
    """
    if not any(part.weight > 0 for part in params.parts):
        raise UserError("Nothing in the prompt has a weight above 0, so there is nothing to draw.")
    guidance = max(1.0, params.guidance_scale)
    is_perturbed = bool(params.chaos or params.weird)
    weights: dict[ConditioningText, float] = defaultdict(float)
    for part in params.weighted_parts:
        for text, weight in split_by_style(part, params):
            weights[ConditioningText(text, is_perturbed and part.weight > 0)] += guidance * weight
    weights[ConditioningText(params.negative_prompt or "")] += 1 - sum(weights.values())
    return {told: pull for told, pull in weights.items() if abs(pull) > 1e-6}


def style_share(stylize: int) -> float:
    """Give how much of the house style is applied: `stylize / 100` up to 1, beyond that `1 + ½ · log₁₀(stylize / 100)`.

    So 250 is 1.2 and 1000 is 1.5: what is more than the trigger words can say drowns the prompt soon.
    """
    share = stylize / 100
    return share if share <= 1 else 1 + math.log10(share) / 2


def append_text(text: str, suffix: str) -> str:
    """Append `words` to a text; either may be empty."""
    return ", ".join(filter(None, (text, suffix)))


def split_by_style(part: PromptPart, params: Params) -> list[tuple[str, float]]:
    """Share a part's weight between its bare text and the one with the house style; above 1 the bare one is pushed."""
    if part.weight < 0 or not params.house_style:
        return [(part.text, part.weight)]
    share = style_share(params.stylize)
    in_style = append_text(part.text, params.house_style)
    return [(part.text, part.weight * (1 - share)), (in_style, part.weight * share)]
