"""Models that change a picture as words say, in the same loop; the stock InstructPix2Pix pipelines are the oracle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionInstructPix2PixPipeline, StableDiffusionXLInstructPix2PixPipeline
from PIL import Image, ImageOps

from generation.engine.denoising.usual_rows import usual_rows
from generation.engine.images.io import to_pixels
from generation.engine.networks.pipeline_loader import load_pipeline
from generation.messages import Finished
from generation.models.capabilities import Capability
from generation.params import Params
from generation.planning.guidance import guidance_weights
from generation.prompt.weights import parse_parts
from tests.support.engine_harness import EngineHarness, assert_close, make_params, make_request, run_staggered
from tests.support.oracle import SOURCE, disable_progress_bar, sample_image, stock_latents, to_png_bytes
from tests.support.tiny_model import build_tiny_model
from tests.support.tiny_xl import build_tiny_xl

PICTURE = sample_image()
OTHER_PICTURE = sample_image(96, 64).rotate(180)


def _edit(text: str = "make it snow", **changes: Any) -> Params:
    return make_params(**{"text": text, "original": SOURCE} | changes)


def _request(job_id: str, params: Params, picture: Image.Image = PICTURE, **more: Any) -> Any:
    return make_request(job_id, params, original=to_png_bytes(picture), **more)


def _stock(oracle: Any, params: Params, picture: Image.Image = PICTURE, **more: Any) -> torch.Tensor:
    scale = params.image_guidance
    return stock_latents(oracle, params, image=[picture] * params.count, image_guidance_scale=scale, **more)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("editor"), is_editor=True)


@pytest.fixture(scope="module")
def editor(folder: Path) -> Iterator[EngineHarness]:
    harness = EngineHarness(load_pipeline(str(folder), "cpu", lambda _: None, torch.float32))
    yield harness
    harness.close()


@pytest.fixture(scope="module")
def oracle(folder: Path) -> Any:
    stock = StableDiffusionInstructPix2PixPipeline.from_pretrained(
        folder, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )
    return disable_progress_bar(stock)


def test_an_edit_alone_matches_the_stock_pipeline(editor: EngineHarness, oracle: Any) -> None:
    assert editor.engine.model.is_editor
    assert Capability.EDIT in editor.engine.model.capabilities
    jobs = {
        "plain": _edit(count=2),
        "ancestral": _edit(sampler="euler_a"),
        "multistep": _edit(sampler="dpmpp_2m_karras", num_inference_steps=4, image_guidance=2.5),
        "negative": _edit(negative_prompt="blurry"),
        "unguided": _edit(guidance_scale=1.0),
        "guided by words alone": _edit(image_guidance=1.0),
    }
    for name, wanted in jobs.items():
        editor.denoise(_request(name, wanted))
        assert_close(editor.latents[name], _stock(oracle, wanted), what=name)
    rows = [len(guidance_weights(wanted)) for wanted in jobs.values()]
    assert rows == [3, 3, 3, 3, 1, 2]


@pytest.mark.parametrize("budget", [100, 2])
def test_edits_that_differ_in_everything_share_calls_and_match(editor: EngineHarness, oracle: Any, budget: int) -> None:
    wide = OTHER_PICTURE.resize((96, 64))
    jobs = {
        "grid": (_edit(count=4, num_inference_steps=4), PICTURE),
        "other": (
            _edit("a red fox", seed=90, num_inference_steps=4, image_guidance=2.0, guidance_scale=7.5),
            OTHER_PICTURE.resize((64, 64)),
        ),
        "wide": (_edit("turn it blue", width=96, num_inference_steps=4, sampler="euler"), wide),
        "unguided": (_edit(guidance_scale=1.0, num_inference_steps=6), PICTURE),
    }
    editor.engine._batcher.budget = budget * 64 * 64
    editor.calls.clear()
    run_staggered(editor, [_request(f"{name} {budget}", *job) for name, job in jobs.items()], steps_between=1)
    editor.engine._batcher.budget = 100 * 64 * 64
    assert max(editor.calls) == min(budget, 16)
    for name, (wanted, picture) in jobs.items():
        assert_close(editor.latents[f"{name} {budget}"], _stock(oracle, wanted, picture), what=name)


def test_an_edit_is_the_same_beside_jobs_that_use_other_columns(editor: EngineHarness) -> None:
    alone, png = _edit(count=2), to_png_bytes(PICTURE)
    editor.denoise(_request("alone", alone))
    company = [
        _request("styled", _edit(style=SOURCE), style=to_png_bytes(OTHER_PICTURE)),
        _request("varied", _edit(source=SOURCE, strength=0.6), source=png),
        make_request("without a picture", make_params()),
    ]
    editor.denoise(*company, _request("accompanied", alone))
    assert_close(editor.latents["accompanied"], editor.latents["alone"], 1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"source": SOURCE, "strength": 0.6},
        {"hd": True},
        {"width": 192},
        {"seamless": True},
        {"parts": parse_parts("make it [snow:rain:0.4]"), "hold": True},
    ],
    ids=["plain", "variation", "second pass", "windows", "seamless", "other words"],
)
def test_every_way_to_draw_sees_the_picture(editor: EngineHarness, changes: dict[str, Any]) -> None:
    source = {"source": to_png_bytes(PICTURE)} if "source" in changes else {}
    pictures = {"one": PICTURE, "other": OTHER_PICTURE}
    ends = editor.generate(
        *(_request(f"{changes} {name}", _edit(**changes), each, **source) for name, each in pictures.items())
    )
    assert all(isinstance(end, Finished) for end in ends)
    one, other = editor.latents[f"{changes} one"], editor.latents[f"{changes} other"]
    assert float((one - other).abs().mean()) > 1e-3


def test_a_second_pass_sees_the_picture_at_its_size(editor: EngineHarness) -> None:
    seen = []
    hook = editor.engine._pipeline.unet.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    large = sample_image(128, 128)
    editor.denoise(_request("large", _edit(hd=True), large))
    hook.remove()
    vae = editor.engine._vae
    for side in (64, 128):
        latents = next(each for each in seen if each.shape[-1] == side // vae.scale)
        picture = ImageOps.fit(large, (side, side), Image.Resampling.LANCZOS)
        expected = vae.unscaled(vae.encode(to_pixels(picture)).mean)
        assert_close(latents[:1, vae.channels :], expected, 1e-5)


def test_a_grid_for_which_the_unet_is_compiled_first_is_one_of_an_edit(editor: EngineHarness) -> None:
    engine = editor.engine
    rows = next(usual_rows(engine.model, engine._variants.base.encoder, engine._vae, engine._samplers, 32))
    assert (len(rows), rows.inputs(8).shape[1]) == (12, 8)


@pytest.mark.parametrize("scaled", [False, True], ids=["plain", "as CosXL Edit"])
def test_an_xl_edit_matches_the_stock_pipeline(tmp_path: Path, scaled: bool) -> None:
    folder = build_tiny_xl(tmp_path, in_channels=8)
    index = json.loads((folder / "model_index.json").read_text())
    index |= {"_class_name": "StableDiffusionXLInstructPix2PixPipeline", "is_cosxl_edit": scaled}
    (folder / "model_index.json").write_text(json.dumps(index))
    harness = EngineHarness(load_pipeline(str(folder), "cpu", lambda _: None, torch.float32))
    stock = StableDiffusionXLInstructPix2PixPipeline.from_pretrained(folder, add_watermarker=False)
    disable_progress_bar(stock)
    jobs = {"grid": _edit(count=2), "negative": _edit("a boat", negative_prompt="blurry", seed=8, sampler="ddim")}
    harness.denoise(*(_request(name, wanted) for name, wanted in jobs.items()))
    for name, wanted in jobs.items():
        assert_close(harness.latents[name], _stock(stock, wanted, width=64, height=64), what=name)
    harness.close()
