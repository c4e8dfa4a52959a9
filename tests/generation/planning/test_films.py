"""The params of a film's pictures: around each other, each with its words and its seed."""

from __future__ import annotations

import pytest

from generation.errors import UserError
from generation.models.model import Model
from generation.params import MAX_SEED, FilmKind, Frame, Params, PromptPart, Tile, from_dict, to_dict
from generation.planning.actions import rescaled_for, upscale, vary
from generation.planning.compute_cost import compute_cost
from generation.planning.film_pictures import finished_picture, grids_of
from generation.planning.films import film_plan, film_steps, zoom_film
from generation.planning.job_cost import job_cost

TILE = Tile("0123456789ab", 2)
PARENT = Params(
    parts=(PromptPart("hills"),), width=96, height=64, seed=7, num_inference_steps=4, guidance_scale=2.0, no=("people",)
)


@pytest.fixture
def model() -> Model:
    return Model(name="painter", ref="painter", native_size=64, size_multiple=8)


def film(model: Model, steps: int = 3, words: str = "", seed: int = 100, parent: Params = PARENT) -> Params:
    return zoom_film(parent, TILE, model, seed, film_plan(FilmKind.ZOOM_OUT, steps, words))


def test_each_picture_lies_in_the_middle_of_the_next(model: Model) -> None:
    steps = film_steps(film(model, 5), model)
    assert [(step.width, step.height, step.count) for step in steps] == [(96, 64, 1)] * 5
    assert {step.frame for step in steps} == {Frame(24, 16, 48, 32)}
    assert [step.seed for step in steps] == [100, 101, 102, 103, 104]
    assert {step.source for step in steps} == {TILE}
    assert all(step.film is None for step in steps)


def test_words_change_step_by_step_and_the_last_hold_on(model: Model) -> None:
    steps = film_steps(film(model, 4, "castle |  | a   small planet"), model)
    assert [step.parts[0].text for step in steps] == ["castle", "hills", "a small planet", "a small planet"]
    assert all(step.no == ("people",) for step in steps)


@pytest.mark.parametrize(("steps", "words"), [(2, ""), (9, ""), (3, "a|b|c|d")])
def test_a_plan_with_too_few_pictures_or_too_many_is_refused(steps: int, words: str) -> None:
    with pytest.raises(UserError):
        film_plan(FilmKind.LOOP, steps, words)


def test_a_film_goes_on_from_a_large_picture_at_the_models_size(model: Model) -> None:
    large = upscale(upscale(PARENT, TILE), TILE)
    steps = film_steps(film(model, 3, parent=large), model)
    assert len({(step.width, step.height) for step in steps}) == 1
    assert steps[0].width * steps[0].height <= 2.4 * 64**2


def test_a_film_costs_as_much_as_its_pictures_together(model: Model) -> None:
    params = film(model, 8, "castle|island")
    assert compute_cost(params, model) == sum(compute_cost(step, model) for step in film_steps(params, model))
    assert [grids_of(film(model, steps)) for steps in (3, 4, 5, 8)] == [1, 1, 2, 2]
    assert grids_of(PARENT) == 1


def test_a_film_costs_more_in_the_queue_than_its_passes(model: Model) -> None:
    params = film(model, 4)
    assert job_cost(params, model) > compute_cost(params, model)
    assert job_cost(film(model, 8), model) == 2 * job_cost(params, model)
    assert job_cost(params, model) == sum(job_cost(step, model) for step in film_steps(params, model))


def test_what_is_made_from_a_film_starts_from_its_last_picture(model: Model) -> None:
    params = film(model, 3, "castle | island", seed=MAX_SEED - 1)
    last = film_steps(params, model)[-1]
    assert finished_picture(params) == last
    assert last.seed == 0, "seeds wrap as those of tiles do"

    result = Tile("ba9876543210", 0)
    for child in (vary(params, result, model, 0.5, 1), upscale(params, result)):
        assert child.film is None
        assert child.parts == (PromptPart("island"),)
    assert upscale(params, result).seed == 0


def test_a_film_is_stored_with_its_params(model: Model) -> None:
    params = film(model, 3, "castle | island")
    assert from_dict(to_dict(params)) == params
    assert rescaled_for(params, model, None).film == params.film
