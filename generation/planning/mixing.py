"""Another idea on the shapes of a picture, as MagicMix (Liew et al., arXiv 2210.16056)."""

from __future__ import annotations

from dataclasses import replace

from generation.params import Params, PromptPart
from generation.planning.colouring import with_default_words

# The share of the noise that a job begins with, down to which the shapes of the picture are mixed in; the details are
# then drawn without it.
SHAPES_SHARE = 0.3


def drawn_words(params: Params) -> Params:
    """Return the params with the words that are drawn in place of the prompt: another idea's, or the default ones."""
    return replace(params, parts=(PromptPart(params.mix),)) if params.mix else with_default_words(params)
