"""What a reading takes: the rows of the UNet that it asks for."""

from __future__ import annotations

from generation.models.model import Model
from generation.params import Params, ReadingKind
from generation.planning.descriptions import description_rows
from generation.planning.shortening import split_words

WORD_PROBES = 3  # noises and timesteps with which each word is weighed


PICTURE_PROBES = 5  # noises with which descriptions of a picture are compared


def reading_rows(params: Params, model: Model | None) -> int:
    """Return how many rows of the UNet a reading takes, of a description about how many."""
    if params.reading is ReadingKind.DESCRIBE:
        return description_rows(model.vocabulary if model else None, PICTURE_PROBES)
    # Each word is left out once, with each noise.
    return sum(WORD_PROBES * (len(split_words(part.text)) + 1) for part in params.parts)
