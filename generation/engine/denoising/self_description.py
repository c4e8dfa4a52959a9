"""Let a drawing model describe a picture itself: the text with which it predicts the picture best.

A diffusion classifier (https://arxiv.org/abs/2303.16203): noise is added to the picture, and the text whose prediction
is nearest to the truth fits best. Kind by kind, with fewer and fewer candidates. Errors are compared by their
logarithm, or the largest noises would decide alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import NamedTuple

from torch import Tensor

from generation.engine.denoising.probes import Probe
from generation.engine.denoising.reading import Question, Questions
from generation.messages import Reading
from generation.models.words.vocabulary import Vocabulary
from generation.planning import descriptions
from generation.planning.descriptions import DESCRIPTIONS, RETRIED_SETTINGS, Description, halvings


class _Ranked(NamedTuple):
    """A candidate and how much worse than the best it is, as a logarithm."""

    description: Description
    gap: float


_Ranking = Generator[Sequence[Question], Tensor, list[_Ranked]]
_Text = Callable[[Description], str]


def describe_picture(vocabulary: Vocabulary, probes: Sequence[Probe]) -> Questions:
    """Ask for each kind of word, and return the best descriptions."""

    def text(description: Description) -> str:
        return description.text(vocabulary)

    (best, *_) = yield from _ranking(descriptions.with_styles(Description(), vocabulary), probes, text)
    settings = yield from _ranking(descriptions.with_settings(best.description, vocabulary), probes, text)
    things = yield from _ranking(descriptions.with_things(settings[0].description, vocabulary), probes, text)
    colours = yield from _ranking(descriptions.with_colours(things[0].description, vocabulary), probes, text)
    found = colours[0].description
    retried = [
        replace(found, place=each.description.place, background=each.description.background)
        for each in settings[:RETRIED_SETTINGS]
    ]
    settings = yield from _ranking(descriptions.with_times(retried, vocabulary), probes, text)
    weathers = yield from _ranking(descriptions.with_weathers(settings[0].description, vocabulary), probes, text)
    found = weathers[0].description
    candidates = descriptions.with_words_of(found, [each.description for each in things])
    things = yield from _ranking(candidates, probes, text)
    found = things[0].description
    colours = yield from _ranking(
        [found, *(replace(found, colour=each.description.colour) for each in colours[1:] if found.thing)], probes, text
    )
    found = colours[0].description
    return Reading(0.0, texts=_alternatives(found, [things, colours, settings, weathers], text))


def _ranking(candidates: Sequence[Description], probes: Sequence[Probe], text: _Text) -> _Ranking:
    """Compare candidates, of which fewer are left with each probe; the best comes first."""
    alive = [(each, 0.0) for each in dict.fromkeys(candidates)]
    ranked: list[tuple[Description, float]] = []
    for probe, count in zip(probes, halvings(len(alive), len(probes)), strict=False):
        ranked[:0] = alive[count:]
        alive = alive[:count]
        answers = yield [Question(text(each), probe) for each, _ in alive]
        assert probe.target is not None
        errors = (answers - probe.target).square().mean((1, 2, 3)).clamp(min=1e-12).tolist()
        least = min(errors)
        scored = [(each, score + math.log(error / least)) for (each, score), error in zip(alive, errors, strict=True)]
        alive = sorted(scored, key=lambda each: each[1])
    ordered = [*alive, *ranked]
    return [_Ranked(each, score - ordered[0][1]) for each, score in ordered]


def _alternatives(found: Description, rankings: Sequence[Sequence[_Ranked]], text: _Text) -> tuple[str, ...]:
    """Return the description and the likeliest ones in which one kind of word is another."""
    others = list[tuple[float, Description]]()
    for ranking in rankings:
        best = ranking[0].description
        for each in ranking[1:]:
            changed = descriptions.differing_kind(best, each.description)
            others.append((each.gap, replace(found, **{changed: getattr(each.description, changed)})))
    texts = dict.fromkeys([text(found), *(text(each) for _, each in sorted(others, key=lambda other: other[0]))])
    return tuple(filter(None, texts))[:DESCRIPTIONS]
