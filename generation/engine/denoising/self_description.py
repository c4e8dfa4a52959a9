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
from generation.planning.descriptions import (
    COLOURED_THINGS,
    DESCRIPTIONS,
    RETRIED_THINGS,
    Description,
    halvings,
)


class _Ranked(NamedTuple):
    """A candidate and how much worse than the best it is, as a logarithm."""

    description: Description
    gap: float


_Ranking = Generator[Sequence[Question], Tensor, list[_Ranked]]
_Text = Callable[[Description], str]


def describe_picture(vocabulary: Vocabulary, probes: Sequence[Probe], more_probes: Sequence[Probe]) -> Questions:
    """Ask for each kind of word, then again for those that were asked before the others were known.

    What hangs together is compared together: a place and its light, a thing and its colour. Things that look alike are
    compared with `more_probes` in the end.
    """

    def text(description: Description) -> str:
        return description.text(vocabulary)

    styles = yield from _ranking(descriptions.with_styles(Description(), vocabulary), probes, text)
    times = yield from _ranking(descriptions.with_times(styles[0].description, vocabulary), probes, text)
    settings = yield from _ranking(descriptions.with_settings(times[0].description, vocabulary), probes, text)
    shapes = yield from _ranking(descriptions.with_things(settings[0].description, vocabulary), probes, text)
    things = yield from _ranking(descriptions.with_colours(_best(shapes, COLOURED_THINGS), vocabulary), probes, text)
    retried = descriptions.with_settings_of(things[0].description, _best(settings), vocabulary)
    settings = yield from _ranking(retried, probes, text)
    weathers = yield from _ranking(descriptions.with_weathers(settings[0].description, vocabulary), probes, text)
    retried = descriptions.with_things_of(weathers[0].description, _best(things, RETRIED_THINGS))
    things = yield from _ranking(retried, [*probes, *more_probes], text)
    return Reading(0.0, texts=_alternatives(things[0].description, [things, shapes, settings, weathers], text))


def _best(ranking: Sequence[_Ranked], count: int | None = None) -> list[Description]:
    return [each.description for each in ranking[:count]]


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
    """Return the description and the likeliest ones that differ from it in what was compared together."""
    others = list[tuple[float, Description]]()
    for ranking in rankings:
        best = ranking[0].description
        for each in ranking[1:]:
            others.append((each.gap, replace(found, **descriptions.difference(best, each.description))))
    texts = dict.fromkeys([text(found), *(text(each) for _, each in sorted(others, key=lambda other: other[0]))])
    return tuple(filter(None, texts))[:DESCRIPTIONS]
