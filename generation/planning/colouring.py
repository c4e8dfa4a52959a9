"""What is drawn over a grey picture for its colours, if nobody says what they are."""

from __future__ import annotations

from dataclasses import replace

from generation.params import Params, PromptPart

DEFAULT_WORDS = "a photo in bright natural colours, by day"


def has_words(params: Params) -> bool:
    """Return whether the prompt has any words."""
    return any(any(part.texts) for part in params.parts)


def with_default_words(params: Params) -> Params:
    """Return the params of a colourised picture with words, if the prompt has none."""
    if not params.colourise or has_words(params):
        return params
    return replace(params, parts=(PromptPart(DEFAULT_WORDS),))
