"""`Params` survive a round trip through JSON, also from rows that are older than a field."""

from __future__ import annotations

import json
import math
from dataclasses import MISSING, FrozenInstanceError, fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.params import MAX_SEED, LoraWeight, Params, PromptPart, Tile, Upload, from_dict, to_dict

texts = st.text(st.characters(codec="utf-8"), max_size=20)
numbers = st.floats(allow_nan=False, allow_infinity=False)
tiles = st.builds(Tile, st.from_regex(r"[0-9a-f]{12}", fullmatch=True), st.integers(0, 3))
uploads = st.builds(Upload, st.from_regex(r"[0-9a-f]{64}", fullmatch=True))
any_params = st.builds(
    Params,
    parts=st.lists(st.builds(PromptPart, texts, numbers), min_size=1, max_size=4).map(tuple),
    no=st.lists(texts, max_size=3).map(tuple),
    aspect=st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)),
    width=st.integers(8, 4096),
    height=st.integers(8, 4096),
    seed=st.integers(0, MAX_SEED),
    num_inference_steps=st.integers(1, 150),
    guidance_scale=numbers,
    count=st.integers(1, 4),
    source=st.none() | tiles | uploads,
    strength=numbers,
    mask=st.none() | tiles | uploads,
    sampler=st.none() | texts,
    negative_prompt=st.none() | texts,
    loras=st.lists(st.builds(LoraWeight, texts, numbers), max_size=3).map(tuple),
)
PLAIN = Params(parts=(PromptPart("a fox"),), width=512, height=512, seed=7, num_inference_steps=25, guidance_scale=7.5)
OPTIONAL = [field for field in fields(Params) if field.default is not MISSING]


@given(any_params)
def test_params_are_the_same_after_a_round_trip_through_json(params):
    again = from_dict(json.loads(json.dumps(to_dict(params))))
    assert again == params
    assert hash(again) == hash(params), "all nested lists must be tuples again"


@given(any_params)
def test_json_has_every_field_and_only_plain_values(params):
    values = to_dict(params)
    assert values.keys() == {field.name for field in fields(Params)}
    assert json.loads(json.dumps(values)).keys() == values.keys()
    assert {type(values[name]) for name in ("source", "mask")} <= {str, type(None)}


@pytest.mark.parametrize("field", OPTIONAL, ids=lambda field: field.name)
def test_a_row_from_before_a_field_existed_gets_its_default(field):
    values = to_dict(PLAIN)
    del values[field.name]
    assert from_dict(values) == PLAIN


def test_the_oldest_rows_can_be_read():
    needed = {"parts": [{"text": "a fox"}], "width": 512, "height": 512, "seed": 7}
    assert from_dict(needed | {"num_inference_steps": 25, "guidance_scale": 7.5}) == PLAIN


def test_from_dict_does_not_change_its_argument():
    values = to_dict(replace(PLAIN, source=Tile("0" * 12, 1)))
    before = json.dumps(values)
    from_dict(values)
    assert json.dumps(values) == before


@pytest.mark.parametrize("name", ["", "tile", "tile:", "tile:0123456789ab-4", "0123456789ab-1", "url:http://x", ":x"])
@pytest.mark.parametrize("field", ["source", "mask"])
def test_an_unknown_image_reference_is_rejected(field, name):
    with pytest.raises(ValueError, match="not a "):
        from_dict(to_dict(PLAIN) | {field: name})


def test_a_row_that_lacks_a_required_field_is_rejected():
    with pytest.raises((KeyError, TypeError)):
        from_dict({name: value for name, value in to_dict(PLAIN).items() if name != "seed"})


def test_params_are_frozen():
    with pytest.raises(FrozenInstanceError):
        PLAIN.seed = 8


@given(tiles)
def test_a_tile_is_parsed_from_its_text(tile):
    assert Tile.parse(str(tile)) == tile


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0123456789ab",
        "0123456789ab-",
        "0123456789ab-4",
        "0123456789ab--1",
        "0123456789ab-00",
        "0123456789ab-1\n",
        " 0123456789ab-1",
        "0123456789AB-1",
        "0123456789abc-1",
        "0123456789a-1",
        "0123456789ag-1",
        "٠123456789ab-1",
        "0123456789ab-١",
        "../3456789ab-1",
        "0123456789ab-1/..",
        "0123456789ab-1\0",
    ],
)
def test_text_that_is_not_a_tile_is_rejected(text):
    with pytest.raises(ValueError, match="not a tile"):
        Tile.parse(text)


@given(st.text())
def test_only_the_text_of_a_tile_is_parsed_as_one(text):
    try:
        tile = Tile.parse(text)
    except ValueError:
        return
    assert str(tile) == text


@pytest.mark.parametrize(
    ("parts", "no", "weights"),
    [
        ((("fox", 1.0),), (), [1.0]),
        ((("fox", 0.25),), (), [1.0]),
        ((("fox", 2.0), ("moon", 1.0), ("night", 1.0)), (), [0.5, 0.25, 0.25]),
        ((("fox", 1.0),), ("text",), [1.0, -0.5]),
        ((("fox", 2.0),), ("text", "people"), [1.0, -0.25, -0.25]),
        ((("fox", 1.5), ("dog", -1.0), ("moon", 0.5)), ("text",), [0.75, -0.5, 0.25, -0.25]),
        ((("fox", 1.0), ("dog", 0.0)), (), [1.0, 0.0]),
    ],
)
def test_weights_are_scaled_so_that_the_positive_ones_sum_to_1(parts, no, weights):
    params = replace(PLAIN, parts=tuple(PromptPart(*part) for part in parts), no=no)
    assert [part.weight for part in params.weighted_parts] == weights
    assert [part.text for part in params.weighted_parts] == [*(text for text, _ in parts), *no]


@given(st.lists(st.floats(0.001, 1000), min_size=1, max_size=6), st.lists(texts, max_size=4))
def test_scaled_weights_keep_their_proportions(weights, no):
    params = replace(PLAIN, parts=tuple(PromptPart("x", weight) for weight in weights), no=tuple(no))
    scaled = [part.weight for part in params.weighted_parts]
    assert math.isclose(sum(weight for weight in scaled if weight > 0), 1)
    assert all(
        math.isclose(a * weights[0], b * scaled[0]) for a, b in zip(scaled, [*weights, *[-0.5] * len(no)], strict=True)
    )


def test_the_seed_after_the_largest_is_0():
    params = Params(parts=(), width=8, height=8, seed=MAX_SEED - 1, num_inference_steps=1, guidance_scale=1)
    assert [params.seed_of(tile) for tile in range(4)] == [MAX_SEED - 1, MAX_SEED, 0, 1]


def test_the_set_of_loras_does_not_depend_on_the_typed_order():
    ink, moss, nothing = LoraWeight("ink", 0.5), LoraWeight("moss"), LoraWeight("oil", 0.0)
    sets = [replace(PLAIN, loras=loras).lora_set for loras in ((ink, nothing, moss), (moss, ink), (ink, moss, nothing))]
    assert sets == [(ink, moss)] * 3
