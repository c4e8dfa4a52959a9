"""Zoom films: the params of each picture that is drawn around the one before it."""

from __future__ import annotations

from dataclasses import replace

from generation.errors import UserError
from generation.models.model import Model
from generation.params import FilmKind, FilmPlan, Params, Tile
from generation.planning.actions import zoom_out
from generation.planning.film_pictures import step_seed, with_words
from generation.text import Text

MIN_STEPS, MAX_STEPS = 3, 8
FACTOR = 2.0  # of each zoom
SEPARATOR = "|"  # between the words of the steps


def film_plan(kind: FilmKind, steps: int, words: str) -> FilmPlan:
    """Return the plan of a film from what a person typed: `castle | island`, one text a step.

    Raise UserError if the steps are too few or too many, or fewer than the texts.
    """
    if not MIN_STEPS <= steps <= MAX_STEPS:
        raise UserError(Text("A film has {low} to {high} pictures.", low=MIN_STEPS, high=MAX_STEPS))
    texts = tuple(" ".join(text.split()) for text in words.split(SEPARATOR)) if words.strip() else ()
    if len(texts) > steps:
        raise UserError(
            Text(
                "There are {texts} texts for {steps} pictures: leave some out, or draw more pictures.",
                texts=len(texts),
                steps=steps,
            )
        )
    return FilmPlan(kind, steps, texts)


def zoom_film(parent: Params, tile: Tile, model: Model, seed: int, plan: FilmPlan) -> Params:
    """Return the params of a film around `tile`; raise UserError if nothing can be drawn around it."""
    return replace(zoom_out(parent, tile, model, seed, FACTOR), count=1, film=plan)


def film_steps(params: Params, model: Model) -> tuple[Params, ...]:
    """Return the params of each picture of a film, the innermost first.

    All name the image that the film was made from as their source, whose place the picture before takes.
    """
    plan, tile = params.film, params.source
    assert plan is not None and isinstance(tile, Tile), "made by `zoom_film`"
    canvas = replace(params, film=None)
    steps = [with_words(canvas, plan, 0)]
    for step in range(1, plan.steps):
        canvas = replace(zoom_out(canvas, tile, model, step_seed(params, step), FACTOR), count=1)
        steps.append(with_words(canvas, plan, step))
    return tuple(steps)
