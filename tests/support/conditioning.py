"""The conditioning of prompts whose words do not change while a picture is drawn."""

from __future__ import annotations

from collections.abc import Sequence

from generation.engine.conditioning.encoder import Conditioning, PromptEncoder
from generation.params import Params


def encode(encoder: PromptEncoder, params: Params, places: Sequence[float] = ()) -> Conditioning:
    """Return the conditioning that holds for all steps."""
    (stage,) = encoder.encode(params, places, params.num_inference_steps)
    return stage.conditioning
