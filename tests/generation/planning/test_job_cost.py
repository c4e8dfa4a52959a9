"""The queue's cost of each kind of job, compared with how long it takes on the embedded model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from generation.models.model import EMBEDDED, describe_model
from generation.models.registry import ModelRegistry
from generation.params import FilmKind, Params, PromptPart, Tile
from generation.planning import actions
from generation.planning.films import film_plan, zoom_film
from generation.planning.job_cost import job_cost
from generation.planning.walks import walk
from generation.prompt import parse_params

MODEL = describe_model(EMBEDDED)
TILE = Tile("0123456789ab", 0)


def typed(prompt: str) -> Params:
    return parse_params(prompt, ModelRegistry((MODEL,)), new_seed=lambda: 7)


GRID = typed("a red castle on the hills")
ALONE = replace(GRID, count=1)
# Processor time in grids, measured with one thread.
MEASURED = {
    "draft": (typed("a fox --draft"), 0.23),
    "hd": (typed("a fox --hd"), 6.24),
    "12 steps": (typed("a fox --steps 12"), 2.26),
    "no guidance": (typed("a fox --cfg 1"), 0.69),
    "parts": (typed("a fox:: a dog:: a cat --no red"), 2.02),
    "zoom out": (actions.zoom_out(GRID, TILE, MODEL, 3, 2.0), 1.69),
    "zoom out 1.5": (actions.zoom_out(GRID, TILE, MODEL, 3, 1.5), 1.65),
    "pan": (actions.pan(GRID, TILE, MODEL, 3, actions.Direction.RIGHT), 2.61),
    "vary subtly": (actions.vary(GRID, TILE, MODEL, actions.VARY_SUBTLE, 3), 0.53),
    "vary strongly": (actions.vary(GRID, TILE, MODEL, actions.VARY_STRONG, 3), 0.85),
    "region": (actions.vary_region(GRID, TILE, MODEL, 3, region=(0, 1)), 1.65),
    "upscale": (actions.upscale(GRID, TILE), 1.42),
    "upscale creatively": (actions.upscale(GRID, TILE, 2, actions.UPSCALE_CREATIVE), 1.82),
    "upscale four times": (actions.upscale(GRID, TILE, 4, actions.UPSCALE_CREATIVE), 4.92),
    "one picture": (ALONE, 0.31),
    "zoom film": (zoom_film(ALONE, TILE, MODEL, 5, film_plan(FilmKind.ZOOM_OUT, 3, "")), 1.58),
    "walk": (walk(ALONE, (PromptPart("a lake"),), 9, 24), 5.42),
}


@pytest.mark.parametrize("kind", MEASURED)
def test_a_job_costs_about_as_much_as_it_takes(kind: str) -> None:
    params, measured = MEASURED[kind]
    estimate = job_cost(params, MODEL) / job_cost(GRID, MODEL)
    assert 1 / 1.5 < estimate / measured < 1.5
