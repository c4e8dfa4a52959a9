"""What a reading takes: the rows of the UNet that it asks for."""

from __future__ import annotations

from generation.models.model import Model
from generation.params import Params, ReadingKind
from generation.planning.descriptions import description_rows
from generation.planning.shortening import split_words

# Fractions of all timesteps, with another noise for each. Words are weighed where the layout and the colours are
# decided.
WORD_NOISE_LEVELS = (0.6, 0.85, 0.999)
# In the order in which candidates are left out. Shapes show at the smaller ones, colours and the light at the larger.
PICTURE_NOISE_LEVELS = (0.6, 0.45, 0.9, 0.3, 0.75)
MORE_NOISE_LEVELS = (0.45, 0.6, 0.3)  # for the last few candidates


def reading_rows(params: Params, model: Model | None) -> int:
    """Return how many rows of the UNet a reading takes, of a description about how many."""
    if params.reading is ReadingKind.DESCRIBE:
        probes = len(PICTURE_NOISE_LEVELS)
        return description_rows(model.vocabulary if model else None, probes, probes + len(MORE_NOISE_LEVELS))
    # Each word is left out once, with each noise.
    return sum(len(WORD_NOISE_LEVELS) * (len(split_words(part.text)) + 1) for part in params.parts)
