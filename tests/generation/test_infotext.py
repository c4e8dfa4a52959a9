"""The generation parameters inside a PNG, read as AUTOMATIC1111's web UI reads them."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings

from generation.infotext import SAMPLER_LABELS, infotext
from generation.models import Model
from generation.params import Upload
from generation.prompt import parse
from generation.samplers import SAMPLERS
from tests.generation.test_prompt import all_params

MODEL = Model(name="storybook", ref="models/storybook")
# From modules/infotext_utils.py of AUTOMATIC1111/stable-diffusion-webui.
SETTING = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')


def read(text: str) -> dict[str, str]:
    """Do what that program's parser does with the text."""
    *lines, last = text.strip().split("\n")
    values = {"prompt": "", "negative": ""}
    for line in lines:
        is_negative = line.startswith("Negative prompt:")
        values["negative" if is_negative else "prompt"] += line.removeprefix("Negative prompt:").strip()
    for key, value in SETTING.findall(last):
        values[key] = json.loads(value) if value.startswith('"') else value
    return values


def test_everything_another_program_needs_is_there():
    params = parse("a fox --seed 41 --steps 20 --cfg 7 --sampler euler_a --ar 3:2 --negative ugly", MODEL)
    assert infotext(params, "storybook", 1) == (
        "a fox\n"
        "Negative prompt: ugly\n"
        "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 42, Size: 624x416, Model: storybook, Tile: 2, "
        'Atelier: "a fox --ar 3:2 --steps 20 --cfg 7 --sampler euler_a --negative ugly --seed 41"'
    )


def test_only_what_is_known_is_told():
    values = read(infotext(parse("a fox", MODEL), "storybook", 0))
    assert values.keys() == {"prompt", "negative", "Steps", "CFG scale", "Seed", "Size", "Model", "Tile", "Atelier"}


@pytest.mark.parametrize(
    ("typed", "positive", "negative"),
    [
        ("a fox", "a fox", ""),
        ("a fox::3", "a fox", ""),
        ("hot:: dog", "hot :0.5 AND dog :0.5", ""),
        ("hot::3 dog", "hot :0.75 AND dog :0.25", ""),
        ("a fox --no snow, ice", "a fox", "snow, ice"),
        ("a fox --negative ugly --no snow", "a fox", "ugly, snow"),
        ("tulips:: red::-.5", "tulips", "red"),
        ("tulips:: red::-.75 --no pots", "tulips", "(red:1.5), pots"),
    ],
)
def test_weights_and_what_is_kept_out_are_said_in_that_programs_words(typed, positive, negative):
    values = read(infotext(parse(typed, MODEL), "storybook", 0))
    assert (values["prompt"], values["negative"]) == (positive, negative)


def test_a_picture_as_the_start_is_told_by_its_denoising_strength():
    params = parse("a fox --iw 2", MODEL, source=Upload("cafe"))
    assert read(infotext(params, "storybook", 0))["Denoising strength"] == "0.36"


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_has_that_programs_name(name):
    label, schedule = SAMPLER_LABELS[name]
    values = read(infotext(parse(f"a fox --sampler {name}", MODEL), "storybook", 0))
    assert (values["Sampler"], values.get("Schedule type")) == (label, schedule)


def test_a_name_with_commas_stays_in_one_piece():
    values = read(infotext(parse('a "fox", red', MODEL), 'my, "own": model', 3))
    assert values["Model"] == 'my, "own": model'
    assert values["Tile"] == "4"


@settings(max_examples=200, deadline=None)
@given(all_params())
def test_the_whole_grid_can_be_drawn_again_from_any_tiles_text(params):
    other = Model(name="m", ref="m", num_inference_steps=3, guidance_scale=1.0)
    echo = read(infotext(replace(params, count=4), "storybook", 2))["Atelier"]
    assert parse(echo, other, source=params.source) == params
