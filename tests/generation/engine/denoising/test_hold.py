"""`--hold`: words change, and what they do not concern stays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from generation.engine.denoising.hold import Hold
from generation.params import Params
from generation.prompt.weights import parse_parts
from tests.support.engine_harness import EngineHarness, assert_close, make_params, make_request
from tests.support.oracle import SOURCE, sample_image, to_png_bytes

PICTURE = to_png_bytes(sample_image())


def _params(text: str, **changes: Any) -> Params:
    return make_params("x", parts=parse_parts(text), num_inference_steps=4, **changes)


def test_only_the_place_where_words_differ_may_change() -> None:
    hold, latents = Hold(), torch.randn(1, 4, 16, 16)
    others = latents.clone()
    others[:, :, 4:8, 4:8] += 1
    hold.look(latents, others)
    held, edited = hold.apply(torch.stack([torch.zeros(4, 16, 16), torch.ones(4, 16, 16)]))
    assert not held.any()
    assert edited[:, 4:8, 4:8].all()
    edited[:, 2:10, 2:10] = 0
    assert not edited.any()


def _latents(harness: EngineHarness, name: str, params: Params, **pictures: bytes) -> torch.Tensor:
    (latents,) = harness.denoise(make_request(name, params, **pictures))
    return latents


@pytest.mark.parametrize(
    ("changes", "pictures"),
    [
        ({}, {}),
        ({"count": 2, "sampler": "euler_a"}, {}),
        ({"sampler": "dpmpp_2m_sde", "chaos": 30}, {}),
        ({"width": 192, "strength": 0.8, "region": (0, 1)}, {"source": PICTURE}),
        ({"hd": True, "stop": 70}, {}),
    ],
    ids=["plain", "two", "chaos", "region", "hd"],
)
def test_words_that_are_read_the_same_change_nothing(
    harness: EngineHarness, changes: dict[str, Any], pictures: dict[str, bytes]
) -> None:
    changes = {**changes, **({"source": SOURCE} if pictures else {})}
    plain = _latents(harness, f"plain {sorted(changes)}", _params("a red fox", **changes), **pictures)
    held = _params("a [red:RED:0.3] fox", hold=True, **changes)
    assert_close(_latents(harness, f"held {sorted(changes)}", held, **pictures), plain)


def test_other_words_change_a_picture(harness: EngineHarness) -> None:
    plain = _latents(harness, "before", _params("a red fox"))
    held = _latents(harness, "held", _params("a [red:blue:0.3] fox", hold=True))
    assert not torch.allclose(plain, held, atol=0.1)


def test_a_tile_is_the_same_alone_and_in_its_grid(harness: EngineHarness) -> None:
    held = _params("a [red:blue:0.3] fox", hold=True)
    grid = _latents(harness, "grid", replace(held, count=3, chaos=20))
    assert_close(_latents(harness, "alone", replace(held, seed=held.seed + 2, chaos=20))[0], grid[2])


@pytest.mark.parametrize("stop", [100, 50])
def test_a_retouched_picture_is_its_source_where_words_change_nothing(harness: EngineHarness, stop: int) -> None:
    changes: dict[str, Any] = {"source": SOURCE, "count": 2}
    unchanged = _latents(harness, f"source {stop}", _params("x", strength=0.0, **changes), source=PICTURE)
    retouched = _params("a [red:RED:.0] fox", strength=0.8, retouch=True, stop=stop, **changes)
    assert_close(_latents(harness, f"retouched {stop}", retouched, source=PICTURE), unchanged)
