"""SDXL in the same loop; the stock pipelines are the oracle."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    EDMEulerScheduler,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLInpaintPipeline,
    StableDiffusionXLPipeline,
)
from PIL import Image

from generation.engine.conditioning.encoder import PromptEncoder
from generation.engine.images.windows import layout_windows
from generation.engine.networks.pipeline_loader import Pipeline, load_pipeline
from generation.errors import UserError
from generation.messages import Finished
from generation.params import Frame, PromptPart
from tests.support.conditioning import encode
from tests.support.engine_harness import EngineHarness, assert_close, make_params, make_request, run_staggered
from tests.support.oracle import SOURCE, disable_progress_bar, sample_image, stock_latents, to_png_bytes
from tests.support.tiny_xl import build_tiny_xl

CONTEXT = 77


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def stock(tiny_xl: Path) -> Any:
    return disable_progress_bar(StableDiffusionXLPipeline.from_pretrained(tiny_xl, add_watermarker=False))


@pytest.fixture
def harness(xl_pipeline: Pipeline) -> Any:
    harness = EngineHarness(xl_pipeline)
    yield harness
    harness.close()


@pytest.mark.parametrize("sampler", [None, "ddim", "euler_a", "dpmpp_2m_karras", "unipc", "lcm"])
def test_every_sampler_matches_the_stock_pipeline(harness: EngineHarness, stock: Any, sampler: str | None) -> None:
    wanted = make_params(sampler=sampler, num_inference_steps=4, count=2)
    harness.denoise(make_request("a", wanted))
    assert_close(harness.latents["a"], stock_latents(stock, wanted, width=64, height=64))


def test_jobs_that_differ_in_everything_share_calls_and_match_solo_runs(harness: EngineHarness, stock: Any) -> None:
    jobs = {
        text: make_params(
            text,
            sampler=sampler,
            seed=seed,
            num_inference_steps=4,
            guidance_scale=guidance,
            width=width,
            negative_prompt=negative,
        )
        for seed, (text, sampler, guidance, width, negative) in enumerate(
            [
                ("a red fox", None, 5.0, 64, None),
                ("blue whales in the sea", "euler_a", 7.5, 64, "blurry"),
                ("a castle at night", "ddim", 1.0, 64, None),
                ("snow", "dpmpp_2m", 0.0, 64, None),
                ("a boat", None, 6.0, 96, "clouds"),
            ]
        )
    }
    run_staggered(harness, [make_request(text, wanted) for text, wanted in jobs.items()], steps_between=1)
    for text, wanted in jobs.items():
        assert_close(harness.latents[text], stock_latents(stock, wanted, width=wanted.width, height=64))
    assert max(harness.calls) > 2
    assert len(harness.calls) < sum(wanted.num_inference_steps for wanted in jobs.values())


@pytest.mark.parametrize("zeros", [True, False])
def test_the_empty_text_is_zeros_only_for_a_model_trained_that_way(tmp_path: Path, zeros: bool) -> None:
    pipeline = load_pipeline(str(build_tiny_xl(tmp_path, force_zeros=zeros)), "cpu", lambda _: None, torch.float32)
    conditioning = encode(PromptEncoder(pipeline), make_params())
    assert bool(conditioning.embeddings[1].any()) is bool(conditioning.pooled[1].any()) is not zeros
    harness = EngineHarness(pipeline)
    harness.denoise(make_request("a"))
    harness.close()
    stock = disable_progress_bar(StableDiffusionXLPipeline.from_pretrained(tmp_path, add_watermarker=False))
    assert_close(harness.latents["a"], stock_latents(stock, make_params(), width=64, height=64))


@pytest.mark.parametrize(("sampler", "strength"), [(None, 0.55), ("dpmpp_2m", 0.55), (None, 1.0)])
def test_img2img_matches_the_stock_pipeline(
    harness: EngineHarness, stock: Any, sampler: str | None, strength: float
) -> None:
    wanted = make_params(sampler=sampler, source=SOURCE, strength=strength, num_inference_steps=6, count=2)
    harness.denoise(make_request("a", wanted, source=to_png_bytes(sample_image())))
    oracle = disable_progress_bar(StableDiffusionXLImg2ImgPipeline(**stock.components, add_watermarker=False))
    assert_close(harness.latents["a"], stock_latents(oracle, wanted, image=sample_image(), strength=strength))


@pytest.mark.parametrize(("sampler", "strength"), [(None, 0.5), ("ddim", 1.0)])
def test_inpainting_matches_the_stock_pipeline(
    harness: EngineHarness, stock: Any, sampler: str | None, strength: float
) -> None:
    mask = Image.new("L", (64, 64))
    mask.paste(255, (16, 8, 48, 40))
    wanted = make_params(sampler=sampler, source=SOURCE, mask=SOURCE, strength=strength, num_inference_steps=6)
    harness.denoise(make_request("a", wanted, source=to_png_bytes(sample_image()), mask=to_png_bytes(mask)))
    oracle = disable_progress_bar(StableDiffusionXLInpaintPipeline(**stock.components, add_watermarker=False))
    theirs = stock_latents(
        oracle, wanted, image=sample_image(), mask_image=mask, strength=strength, width=64, height=64
    )
    assert_close(harness.latents["a"], theirs)


def test_a_vae_with_its_own_latent_statistics_is_normalised_by_them(tmp_path: Path) -> None:
    vae = {"latents_mean": [-1.6, 1.1, 0.3, -0.2], "latents_std": [8.4, 5.9, 5.2, 5.3], "scaling_factor": 0.5}
    stock = disable_progress_bar(
        StableDiffusionXLPipeline.from_pretrained(build_tiny_xl(tmp_path, vae=vae), add_watermarker=False)
    )
    harness = EngineHarness(load_pipeline(str(tmp_path), "cpu", lambda _: None, torch.float32))
    wanted = make_params(source=SOURCE, strength=0.5, num_inference_steps=4)
    harness.denoise(make_request("a", wanted, source=to_png_bytes(sample_image())))
    oracle = disable_progress_bar(StableDiffusionXLImg2ImgPipeline(**stock.components, add_watermarker=False))
    assert_close(harness.latents["a"], stock_latents(oracle, wanted, image=sample_image(), strength=0.5))
    pixels = harness.engine._vae.decode(harness.latents["a"])
    theirs = stock.vae.decode(
        harness.latents["a"] * torch.tensor(vae["latents_std"]).view(1, 4, 1, 1) / 0.5
        + torch.tensor(vae["latents_mean"]).view(1, 4, 1, 1)
    ).sample
    harness.close()
    assert torch.allclose(pixels, theirs, atol=1e-4)


def test_a_long_prompt_is_pooled_from_its_first_chunk(xl_pipeline: Pipeline) -> None:
    encoder, length = PromptEncoder(xl_pipeline), CONTEXT - 2
    both, first = (encode(encoder, make_params(text)) for text in ("1" * length + "2" * length, "1" * length))
    assert both.embeddings.shape[1] == 2 * CONTEXT
    assert torch.allclose(both.pooled[0], first.pooled[0], atol=1e-5)
    assert not both.embeddings[1].any()


def test_weighted_and_negative_texts_have_their_own_pooled_embeddings(
    harness: EngineHarness, xl_pipeline: Pipeline, stock: Any
) -> None:
    wanted = make_params(parts=(PromptPart("sun", 3), PromptPart("moon", 1)), no=("snow",), num_inference_steps=1)
    harness.denoise(make_request("a", wanted))
    conditioning = encode(PromptEncoder(xl_pipeline), wanted)
    weights = dict(zip(("sun", "moon", "snow"), conditioning.guidance_weights.tolist(), strict=False))
    assert weights == pytest.approx({"sun": 3.75, "moon": 1.25, "snow": -0.625})
    for text, pooled in zip(weights, conditioning.pooled, strict=False):
        assert torch.allclose(pooled, stock.encode_prompt(text, device="cpu")[2][0], atol=1e-5)


def _without_the_first_encoder(folder: Path) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    missing = {"text_encoder": [None, None], "tokenizer": [None, None]}
    (folder / "model_index.json").write_text(json.dumps(index | missing | {"requires_aesthetics_score": True}))


def _with_more_channels(folder: Path) -> None:
    config = json.loads((folder / "unet" / "config.json").read_text())
    (folder / "unet" / "config.json").write_text(json.dumps(config | {"in_channels": 9}))


def _with_another_noise(folder: Path) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    names = {"scheduler": ["diffusers", "EDMEulerScheduler"]}
    (folder / "model_index.json").write_text(json.dumps(index | names))
    EDMEulerScheduler().save_pretrained(folder / "scheduler")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without_the_first_encoder, "is a refiner"),
        (_with_more_channels, "inpainting"),
        (_with_another_noise, "noise schedule of EDMEulerScheduler"),
    ],
)
def test_an_unsupported_xl_model_is_refused_with_the_reason(
    tiny_xl: Path, tmp_path: Path, change: Callable[[Path], None], message: str
) -> None:
    other = shutil.copytree(tiny_xl, tmp_path / "other")
    change(other)
    with pytest.raises(UserError, match=message):
        load_pipeline(str(other), "cpu", lambda _: None)


def test_time_ids_contain_a_windows_position_on_the_canvas() -> None:
    time_ids = layout_windows((12, 8), (8, 8)).time_ids(8)
    assert time_ids.tolist() == [[96, 64, 0, 0, 64, 64], [96, 64, 32, 0, 64, 64]]


@pytest.mark.parametrize(
    "changes",
    [
        {"source": SOURCE, "frame": Frame(16, 16, 32, 32)},
        {"source": SOURCE, "width": 160, "height": 160, "strength": 0.3},
        {"seamless": True},
        {"hd": True},
        {"chaos": 50, "weird": 1000, "count": 2},
        {"width": 160, "height": 128, "num_inference_steps": 2},
        {"stop": 50, "house_style": "oil", "stylize": 250},
    ],
    ids=lambda changes: list(changes)[-1],
)
def test_all_other_parameters_work_with_xl(harness: EngineHarness, changes: dict[str, Any]) -> None:
    (end,) = harness.generate(
        make_request("a", make_params(**changes), source=to_png_bytes(sample_image()) if "source" in changes else None)
    )
    assert isinstance(end, Finished)
