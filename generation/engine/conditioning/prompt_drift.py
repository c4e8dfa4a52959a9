"""Chaos and weirdness: move a prompt's embedding towards the same prompt with a few phrases appended.

The model can generate what lies between the embeddings of two prompts, unlike what lies in a random direction. The
phrases are a list of ours, since the model's vocabulary contains unwanted words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

from generation.params import MAX_SEED, Params

MAX_CHAOS_SHARE = 0.9  # of the way to the other prompt; at 1 its phrases would outweigh the user's words
MAX_WEIRD_SHARE = 1.0

# One phrase of each row is used, so that tiles differ in place, time, colour and style.
CHAOS_PHRASES = (
    ("in a forest", "by the sea", "in the mountains", "in a desert", "in the snow", "in a meadow", "on a beach",
     "by a lake", "under water", "in an old town", "in a garden", "seen from above", "seen from afar", "close up"),
    ("at night", "at sunset", "at dawn", "at golden hour", "by day", "in the fog", "in a storm", "with clouds"),
    ("in red", "in orange", "in yellow", "in green", "in blue", "in purple", "in pink", "in teal", "in brown",
     "in white", "in grey", "in black"),
    ("watercolour", "sepia", "black and white", "oil painting", "photograph", "ink drawing", "pastel", "wide angle",
     "minimal", "ornate", "soft light", "strong contrast"),
)  # fmt: skip
WEIRD_PHRASES = (
    ("under water", "in space", "in the fog at night", "inside a giant mushroom", "in a purple desert",
     "on a teal beach under a pink sky", "in an orange forest", "in a black and white dream"),
    ("made of glass", "made of wool", "folded from paper", "melting", "clockwork", "overgrown", "glowing from within",
     "crystalline", "turned inside out", "in a thousand pieces"),
    ("surreal", "impossible geometry", "upside down", "far too large", "kaleidoscopic", "like a fever dream",
     "in wrong colours", "unlike anything seen before"),
)  # fmt: skip


def drift_targets(params: Params, tile: int) -> list[tuple[float, str]]:
    """Return how far a tile moves towards which phrases; empty without chaos and weirdness.

    The first third of the way hardly shows, hence the square roots. Chaos depends on the tile's own seed. Weirdness is
    the same for all tiles and depends on the prompt, since a tile generated alone has another seed.
    """
    targets = []
    if params.chaos:
        phrases = _sample_phrases(CHAOS_PHRASES, f"chaos {(params.seed + tile) % (MAX_SEED + 1)}")
        targets.append((MAX_CHAOS_SHARE * math.sqrt(params.chaos / 100), phrases))
    if params.weird:
        phrases = _sample_phrases(WEIRD_PHRASES, " :: ".join(("weird", *(part.text for part in params.parts))))
        targets.append((MAX_WEIRD_SHARE * math.sqrt(params.weird / 3000), phrases))
    return targets


def _sample_phrases(rows: Sequence[Sequence[str]], seed: str) -> str:
    random = Random(seed)
    return ", ".join(random.choice(row) for row in rows)
