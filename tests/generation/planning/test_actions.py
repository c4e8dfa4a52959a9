"""The params that each button derives from its parent."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import pytest

from cogs.image_buttons.variations import params_for
from generation.engine.conditioning.prompt_drift import drift_targets
from generation.errors import UserError
from generation.job import Action
from generation.models.model import Model, size_for
from generation.models.registry import ModelRegistry
from generation.params import MAX_SEED, ControlWeight, Frame, Params, PromptPart, Tile, Upload
from generation.planning import actions
from generation.prompt import parse_params
from generation.prompt.weights import strength_for

MODEL = Model(name="m", ref="m", native_size=512)
TILE = Tile("0123456789ab", 2)
PARENT = Params(
    parts=(PromptPart("a fox", 2.0), PromptPart("moon")),
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
    """Return the names of the fields that differ."""
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


def test_a_variation_of_an_upscaled_image_is_a_grid_of_native_size():
    upscaled = actions.upscale(PARENT, TILE)
    child = actions.vary(upscaled, Tile("ba9876543210", 0), MODEL, 0.5, 4)
    assert (child.width, child.height, child.count) == (624, 416, 4)


def test_a_variation_has_a_size_that_the_current_model_supports():
    smaller = Model(name="other", ref="other", native_size=256, size_multiple=32, max_aspect=2)
    child = actions.vary(PARENT, TILE, smaller, 0.5, 4)
    assert (child.width, child.height) == size_for(smaller, (3, 2))


def test_a_variation_of_an_image_beyond_one_window_keeps_its_aspect_ratio():
    narrow = Model(name="other", ref="other", native_size=256, size_multiple=32, max_aspect=1.2)
    child = actions.vary(PARENT, TILE, narrow, 0.5, 4)
    assert child.width / child.height == pytest.approx(1.5, rel=0.1)
    assert (child.width % 32, child.height % 32) == (0, 0)


@pytest.mark.parametrize("button", [Action.VARY_SUBTLE, Action.ZOOM_2, Action.PAN_LEFT, Action.MAKE_SQUARE])
@pytest.mark.parametrize(("chaos", "same"), [(0, False), (40, True)])
def test_tiles_that_start_from_one_image_differ(button, chaos, same):
    child = params_for(button, replace(PARENT, same_seed=True, chaos=chaos), TILE, MODEL, 4)
    assert (child.count, child.same_seed) == (4, same)


@pytest.mark.parametrize("alone", [actions.pick, actions.upscale])
@pytest.mark.parametrize("same_seed", [True, False])
def test_a_tile_shaped_by_chaos_is_reproduced_when_generated_alone(alone, same_seed):
    parent = replace(PARENT, chaos=60, same_seed=same_seed)
    assert drift_targets(alone(parent, TILE), 0) == drift_targets(parent, TILE.index)


def test_a_variation_of_a_draft_is_a_draft():
    child = actions.vary(replace(PARENT, draft=True, width=312, height=208), TILE, MODEL, 0.5, 4)
    assert (child.width, child.height) == (312, 208)


@pytest.mark.parametrize("aspect", ["1:1", "3:2", "16:9", "1:3", "5:4"])
@pytest.mark.parametrize("multiple", [8, 32, 64])
@pytest.mark.parametrize("flag", ["", "--draft"])
def test_a_variation_has_the_size_that_its_prompt_gets(aspect, multiple, flag):
    model = replace(MODEL, size_multiple=multiple)
    parent = parse_params(f"a fox --ar {aspect} {flag}", ModelRegistry((model,)))
    child = actions.vary(parent, TILE, model, 0.5, 4)
    assert (child.width, child.height) == (parent.width, parent.height)


@pytest.mark.parametrize("index", range(4))
def test_an_upscale_is_one_tile_at_twice_its_size_with_its_own_seed(index):
    tile = Tile("0123456789ab", index)
    child = actions.upscale(PARENT, tile)
    expected = {"width", "height", "count", "source", "strength", "mask"} | ({"seed"} if index else set())
    assert changed(PARENT, child) == expected
    assert (child.width, child.height, child.count) == (2 * 624, 2 * 416, 1)
    assert (child.seed, child.source, child.mask) == (100 + index, tile, None)
    assert 0 < child.strength < actions.VARY_SUBTLE < actions.VARY_STRONG < 1


@pytest.mark.parametrize("index", range(4))
def test_the_seed_of_an_upscale_is_always_a_valid_seed(index):
    child = actions.upscale(replace(PARENT, seed=MAX_SEED), Tile("0123456789ab", index))
    assert 0 <= child.seed <= MAX_SEED


def test_a_new_seed_leaves_room_for_the_seeds_of_all_tiles():
    seeds = {actions.new_seed() for _ in range(2000)}
    assert len(seeds) > 1990
    assert min(seeds) >= 0
    assert max(seeds) + 3 <= MAX_SEED
    assert max(seeds) > MAX_SEED / 2, "the whole range is used"


@pytest.mark.parametrize("factor", [2, 4])
def test_an_upscale_of_a_stopped_draft_runs_all_steps(factor):
    child = actions.upscale(replace(PARENT, draft=True, stop=40), TILE, factor, actions.UPSCALE_CREATIVE)
    assert (child.width, child.height) == (factor * 624, factor * 416)
    assert (child.draft, child.stop, child.strength) == (False, 100, actions.UPSCALE_CREATIVE)


def test_a_picked_tile_is_unchanged():
    child = actions.pick(PARENT, TILE)
    assert changed(PARENT, child) == {"seed", "count", "source", "strength", "mask"}
    assert (child.seed, child.count, child.source, child.strength) == (102, 1, TILE, 0)
    assert actions.size_of(child) == actions.size_of(PARENT)


def test_children_of_a_hires_pass_start_from_the_doubled_size():
    large = replace(PARENT, hd=True)
    assert actions.size_of(large) == (1248, 832)
    assert actions.size_of(actions.pick(large, TILE)) == (1248, 832)
    assert actions.size_of(actions.upscale(large, TILE)) == (2496, 1664)


def test_only_the_selected_region_is_regenerated():
    child = actions.vary_region(PARENT, TILE, MODEL, 4, region=[8, 0, 4, 4])
    assert changed(PARENT, child) == {"seed", "source", "strength", "mask", "region", "frame"}
    assert (child.region, child.mask, child.strength, child.count) == ((0, 4, 8), None, actions.OUTPAINT_STRENGTH, 4)
    assert (child.width, child.height) == (PARENT.width, PARENT.height), "the rest is kept to the pixel"
    assert child.frame == Frame(0, 0, PARENT.width, PARENT.height)


def test_an_uploaded_mask_replaces_the_region():
    mask = Upload("d" * 64)
    child = actions.vary_region(PARENT, TILE, MODEL, 4, mask=mask)
    assert (child.mask, child.region) == (mask, ())


@pytest.mark.parametrize("region", [[], range(9)])
def test_an_empty_or_full_region_is_refused(region):
    with pytest.raises(UserError, match="at least one part"):
        actions.vary_region(PARENT, TILE, MODEL, 4, region=region)


@pytest.mark.parametrize("factor", [1.5, 2])
def test_zooming_out_keeps_the_canvas_and_centres_the_image(factor):
    child = actions.zoom_out(PARENT, TILE, MODEL, 4, factor)
    assert (child.width, child.height, child.aspect) == (PARENT.width, PARENT.height, PARENT.aspect)
    frame = child.frame
    assert (frame.width, frame.height) == (round(624 / factor), round(416 / factor))
    assert (frame.left, frame.top) == ((624 - frame.width) // 2, (416 - frame.height) // 2)
    assert (child.count, child.source, child.seed, child.mask) == (4, TILE, 4, None)


def test_a_zoom_can_change_only_the_aspect_ratio():
    child = actions.zoom_out(replace(PARENT, width=512, height=512, aspect=(1, 1)), TILE, MODEL, 4, 1, (3, 2))
    assert (child.width, child.height, child.aspect) == (768, 512, (3, 2))
    assert child.frame == Frame(128, 0, 512, 512), "the picture keeps its size"


def test_a_zoom_without_new_area_is_refused():
    with pytest.raises(UserError, match="nothing to draw"):
        actions.zoom_out(PARENT, TILE, MODEL, 4, 1)


@pytest.mark.parametrize("factor", [0.99, 2.01, 0, -1, float("nan"), float("inf")])
def test_a_zoom_factor_out_of_range_is_refused(factor):
    with pytest.raises(UserError, match="between 1 and 2"):
        actions.zoom_out(PARENT, TILE, MODEL, 4, factor)


def test_a_zoom_of_an_upscaled_image_is_a_grid_within_one_window():
    child = actions.zoom_out(actions.upscale(PARENT, TILE, 4), TILE, MODEL, 4, 2)
    assert child.width * child.height <= 1.1 * actions.MAX_SINGLE_WINDOW * MODEL.native_size**2
    assert child.frame.width / child.frame.height == pytest.approx(1.5, rel=0.01)


@pytest.mark.parametrize(
    ("direction", "size", "frame"),
    [
        (actions.Direction.LEFT, (936, 416), Frame(312, 0, 624, 416)),
        (actions.Direction.RIGHT, (936, 416), Frame(0, 0, 624, 416)),
        (actions.Direction.UP, (624, 624), Frame(0, 208, 624, 416)),
        (actions.Direction.DOWN, (624, 624), Frame(0, 0, 624, 416)),
    ],
)
def test_panning_adds_half_the_length_and_keeps_the_image_unchanged(direction, size, frame):
    child = actions.pan(PARENT, TILE, MODEL, 4, direction)
    assert (child.width, child.height) == size
    assert child.aspect == (size[0] // (shared := math.gcd(*size)), size[1] // shared)
    assert (child.frame, child.count, child.source, child.strength) == (frame, 4, TILE, actions.OUTPAINT_STRENGTH)


@pytest.mark.parametrize("native", [256, 512, 1024])
@pytest.mark.parametrize("multiple", [8, 32, 64])
@pytest.mark.parametrize("aspect", [(1, 1), (3, 2), (9, 16), (3, 1)])
def test_repeated_pans_stay_within_the_models_limits(native, multiple, aspect):
    model = Model(name="m", ref="m", native_size=native, size_multiple=multiple)
    width, height = size_for(model, aspect)
    picture = replace(PARENT, width=width, height=height, aspect=aspect)
    for step in range(12):
        direction = list(actions.Direction)[step * 3 % 4]
        child = actions.pan(picture, TILE, model, 4, direction)
        frame = child.frame
        scale = frame.width / picture.width
        assert (child.width % multiple, child.height % multiple) == (0, 0)
        assert child.width * child.height <= 1.3 * actions.MAX_GRID_AREA * native**2
        assert frame.height / picture.height == pytest.approx(scale, rel=0.01), "the picture is not squeezed"
        assert scale == 1 or picture.width * picture.height * 1.5 > 0.7 * actions.MAX_GRID_AREA * native**2
        across = (child.height, frame.height) if direction.value[0] else (child.width, frame.width)
        along = (child.width, frame.width) if direction.value[0] else (child.height, frame.height)
        assert across[0] == across[1]
        assert along[0] == pytest.approx(1.5 * along[1], abs=multiple)
        picture = child


def test_a_panorama_has_a_maximum_length():
    picture, pans = PARENT, 0
    while Action.PAN_RIGHT in actions.available_actions(picture, MODEL):
        picture, pans = actions.pan(picture, TILE, MODEL, 4, actions.Direction.RIGHT), pans + 1
    assert pans >= 4
    with pytest.raises(UserError, match="too long"):
        actions.pan(picture, TILE, MODEL, 4, actions.Direction.RIGHT)
    assert Action.PAN_DOWN in actions.available_actions(picture, MODEL)


def test_make_square_extends_the_image_to_a_square():
    child = actions.make_square(PARENT, TILE, MODEL, 4)
    assert (child.width, child.height, child.aspect) == (624, 624, (1, 1))
    assert child.frame == Frame(0, 104, 624, 416)
    assert Action.MAKE_SQUARE not in actions.available_actions(child, MODEL)
    assert Action.MAKE_SQUARE in actions.available_actions(PARENT, MODEL)


def test_an_edited_prompt_keeps_the_images_geometry():
    edited = replace(
        PARENT, parts=(PromptPart("a bear"),), source=None, mask=None, width=64, height=64, seed=9, chaos=20
    )
    child = actions.pan(PARENT, TILE, MODEL, 4, actions.Direction.LEFT)
    assert changed(child, actions.with_prompt_of(child, edited)) == {"parts", "seed", "chaos"}


def test_a_blend_has_several_images_and_an_empty_prompt():
    images = [Upload(letter * 64) for letter in "abc"]
    child = actions.blend(images, MODEL, (2, 3), 4)
    assert (child.source, child.blended) == (images[0], tuple(images[1:]))
    assert (child.width, child.height) == size_for(MODEL, (2, 3))
    assert child.strength == strength_for(1)


def test_the_available_actions_depend_on_the_image():
    square = replace(PARENT, width=512, height=512)
    everything = set(Action) - {
        Action.IMAGINE,
        Action.BLEND,
        Action.REROLL,
        Action.SHORTEN,
        Action.DESCRIBE,
        Action.EDIT,
        Action.COLOUR,  # only below a picture that was drawn grey
    }
    assert actions.available_actions(PARENT, MODEL) == everything
    assert actions.available_actions(square, MODEL) == everything - {Action.MAKE_SQUARE}
    assert actions.available_actions(replace(PARENT, count=1), MODEL) == everything - {Action.PICK, Action.WALK}
    alone = everything - {Action.PICK, Action.WALK}  # both need several pictures
    upscales = {Action.UPSCALE_SUBTLE, Action.UPSCALE_CREATIVE, Action.UPSCALE_CREATIVE_4}
    once, twice = actions.upscale(PARENT, TILE, 2), actions.upscale(PARENT, TILE, 4)
    assert actions.available_actions(once, MODEL) == alone - {Action.UPSCALE_CREATIVE_4}
    assert actions.available_actions(twice, MODEL) == alone - upscales
    around = {action for action in Action if action.startswith(("zoom", "pan"))} | {Action.MAKE_SQUARE}
    assert not around & actions.available_actions(replace(PARENT, seamless=True), MODEL), "it continues with itself"


def test_actions_do_not_change_their_parent():
    before = repr(PARENT)
    actions.reroll(PARENT, 1)
    actions.vary(PARENT, TILE, MODEL, 0.5, 1)
    actions.upscale(PARENT, TILE)
    assert repr(PARENT) == before


@pytest.mark.parametrize(("native", "scale"), [(256, 0.5), (512, 1.0), (768, 1.5), (1024, 2.0)])
def test_params_are_rescaled_to_another_models_native_size(native, scale):
    other = replace(MODEL, name="other", native_size=native, size_multiple=64)
    zoomed = actions.zoom_out(PARENT, TILE, MODEL, 4, 2)
    scaled = actions.rescaled_for(zoomed, other, MODEL)
    assert abs(scaled.width - scale * zoomed.width) <= 32
    assert abs(scaled.height - scale * zoomed.height) <= 32
    assert (scaled.width % other.size_multiple, scaled.height % other.size_multiple) == (0, 0) or scale == 1
    frame, before = scaled.frame, zoomed.frame
    for start, length, side, old_start, old_length, old_side in (
        (frame.left, frame.width, scaled.width, before.left, before.width, zoomed.width),
        (frame.top, frame.height, scaled.height, before.top, before.height, zoomed.height),
    ):
        assert start / side == pytest.approx(old_start / old_side, abs=1 / side)
        assert (start + length) / side == pytest.approx((old_start + old_length) / old_side, abs=1 / side)
        assert start + length <= side


def test_params_of_an_unknown_model_stay_unchanged_for_another_model():
    assert actions.rescaled_for(PARENT, replace(MODEL, native_size=1024), None) == PARENT


@pytest.mark.parametrize(
    ("action", "kept"),
    [
        (Action.REROLL, True),
        (Action.VARY_SUBTLE, True),
        (Action.UPSCALE_SUBTLE, True),
        (Action.ZOOM_2, False),
        (Action.PAN_LEFT, False),
        (Action.MAKE_SQUARE, False),
    ],
)
def test_controlnets_are_left_out_where_the_canvas_grows(action, kept):
    guided = replace(PARENT, controls=(ControlWeight("canny"),), control=Upload("ab"), control_code="abcdef")
    child = params_for(action, guided, TILE, MODEL, 4)
    found = (child.controls, child.control, child.control_code)
    assert found == ((guided.controls, guided.control, "abcdef") if kept else ((), None, ""))
    edited = actions.with_prompt_of(child, guided)
    assert bool(edited.controls) is kept


def test_a_region_keeps_its_controlnets():
    guided = replace(PARENT, controls=(ControlWeight("canny"),), control=Upload("ab"), control_code="abcdef")
    assert actions.vary_region(guided, TILE, MODEL, 4, region=(1,)).controls == guided.controls


def test_the_params_of_an_action_name_its_model():
    assert params_for(Action.VARY_STRONG, PARENT, TILE, MODEL, 4).model == MODEL.name
    assert params_for(Action.REROLL, PARENT, TILE, MODEL, 4).model == MODEL.name
    assert actions.blend([TILE, TILE], MODEL, (1, 1), 4).model == MODEL.name


def test_a_coloured_picture_keeps_its_lightness_until_it_gets_details_or_surroundings():
    parent = replace(PARENT, parts=(PromptPart(""),), colourise=True)
    kept = [
        actions.reroll(parent, 4),
        actions.vary(parent, TILE, MODEL, 0.5, 4),
        actions.upscale(parent, TILE, 1),
        actions.vary_region(parent, TILE, MODEL, 4, region=(0,)),
    ]
    others = [actions.upscale(parent, TILE), actions.zoom_out(parent, TILE, MODEL, 4, 2.0)]
    assert all(child.colourise for child in kept)
    assert not any(child.colourise or child.parts == parent.parts for child in others)
