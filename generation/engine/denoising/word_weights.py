"""Weigh the words of a prompt: how much of the prediction changes without each of them.

The UNet's prediction says what the picture depends on, which attention maps and embeddings do not: "a" is far from
nothing in an embedding, but no picture changes with it. https://arxiv.org/abs/2303.16203 compares texts in this way.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from generation.engine.denoising.probes import Probe
from generation.engine.denoising.reading import Question, Questions
from generation.messages import Reading
from generation.params import Word
from generation.planning.shortening import split_words, weights_of, without_word


def weigh_words(texts: Sequence[str], probes: Sequence[Probe]) -> Questions:
    """Ask for the words of each text, and return their weights."""
    weighed = []
    for text in texts:
        words = split_words(text)
        asked = [text, *(without_word(words, index) for index in range(len(words)))]
        answers = yield [Question(each, probe) for probe in probes for each in asked]
        weights = weights_of(_changes(answers, len(probes)))
        weighed.append(tuple(Word(word, round(weight, 3)) for word, weight in zip(words, weights, strict=True)))
    return Reading(0.0, words=tuple(weighed))


def _changes(answers: Tensor, probes: int) -> list[float]:
    """Return the mean squared change of the prediction without each word."""
    whole, *without = answers.reshape(probes, -1, *answers.shape[1:]).transpose(0, 1)
    changes: list[float] = [float((prediction - whole).square().mean()) for prediction in without]
    return changes
