"""A CPU with bfloat16 instructions generates the same images as others."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from generation.engine.networks.pipeline_loader import load_pipeline
from generation.engine.networks.vae import Vae
from generation.models.model import EMBEDDED
from tests.support.engine_harness import EngineHarness, assert_close, make_params, make_request


@pytest.fixture
def bfloat16_pipeline(tiny_model: Path) -> Iterator[EngineHarness]:
    harness = EngineHarness(load_pipeline(str(tiny_model), "cpu", lambda _: None, torch.bfloat16))
    yield harness
    harness.close()


def _similarity(one: Tensor, other: Tensor) -> float:
    """Return the peak signal-to-noise ratio of images in −1…1, in dB."""
    return 10 * math.log10(4 / float((one.clamp(-1, 1) - other.clamp(-1, 1)).square().mean()))


def _generate(precision: torch.dtype) -> Tensor:
    torch.set_num_threads(1)  # two would wait for each other on a busy machine
    pipeline = load_pipeline(EMBEDDED, "cpu", lambda _: None, precision)
    harness = EngineHarness(pipeline)
    wanted = make_params("a castle on the hills at sunset", width=256, height=256, num_inference_steps=4)
    harness.denoise(make_request("a", wanted))
    harness.close()
    return Vae(pipeline).decode(harness.latents["a"])


@pytest.mark.skipif(not Path(EMBEDDED, "vae").is_dir(), reason="the embedded model is missing")
def test_the_embedded_model_generates_the_same_images_in_bfloat16() -> None:
    assert _similarity(_generate(torch.bfloat16), _generate(torch.float32)) > 40


@pytest.mark.parametrize("changes", [{}, {"chaos": 60, "weird": 500}, {"hd": True}, {"guidance_scale": 1.0}])
def test_in_bfloat16_a_tile_alone_is_the_tile_in_its_grid(
    bfloat16_pipeline: EngineHarness, changes: dict[str, Any]
) -> None:
    bfloat16_pipeline.denoise(make_request("grid", make_params(seed=5, count=3, **changes)))
    bfloat16_pipeline.denoise(make_request("alone", make_params(seed=7, count=1, **changes)))
    assert_close(bfloat16_pipeline.latents["alone"], bfloat16_pipeline.latents["grid"][2:], 0.02)
