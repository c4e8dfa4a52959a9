"""What a film draws: the words of each picture, its last picture, and how many grids it amounts to."""

from __future__ import annotations

import math
from dataclasses import replace

from generation.params import MAX_SEED, FilmPlan, Params, PromptPart

TILES_PER_GRID = 4


def with_words(params: Params, plan: FilmPlan, step: int) -> Params:
    """Return the params with the words of a step; the last words hold on, and an empty text leaves the prompt."""
    words = plan.words[min(step, len(plan.words) - 1)] if plan.words else ""
    return replace(params, parts=(PromptPart(words),)) if words else params


def step_seed(params: Params, step: int) -> int:
    """Return the seed of a film's picture; as those of tiles, it wraps to 0 after the largest."""
    return (params.seed + step) % (MAX_SEED + 1)


def finished_picture(params: Params) -> Params:
    """Return the params of a film's last picture, which is its tile; other params are unchanged."""
    plan = params.film
    if plan is None:
        return params
    if plan.to is not None:
        return walk_end(params)
    last = plan.steps - 1
    return with_words(replace(params, film=None, seed=step_seed(params, last)), plan, last)


def walk_end(params: Params) -> Params:
    """Return the params of a walk's last picture."""
    assert params.film is not None and params.film.to is not None, "a walk"
    return replace(params, film=None, parts=params.film.to.parts, seed=params.film.to.seed, count=1)


def film_texts(params: Params) -> tuple[str, ...]:
    """Return the words of a film that differ from its prompt, in order."""
    return tuple(filter(None, params.film.words)) if params.film else ()


def grids_of(params: Params) -> int:
    """Return how many grids a job counts as: a film draws about a grid with every four pictures, a video one more."""
    grids = 1 if params.film is None else math.ceil(params.film.steps / TILES_PER_GRID)
    return grids + (params.video and params.reading is None)
