"""Where chaos and weirdness lead a prompt: to the same prompt with a few words more.

What lies between the embeddings of two prompts, and at either end, is something the model can draw, which a random
direction is not. The words are ours, not the model's: its vocabulary has some that nobody asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

from generation.params import MAX_SEED, Params

MAX_CHAOS_SHARE = 0.9  # of the way to the other prompt; all the way its words would outshout the person's
MAX_WEIRD_SHARE = 1.0

# One of each row is taken, so that the tiles part in place, time, colour and manner.
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
    """Give how far a tile goes towards which words; none where neither chaos nor weirdness is asked for.

    The first third of the way is hardly seen, hence the roots. Chaos goes with the seed that draws the tile alone;
    weirdness, the same for all tiles, with the prompt, since a tile that is drawn alone has a seed of its own.
    """
    targets = []
    if params.chaos:
        words = _sample_phrases(CHAOS_PHRASES, f"chaos {(params.seed + tile) % (MAX_SEED + 1)}")
        targets.append((MAX_CHAOS_SHARE * math.sqrt(params.chaos / 100), words))
    if params.weird:
        words = _sample_phrases(WEIRD_PHRASES, " :: ".join(("weird", *(part.text for part in params.parts))))
        targets.append((MAX_WEIRD_SHARE * math.sqrt(params.weird / 3000), words))
    return targets


def _sample_phrases(rows: Sequence[Sequence[str]], seed: str) -> str:
    random = Random(seed)
    return ", ".join(random.choice(row) for row in rows)
