"""Walks between two pictures: exact at both ends, even between them, and the same in any company."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from generation.engine.denoising.job_setup import _noises
from generation.engine.images.noise import slerp
from generation.messages import Finished
from generation.models.model import EMBEDDED, describe_model
from generation.models.registry import ModelRegistry
from generation.params import Params, PromptPart, Tile
from generation.planning.film_pictures import walk_end
from generation.planning.walks import first_picture, walk, walk_between
from generation.prompt import parse_params
from tests.support.conditioning import encode
from tests.support.embedded_model import EmbeddedModelHarness, plain_png
from tests.support.engine_harness import EngineHarness, assert_close, make_params, make_request

OWL = (PromptPart("a snowy owl on a long branch"),)
CHANGES = [
    {},
    {"guidance_scale": 1.0},
    {"hd": True},
    {"chaos": 30, "weird": 500},
    {"sampler": "euler_a"},
    {"negative_prompt": "blurry"},
    {"house_style": "watercolour", "stylize": 50},
    {"seamless": True},
]


def denoise(harness: EngineHarness, params: Params, job_id: str, places: tuple[float, ...] = ()) -> torch.Tensor:
    if places:
        params = replace(params, count=len(places))
    (latents,) = harness.denoise(make_request(job_id, params, places=places))
    return latents


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_the_ends_of_a_walk_are_the_pictures_of_their_prompts(harness: EngineHarness, changes: dict[str, Any]) -> None:
    params = walk(make_params(**changes), OWL, 9, 24)
    start, middle, end = denoise(harness, params, "walk", (0.0, 0.5, 1.0)).split(1)
    assert_close(start, denoise(harness, first_picture(params), "start"), 1e-5)
    assert_close(end, denoise(harness, walk_end(params), "end"), 1e-5)
    assert not torch.allclose(middle, start, atol=0.05)
    assert not torch.allclose(middle, end, atol=0.05)


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_the_noise_and_words_of_both_ends_are_exact(harness: EngineHarness, changes: dict[str, Any]) -> None:
    params = walk(make_params(**changes), OWL, 9, 24)
    encoder, vae = harness.engine._variants.base.encoder, harness.engine._vae
    request = make_request("walk", replace(params, count=2), places=(0.0, 1.0))
    conditioning = encode(encoder, request.params, request.places)
    noise = vae.noise(64, 64, _noises(request))
    rows = conditioning.embeddings[conditioning.embedding_indices].reshape(-1, 2, *conditioning.embeddings.shape[1:])
    for index, end in enumerate((first_picture(params), walk_end(params))):
        own = encode(encoder, end)
        assert torch.equal(rows[:, index], own.embeddings[own.embedding_indices])
        assert torch.equal(conditioning.guidance_weights, own.guidance_weights)
        assert torch.equal(noise[index], vae.noise(64, 64, _noises(make_request("end", end)))[0])


def test_a_walk_below_a_grid_is_between_its_tiles(harness: EngineHarness) -> None:
    parent = make_params(count=4)
    denoise(harness, parent, "grid")
    params = walk_between(parent, Tile("0" * 12, 1), Tile("0" * 12, 3), 24)
    denoise(harness, params, "walk", (0.0, 1.0))
    assert_close(harness.latents["walk"], harness.latents["grid"][[1, 3]], 1e-5)


def test_a_walk_from_a_picture_starts_from_it_at_every_place(harness: EngineHarness) -> None:
    request = make_request(
        "walk",
        replace(walk(make_params(num_inference_steps=4), OWL, 9, 24), strength=0.6, count=3),
        places=(0.0, 0.5, 1.0),
    )
    (end,) = harness.generate(replace(request, source=plain_png("red", 64)))
    assert isinstance(end, Finished), end
    plain = make_request("end", replace(walk_end(request.params), strength=0.6), source=plain_png("red", 64))
    harness.denoise(plain)
    assert_close(harness.latents["walk"][2:], harness.latents["end"], 1e-5)


def test_the_pictures_of_a_walk_are_the_same_in_any_company(harness: EngineHarness) -> None:
    params = walk(make_params(), OWL, 9, 24)
    denoise(harness, params, "alone", (0.25,))
    denoise(harness, params, "together", (0.25, 0.5, 0.75))
    harness.denoise(
        make_request("mixed", replace(params, count=2), places=(0.25, 0.9)),
        make_request("other", make_params("a lake", count=2), order=1),
    )
    denoise(harness, make_params("a lake", count=2), "plain")
    assert_close(harness.latents["alone"], harness.latents["together"][:1], 1e-5)
    assert_close(harness.latents["alone"], harness.latents["mixed"][:1], 1e-5)
    assert_close(harness.latents["other"], harness.latents["plain"], 1e-5)


def test_noise_on_the_way_is_as_large_as_at_the_ends() -> None:
    generator = torch.Generator().manual_seed(3)
    start, end = (torch.randn(4, 64, 64, generator=generator) for _ in range(2))
    for place in np.linspace(0, 1, 11):
        assert slerp(start, end, float(place)).std() == pytest.approx(1, abs=0.02)
    assert torch.equal(slerp(start, end, 0.0), start)
    assert torch.equal(slerp(start, end, 1.0), end)
    assert torch.allclose(slerp(start, start, 0.3), start)


def test_a_walk_of_the_embedded_model_has_no_jumps(embedded_model: EmbeddedModelHarness) -> None:
    registry = ModelRegistry((describe_model(EMBEDDED),))
    start = replace(parse_params("a red castle on the hills --raw --seed 4 --draft", registry), count=1)
    params = walk(start, (PromptPart("a blue castle on the hills"),), 4, 24)
    places = tuple(number / 8 for number in range(9))
    latents = denoise(embedded_model.harness, params, "embedded", places)
    steps = [float((one - other).abs().mean()) for one, other in pairwise(latents)]
    assert max(steps) < 0.6 * float((latents[0] - latents[-1]).abs().mean())
