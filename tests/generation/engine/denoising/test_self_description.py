"""A description is found kind by kind, whatever the picture shows, in as many rows as announced."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from generation.engine.denoising.probes import Probe
from generation.engine.denoising.reading import Question
from generation.engine.denoising.self_description import describe_picture
from generation.models.model import EMBEDDED, describe_model
from generation.models.words.vocabulary import Vocabulary
from generation.planning.descriptions import DESCRIPTIONS, Description, description_rows, with_settings_of

PROBES = [Probe(torch.zeros(1, 1, 2, 2), torch.zeros(1), torch.zeros(1, 1, 2, 2)) for _ in range(8)]


def _vocabulary() -> Vocabulary:
    vocabulary = describe_model(EMBEDDED).vocabulary
    assert vocabulary is not None
    return vocabulary


VOCABULARY = _vocabulary()


def _predictions(questions: Sequence[Question], shown: str) -> Tensor:
    """Return predictions that are the worse the more words, and pairs of words, a text has too many or too few."""
    wrong = [len(_words(question.text) ^ _words(shown)) for question in questions]
    return torch.tensor([1.0 + each for each in wrong]).sqrt().view(-1, 1, 1, 1).expand(-1, 1, 2, 2)


def _words(text: str) -> set[tuple[str, ...]]:
    words = text.split()
    return {*zip(words, strict=True), *pairwise(words)}


def _described(shown: str, vocabulary: Vocabulary = VOCABULARY) -> tuple[tuple[str, ...], int]:
    """Return the descriptions of a picture, and how many rows they took."""
    asking, rows = describe_picture(vocabulary, PROBES[:5], PROBES[5:]), 0
    try:
        questions = next(asking)
        while True:
            rows += len(questions)
            questions = asking.send(_predictions(questions, shown))
    except StopIteration as end:
        return end.value.texts, rows


@pytest.mark.parametrize(
    "shown",
    [
        "a red boat on the sea at night under the stars",
        "a green fox in the snow by day, sepia",
        "a white owl on a brown background",
        "a grey cat on a black background, neon",
        "in the mountains at dawn",
        "teal background",
    ],
)
def test_what_the_words_tell_is_found(shown: str) -> None:
    texts, rows = _described(shown)
    assert texts[0] == shown
    assert len(set(texts)) == DESCRIPTIONS
    assert rows <= description_rows(VOCABULARY, 5, 8)


def test_a_model_that_knows_things_only_says_what_there_is() -> None:
    vocabulary = Vocabulary.from_json({"things": ["fox", "boat"]}, {})
    assert _described("a boat", vocabulary)[0] == ("a boat", "a fox")


def test_the_first_places_and_the_first_backgrounds_are_asked_again() -> None:
    others = [Description(place="sea"), Description(place="sea", time="night"), Description(background="red")]
    others += [Description(place="snow"), Description(place="city")]
    known = Description(thing="fox", colour="white")
    found = [each.text(VOCABULARY) for each in with_settings_of(known, others, VOCABULARY)]
    times = ("", " by day", " at sunset", " at night", " at dawn", " at golden hour")
    wanted = [f"a white fox {place}{time}" for place in ("on the sea", "in the snow") for time in times]
    assert found == [*wanted, "a white fox on a red background"]
