"""What a style reference does to the pictures of the embedded model."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from generation.params import Params, Tile
from tests.support.embedded_model import SOURCE, Drawing, EmbeddedModelHarness, is_increasing, small_params
from tests.support.engine_harness import make_request

WEIGHTS = (0, 50, 100, 300, 1000)
TILES = 2
PROMPTS = ("a red boat on the sea", "a fox in a meadow")


@pytest.fixture(scope="module")
def references(embedded_model: EmbeddedModelHarness) -> list[Drawing]:
    return embedded_model.generate("a windmill in a meadow, sepia --seed 3", "a castle at night, neon --seed 4")


def _draw(embedded_model: EmbeddedModelHarness, params: Params, style: bytes) -> list[Tensor]:
    """Return the latents of the tiles with each weight."""
    jobs = [replace(params, count=TILES, style=SOURCE, style_weight=weight) for weight in WEIGHTS]
    return embedded_model.harness.denoise(
        *(make_request(f"weight-{job.style_weight}", job, style=style) for job in jobs)
    )


def _moments(latents: Tensor) -> Tensor:
    return torch.cat([latents.mean((-2, -1)), latents.std((-2, -1))], dim=1)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_more_weight_brings_the_colours_nearer(
    embedded_model: EmbeddedModelHarness, references: list[Drawing], prompt: str
) -> None:
    """Of each of the tiles, and with a great step from none to the default."""
    params = small_params(f"{prompt} --s 0")
    for reference in references:
        pixels = torch.from_numpy(reference.tiles / 127.5 - 1).permute(0, 3, 1, 2)
        wanted = _moments(embedded_model.harness.engine._vae.encode(pixels).mean)
        drawn = _draw(embedded_model, params, reference.files[0])
        distances = [(_moments(each) - wanted).norm(dim=1) for each in drawn]
        for tile in range(TILES):
            assert is_increasing([-float(distance[tile]) for distance in distances])
        assert float(distances[2].mean()) < 0.4 * float(distances[0].mean())


def test_an_upscale_keeps_the_style_of_its_picture(
    embedded_model: EmbeddedModelHarness, references: list[Drawing]
) -> None:
    """Its reference is not applied once more."""
    params = small_params(f"{PROMPTS[0]} --s 0")
    small = io.BytesIO()
    Image.fromarray(references[0].tiles[0].astype(np.uint8)).resize((64, 64)).save(small, "PNG")
    upscale = replace(params, source=Tile("0" * 12, 0), strength=0.3)
    plain, styled = embedded_model.harness.denoise(
        make_request("plain", upscale, source=small.getvalue()),
        make_request("styled", replace(upscale, style=SOURCE), source=small.getvalue(), style=references[1].files[0]),
    )
    assert styled.equal(plain)
