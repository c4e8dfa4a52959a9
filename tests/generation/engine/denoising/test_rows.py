"""A picture is the same whoever else is in its UNet calls, whichever columns the rows use."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from generation.engine.denoising.rows import Rows, join_rows
from generation.engine.networks.pipeline_loader import Pipeline
from generation.messages import Generate
from generation.params import ControlWeight
from generation.prompt.weights import parse_parts
from tests.support.control_file import random_control, scan, write_folder
from tests.support.engine_harness import EngineHarness, assert_close, make_params, make_request
from tests.support.image_adapter_file import scan_images, write_adapter, write_encoder
from tests.support.oracle import SOURCE, sample_image, to_png_bytes

PICTURE = to_png_bytes(sample_image())
OTHER_PICTURE = to_png_bytes(sample_image(96, 48).rotate(90))
TWO_OF_THREE = {"num_inference_steps": 3}  # two are made, of pictures that are changed a little less than wholly
# What a job may use: its params, and the pictures of its request.
FEATURES: dict[str, tuple[dict[str, Any], dict[str, bytes]]] = {
    "img2img": ({"strength": 0.7, **TWO_OF_THREE}, {"source": PICTURE}),
    "region": ({"strength": 1.0, "region": (0, 1)}, {"source": PICTURE}),
    "chaos": ({"chaos": 40}, {}),
    "mix": ({"mix": "a blue hen", "mix_keep": 60, "strength": 0.8, **TWO_OF_THREE}, {"source": PICTURE}),
    "colour": ({"colourise": True, "strength": 0.75, **TWO_OF_THREE}, {"source": PICTURE}),
    "edited": ({"parts": parse_parts("a [red:blue:0.5] fox [:in the snow:1]")}, {}),
    "ending": ({"parts": parse_parts("[a red fox::0.5]"), "guidance_scale": 3.0}, {}),
    "held": ({"parts": parse_parts("a [red:blue:0.5] fox"), "hold": True}, {}),
    "retouched": (
        {"parts": parse_parts("a [red:blue:0.0] fox"), "retouch": True, "strength": 0.8, **TWO_OF_THREE},
        {"source": PICTURE},
    ),
    "no": ({"no": ("moon",)}, {}),
    "unguided": ({"guidance_scale": 1.0}, {}),
    "two": ({"count": 2}, {}),
    "sampler": ({"sampler": "euler_a", "num_inference_steps": 3}, {}),
    "wide": ({"width": 96}, {}),
    "windows": ({"width": 192}, {}),
    "seamless": ({"seamless": True}, {}),
    "style": ({"style": SOURCE, "style_weight": 100}, {"style": PICTURE}),
    "strong style": ({"style": SOURCE, "style_weight": 700}, {"style": OTHER_PICTURE}),
    "control": ({"control": SOURCE, "controls": (ControlWeight("one", 0.7),)}, {"control": PICTURE}),
    "controls": (
        {"control": SOURCE, "controls": (ControlWeight("one"), ControlWeight("two", 0.4))},
        {"control": OTHER_PICTURE},
    ),
    "character": ({"character": SOURCE, "character_adapter": "face"}, {"character": PICTURE}),
    "images": ({"image_prompts": (SOURCE,), "image_adapter": "plus"}, {"image_prompts": (PICTURE, OTHER_PICTURE)}),
    "adapted style": (
        {"style": SOURCE, "style_weight": 300, "style_adapter": "plus"},
        {"style": OTHER_PICTURE},
    ),
}
SUBSETS = st.sets(st.sampled_from(sorted(FEATURES)), max_size=4)


@pytest.fixture(scope="module", params=["pipeline", "xl_pipeline"], ids=["sd", "xl"])
def company(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineHarness]:
    model: Pipeline = request.getfixturevalue(request.param)
    controls = tmp_path_factory.mktemp("controls")
    for number, name in enumerate(("one", "two")):
        write_folder(random_control(model.unet, number), controls / name)
    images = tmp_path_factory.mktemp("images")
    write_encoder(images / "image_encoder")
    write_adapter(images / "face.safetensors", model.unet)
    write_adapter(images / "plus.safetensors", model.unet, "plus")
    harness = EngineHarness(model, adapters=replace(scan(controls), images=scan_images(images).images))
    yield harness
    harness.close()


def _request(job_id: str, features: Collection[str], seed: int, order: int = 0) -> Generate:
    changes: dict[str, Any] = {"seed": seed, "num_inference_steps": 2}
    pictures: dict[str, bytes] = {}
    for name in sorted(features):
        changes |= FEATURES[name][0]
        pictures |= FEATURES[name][1]
    return make_request(job_id, make_params(f"a fox {seed}", **changes), order=order, **pictures)


@settings(max_examples=18, deadline=None, derandomize=True)
@given(wanted=SUBSETS, others=st.lists(SUBSETS, min_size=1, max_size=3), rows=st.integers(1, 12))
# With these, each feature is in a picture at least once, and in its company.
@example({"seamless", "control", "ending", "style"}, [{"retouched"}, {"wide"}], 7)
@example({"windows", "adapted style", "no", "chaos"}, [{"held"}], 9)
def test_a_picture_is_the_same_in_any_company(
    company: EngineHarness, wanted: set[str], others: list[set[str]], rows: int
) -> None:
    alone = _alone(company, wanted)
    company.engine._batcher.budget = rows * 64 * 64
    requests = [_request(f"other-{place}", each, 50 + place, place % 2) for place, each in enumerate(others)]
    *_, accompanied = company.denoise(*requests, _request("accompanied", wanted, 5, order=1))
    assert_close(accompanied, alone)
    company.events.clear()


def _alone(company: EngineHarness, wanted: set[str]) -> torch.Tensor:
    """Return the latents of a picture with these features, generated alone once."""
    name = f"alone {sorted(wanted)}"
    if name not in company.latents:
        company.engine._batcher.budget = 100 * 64 * 64
        company.denoise(_request(name, wanted, 5))
    return company.latents[name]


def test_rows_that_do_not_use_a_column_have_zeros_in_it() -> None:
    plain = Rows(torch.zeros(2, 4, 8, 8), torch.zeros(2), torch.zeros(2, 77, 16), {})
    special = Rows(torch.ones(1, 4, 8, 8), torch.ones(1), torch.ones(1, 77, 16), {"control": torch.ones(1, 3, 2)})
    joined = join_rows([plain, special])
    assert len(joined) == 3
    assert joined.columns["control"].tolist() == [[[0, 0]] * 3, [[0, 0]] * 3, [[1, 1]] * 3]
    assert join_rows([plain, plain]).columns == {}
