"""What a button makes of its parent."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from generation import actions
from generation.models import Model
from generation.params import MAX_SEED, Params, TextPart, Tile, Upload

MODEL = Model(name="m", ref="m", native_size=512)
TILE = Tile("0123456789ab", 2)
PARENT = Params(
    parts=(TextPart("a fox", 2.0), TextPart("moon")),
    no=("text",),
    aspect=(3, 2),
    width=624,
    height=416,
    seed=100,
    num_inference_steps=30,
    guidance_scale=5.0,
    source=Upload("f" * 64),
    strength=0.6,
    mask=Upload("e" * 64),
    sampler="euler",
    negative_prompt="blurry",
)


def changed(parent: Params, child: Params) -> set[str]:
    """Name the fields in which two differ."""
    return {field.name for field in fields(Params) if getattr(parent, field.name) != getattr(child, field.name)}


def test_a_reroll_changes_the_seed_and_nothing_else():
    child = actions.reroll(PARENT, 4)
    assert changed(PARENT, child) == {"seed"}
    assert child.seed == 4


@pytest.mark.parametrize("strength", [actions.VARY_SUBTLE, actions.VARY_STRONG])
def test_a_variation_is_a_grid_that_starts_from_the_tile(strength):
    child = actions.vary(PARENT, TILE, MODEL, strength, 4)
    assert changed(PARENT, child) == {"seed", "source", "strength", "mask"}
    assert (child.seed, child.source, child.strength, child.mask) == (4, TILE, strength, None)
    assert (child.width, child.height, child.count) == (624, 416, 4)


def test_a_variation_of_an_upscaled_picture_is_a_grid_of_the_models_own_size():
    upscaled = actions.upscale(PARENT, TILE)
    child = actions.vary(upscaled, Tile("ba9876543210", 0), MODEL, 0.5, 4)
    assert (child.width, child.height, child.count) == (624, 416, 4)


def test_a_variation_is_of_a_size_that_the_present_model_can_draw():
    narrow = Model(name="other", ref="other", native_size=256, size_multiple=32, max_aspect=1.2)
    child = actions.vary(PARENT, TILE, narrow, 0.5, 4)
    assert max(child.width, child.height) <= 1.2 * min(child.width, child.height)
    assert (child.width % 32, child.height % 32) == (0, 0)


@pytest.mark.parametrize("index", range(4))
def test_an_upscale_is_the_tile_alone_at_twice_its_size_with_its_own_seed(index):
    tile = Tile("0123456789ab", index)
    child = actions.upscale(PARENT, tile)
    expected = {"width", "height", "count", "source", "strength", "mask"} | ({"seed"} if index else set())
    assert changed(PARENT, child) == expected
    assert (child.width, child.height, child.count) == (2 * 624, 2 * 416, 1)
    assert (child.seed, child.source, child.mask) == (100 + index, tile, None)
    assert 0 < child.strength < actions.VARY_SUBTLE < actions.VARY_STRONG < 1


@pytest.mark.parametrize("index", range(4))
def test_an_upscale_has_a_seed_that_can_be_typed_again_whatever_was_typed(index):
    child = actions.upscale(replace(PARENT, seed=MAX_SEED), Tile("0123456789ab", index))
    assert 0 <= child.seed <= MAX_SEED


def test_a_new_seed_leaves_room_for_the_seeds_of_all_tiles():
    seeds = {actions.new_seed() for _ in range(2000)}
    assert len(seeds) > 1990
    assert min(seeds) >= 0
    assert max(seeds) + 3 <= MAX_SEED
    assert max(seeds) > MAX_SEED / 2, "the whole range is used"


def test_buttons_leave_their_parent_as_it_was():
    before = repr(PARENT)
    actions.reroll(PARENT, 1)
    actions.vary(PARENT, TILE, MODEL, 0.5, 1)
    actions.upscale(PARENT, TILE)
    assert repr(PARENT) == before
