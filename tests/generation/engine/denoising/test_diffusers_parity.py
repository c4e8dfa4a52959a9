"""The stock diffusers pipelines are the oracle: the engine's latents must match theirs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline, StableDiffusionPipeline
from PIL import Image
from torch import Tensor

from generation.engine.networks.pipeline_loader import Pipeline, load_pipeline
from generation.messages import Failed, FailureReason, Finished
from generation.models.samplers import SAMPLERS
from tests.support.engine_harness import EngineHarness, assert_close, make_params, make_request, run_staggered
from tests.support.oracle import SOURCE, disable_progress_bar, sample_image, stock_latents, to_png_bytes
from tests.support.tiny_model import build_tiny_model

ZERO_SNR = {"timestep_spacing": "trailing", "rescale_betas_zero_snr": True, "set_alpha_to_one": True}
KINDS: dict[str, dict[str, Any]] = {
    "epsilon": {"prediction_type": "epsilon"},
    "sample": {"prediction_type": "sample"},
    "v_prediction": {"prediction_type": "v_prediction"},
    "embedded": {"prediction_type": "v_prediction", "text_in_time": True, **ZERO_SNR},
}

BY_SAMPLER = {
    sampler or "own": make_params(sampler=sampler, num_inference_steps=5, count=2) for sampler in (None, *SAMPLERS)
}


@pytest.fixture(scope="module", params=KINDS)
def any_pipeline(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    folder = build_tiny_model(tmp_path_factory.mktemp(request.param), **KINDS[request.param])
    return load_pipeline(str(folder), "cpu", lambda _: None, torch.float32)


@pytest.fixture(scope="module")
def stock(tiny_model: Path) -> StableDiffusionPipeline:
    return disable_progress_bar(StableDiffusionPipeline.from_pretrained(tiny_model))


@pytest.fixture(scope="module")
def drawn_by_stock(stock: Any) -> dict[str, Tensor]:
    """Return the latents of the stock pipeline with every sampler, which have used all that a sampler remembers."""
    return {name: stock_latents(stock, wanted, width=64, height=64) for name, wanted in BY_SAMPLER.items()}


def test_every_sampler_matches_the_stock_pipeline(harness: EngineHarness, drawn_by_stock: dict[str, Tensor]) -> None:
    harness.denoise(*(make_request(name, wanted) for name, wanted in BY_SAMPLER.items()))
    for name, theirs in drawn_by_stock.items():
        assert_close(harness.latents[name], theirs, what=name)


def test_every_sampler_makes_a_single_step_as_the_stock_pipeline_does(harness: EngineHarness, stock: Any) -> None:
    jobs = {name: replace(wanted, num_inference_steps=1) for name, wanted in BY_SAMPLER.items()}
    harness.denoise(*(make_request(name, wanted) for name, wanted in jobs.items()))
    for name, wanted in jobs.items():
        assert_close(harness.latents[name], stock_latents(stock, wanted, width=64, height=64), what=name)


def test_a_job_alone_matches_the_stock_pipeline(harness: EngineHarness, drawn_by_stock: dict[str, Tensor]) -> None:
    for name, wanted in BY_SAMPLER.items():
        (mine,) = harness.denoise(make_request(name, wanted))
        assert_close(mine, drawn_by_stock[name], what=name)


def test_staggered_jobs_that_differ_in_everything_match_solo_runs(harness: EngineHarness, stock: Any) -> None:
    jobs = {
        f"job-{place}": make_params(
            text,
            sampler=sampler,
            seed=100 * place,
            num_inference_steps=steps,
            guidance_scale=guidance,
            count=count,
            width=width,
            negative_prompt=negative,
        )
        for place, (text, sampler, steps, guidance, count, width, negative) in enumerate(
            [
                ("a red fox", None, 6, 5.0, 2, 64, None),
                ("blue whales in the sea", "euler", 3, 7.5, 1, 64, None),
                ("a castle at night", "euler_a", 7, 3.0, 4, 64, "clouds"),
                ("", "dpmpp_2m_karras", 4, 6.0, 2, 96, None),
                ("snow", "pndm", 5, 1.0, 2, 64, None),
                ("twelve ghosts", "unipc", 6, 9.0, 1, 64, "blurry"),
                ("🦊 月の下", "ddpm", 4, 4.0, 2, 96, None),
                ("a boat", "heun", 3, 5.0, 2, 64, None),
                ("a boat", "dpmpp_2m_sde", 6, 0.0, 2, 64, None),
            ]
        )
    }
    run_staggered(harness, [make_request(job_id, wanted) for job_id, wanted in jobs.items()], steps_between=2)
    for job_id, wanted in jobs.items():
        assert_close(harness.latents[job_id], stock_latents(stock, wanted, width=wanted.width, height=64))


@pytest.mark.parametrize("any_pipeline", ["embedded"], indirect=True)
def test_the_embedded_kind_of_model_agrees_with_every_sampler(any_pipeline: Pipeline) -> None:
    stock = disable_progress_bar(StableDiffusionPipeline.from_pretrained(any_pipeline.model.ref))
    harness = EngineHarness(any_pipeline)
    jobs = {sampler: make_params(sampler=sampler, num_inference_steps=4) for sampler in SAMPLERS}
    harness.denoise(*(make_request(sampler, wanted) for sampler, wanted in jobs.items()))
    for sampler, wanted in jobs.items():
        assert_close(harness.latents[sampler], stock_latents(stock, wanted))
    harness.close()


@pytest.mark.parametrize("any_pipeline", ["sample"], indirect=True)
def test_a_sampler_that_the_model_does_not_support_is_a_user_error(any_pipeline: Pipeline) -> None:
    harness = EngineHarness(any_pipeline)
    refused, finished = harness.generate(make_request("a", make_params(sampler="euler_a")), make_request("b"))
    assert isinstance(refused, Failed)
    assert (refused.reason, "euler_a" in refused.text) == (FailureReason.USER_ERROR, True)
    assert isinstance(finished, Finished)
    harness.close()


def test_all_kinds_of_prediction_agree_with_the_stock_pipeline(any_pipeline: Pipeline) -> None:
    stock = disable_progress_bar(StableDiffusionPipeline.from_pretrained(any_pipeline.model.ref))
    harness = EngineHarness(any_pipeline)
    for sampler in (None, "euler", "dpmpp_2m"):
        wanted = make_params(sampler=sampler, num_inference_steps=4, count=2)
        harness.denoise(make_request(f"{sampler}", wanted))
        assert_close(harness.latents[f"{sampler}"], stock_latents(stock, wanted))
    harness.close()


def test_img2img_matches_the_stock_pipeline(harness: EngineHarness, stock: Any) -> None:
    cases = [*((sampler, 0.55) for sampler in SAMPLERS), *((None, strength) for strength in (0.2, 0.999, 1.0))]
    jobs = {
        f"{sampler} {strength}": make_params(
            sampler=sampler, source=SOURCE, strength=strength, num_inference_steps=6, count=2
        )
        for sampler, strength in cases
    }
    source = to_png_bytes(sample_image())
    harness.denoise(*(make_request(name, wanted, source=source) for name, wanted in jobs.items()))
    oracle = disable_progress_bar(StableDiffusionImg2ImgPipeline(**stock.components))
    for name, wanted in jobs.items():
        theirs = stock_latents(oracle, wanted, image=sample_image(), strength=wanted.strength)
        assert_close(harness.latents[name], theirs, what=name)


@pytest.mark.parametrize(
    ("sampler", "strength"),
    [(None, 0.5), (None, 1.0), ("euler", 0.5), ("euler", 1.0), ("dpmpp_2m", 0.5), ("pndm", 1.0), ("heun", 0.5)],
)
def test_inpainting_matches_the_stock_pipeline(
    harness: EngineHarness, stock: Any, sampler: str | None, strength: float
) -> None:
    mask = Image.new("L", (64, 64))
    mask.paste(255, (16, 8, 48, 40))
    wanted = make_params(sampler=sampler, source=SOURCE, mask=SOURCE, strength=strength, num_inference_steps=6)
    harness.denoise(make_request("a", wanted, source=to_png_bytes(sample_image()), mask=to_png_bytes(mask)))
    oracle = disable_progress_bar(StableDiffusionInpaintPipeline(**stock.components))
    theirs = stock_latents(
        oracle, wanted, image=sample_image(), mask_image=mask, strength=strength, width=64, height=64
    )
    assert_close(harness.latents["a"], theirs)


def test_a_tile_generated_alone_matches_its_grid(harness: EngineHarness) -> None:
    grids = {sampler: make_params(sampler=sampler, num_inference_steps=3, count=2) for sampler in SAMPLERS}
    alone = {f"{sampler} alone": replace(grid, seed=grid.seed + 1, count=1) for sampler, grid in grids.items()}
    harness.denoise(*(make_request(name, wanted) for name, wanted in (grids | alone).items()))
    for sampler in SAMPLERS:
        assert_close(harness.latents[f"{sampler} alone"], harness.latents[sampler][1:], 1e-5, sampler)


@pytest.mark.parametrize("mask", [None, to_png_bytes(sample_image(90, 90))])
def test_a_variation_generated_alone_matches_its_grid(harness: EngineHarness, mask: bytes | None) -> None:
    changes = {"sampler": "euler_a", "num_inference_steps": 4, "count": 4}  # two steps, of which one adds noise
    grid = make_params(source=SOURCE, strength=0.6, mask=mask and SOURCE, **changes)
    alone = replace(grid, seed=grid.seed + 3, count=1)
    source = to_png_bytes(sample_image(100, 80))
    harness.denoise(
        make_request("grid", grid, source=source, mask=mask), make_request("alone", alone, source=source, mask=mask)
    )
    assert_close(harness.latents["alone"], harness.latents["grid"][3:], 1e-5)


def test_the_same_job_gives_identical_images(harness: EngineHarness) -> None:
    request = make_request("a", make_params(sampler="euler_a", count=4))
    (first,) = harness.generate(request)
    harness.events.clear()
    (again,) = harness.generate(request)
    assert first.grid.tiles == again.grid.tiles


def test_images_that_differ_only_in_seed_differ(harness: EngineHarness) -> None:
    harness.denoise(make_request("a", make_params(seed=1)), make_request("b", make_params(seed=2)))
    assert not torch.allclose(harness.latents["a"], harness.latents["b"], atol=0.5)


def test_early_model_configs_are_corrected_as_the_stock_pipeline_does(tmp_path: Path) -> None:
    folder = str(build_tiny_model(tmp_path, steps_offset=0, clip_sample=True))
    harness = EngineHarness(load_pipeline(folder, "cpu", lambda _: None, torch.float32))
    with pytest.warns(FutureWarning, match="steps_offset"):
        stock = disable_progress_bar(StableDiffusionPipeline.from_pretrained(folder))
    harness.denoise(make_request("a"))
    assert_close(harness.latents["a"], stock_latents(stock, make_params()))
    harness.close()
