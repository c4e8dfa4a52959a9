"""The strips of docs/prompts.md are small and show parameters that exist."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from generation.models.registry import ModelRegistry
from generation.prompt import parse_params
from scripts.parameter_pictures import GRIDS, LABEL_HEIGHT, QUALITY, SIDE, STRIPS, join


@pytest.mark.parametrize("name", STRIPS)
def test_each_value_is_one_that_a_prompt_may_have(name):
    registry = ModelRegistry.from_refs(["1.5"])
    for value in STRIPS[name]:
        assert not value or value.startswith(f"--{name}")
        parse_params(f"a castle {value}", registry)
    assert STRIPS.keys() >= GRIDS


def test_a_strip_is_small_and_has_a_label_below_each_picture():
    pictures = [Image.effect_noise((512, height), 40).convert("RGB") for height in (512, 340)]
    strip = join(pictures, ["--steps 2", "--steps 20"])
    assert strip.height == SIDE + LABEL_HEIGHT
    assert strip.crop((0, SIDE, SIDE, strip.height)).getextrema() != ((255, 255),) * 3
    data = io.BytesIO()
    strip.save(data, "WEBP", quality=QUALITY)
    assert len(data.getvalue()) < 60_000
