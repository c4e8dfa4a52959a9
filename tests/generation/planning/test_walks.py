"""Where the pictures of a walk are drawn, and what a walk is between."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from generation.errors import UserError
from generation.models.capabilities import Capability, required_capabilities
from generation.params import FilmKind, Params, PromptPart, Tile, from_dict, to_dict
from generation.planning.actions import reroll
from generation.planning.film_pictures import film_texts, finished_picture, grids_of, walk_end
from generation.planning.walks import first_picture, first_places, places_between, walk, walk_between

SEA = (PromptPart("the sea"),)
TILES = [Tile("0123456789ab", index) for index in range(4)]


def make_params(**changes):
    fixed = {"parts": (PromptPart("a fox"),), "width": 64, "height": 64, "seed": 5, "num_inference_steps": 4}
    return Params(**fixed | {"guidance_scale": 5.0, "count": 1} | changes)


def test_half_of_a_walk_is_drawn_evenly_with_both_ends():
    assert first_places(24) == tuple(index / 12 for index in range(13))


def test_the_rest_is_drawn_where_pictures_differ_most():
    places = first_places(24)
    distances = [1.0] * 12
    distances[5] = 20.0
    rest = places_between(places, distances, 24)
    assert len(rest) == 11
    assert sum(places[5] < place < places[6] for place in rest) == 11
    ordered = sorted((*places, *rest))
    assert len(set(ordered)) == 24
    inside = [end - start for start, end in pairwise(place for place in ordered if places[5] <= place <= places[6])]
    assert max(inside) == pytest.approx(min(inside))


def test_pictures_that_are_all_the_same_are_drawn_evenly():
    rest = places_between(first_places(24), [0.0] * 12, 24)
    assert len({int(12 * place) for place in rest}) == 11


def test_a_walk_survives_storage():
    params = walk(make_params(), SEA, 9, 24, "the sea")
    assert from_dict(to_dict(params)) == params
    old = to_dict(params)
    del old["film"]["to"], old["video"]
    assert from_dict(old).film.to is None


def test_the_finished_picture_of_a_walk_is_its_end():
    params = walk(make_params(seed=3), SEA, 9, 24, "the sea")
    assert finished_picture(params) == walk_end(params) == replace(make_params(seed=3, count=1), parts=SEA, seed=9)
    assert first_picture(params) == make_params(seed=3, count=1)
    assert film_texts(params) == ("the sea",)


@pytest.mark.parametrize(("pictures", "grids"), [(24, 6), (36, 9), (48, 12)])
def test_a_walk_counts_as_a_grid_for_every_four_pictures(pictures, grids):
    assert grids_of(walk(make_params(), SEA, 9, pictures)) == grids


def test_a_walk_below_a_grid_goes_between_its_seeds():
    params = walk_between(make_params(seed=2**32 - 2, count=4, chaos=20), TILES[0], TILES[3], 24)
    assert (params.seed, params.film.to.seed, params.film.to.parts) == (2**32 - 2, 1, params.parts)
    assert params.film.kind is FilmKind.WALK
    assert params.film.to.tiles == (TILES[0], TILES[3])
    assert from_dict(to_dict(params)) == params
    assert not reroll(params, 7).film.to.tiles, "other pictures"
    assert Capability.WALK in required_capabilities(params)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: walk(make_params(), SEA, 9, 23), "24 to 48"),
        (lambda: walk(make_params(seed=1), make_params().parts, 1, 24), "same picture"),
        (lambda: walk(make_params(), (PromptPart("a", 2.0), PromptPart("b")), 1, 24), "same number of parts"),
        (lambda: walk_between(make_params(count=4), TILES[2], TILES[2], 24), "same picture"),
        (lambda: walk_between(make_params(count=4, same_seed=True, chaos=20), TILES[0], TILES[1], 24), "words alone"),
    ],
)
def test_a_walk_that_leads_nowhere_is_refused_in_words(make, words):
    with pytest.raises(UserError, match=words):
        make()


def test_drawn_again_a_walk_has_other_seeds_at_the_same_distance():
    again = reroll(walk(make_params(seed=5), SEA, 9, 24), 100)
    assert (again.seed, again.film.to.seed) == (100, 104)
    same = reroll(walk(make_params(seed=5), SEA, 5, 24), 100)
    assert same.film.to.seed == 100
