"""What a reading takes: the rows of the UNet that it asks for."""

from __future__ import annotations

from generation.params import Params, ReadingKind
from generation.planning.shortening import split_words

WORD_PROBES = 3  # noises and timesteps with which each word is weighed


def reading_rows(params: Params) -> int:
    """Return how many rows of the UNet a reading takes: each word is left out once, with each noise."""
    assert params.reading is ReadingKind.SHORTEN
    return sum(WORD_PROBES * (len(split_words(part.text)) + 1) for part in params.parts)
