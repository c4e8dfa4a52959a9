"""Tests that need a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from diffusers import StableDiffusionPipeline
from torch import Generator

from generation.engine.networks.pipeline_loader import Pipeline, load_pipeline
from generation.messages import Failed, FailureReason, Finished
from generation.models.samplers import SAMPLERS
from tests.support.engine_harness import EngineHarness, assert_close, make_params, make_request

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU, and torch built for it"),
]


@pytest.fixture(scope="module")
def gpu_pipeline(tiny_model: Path) -> Pipeline:
    return load_pipeline(str(tiny_model), "cuda", lambda _: None)


@pytest.fixture
def gpu_harness(gpu_pipeline: Pipeline) -> Iterator[EngineHarness]:
    harness = EngineHarness(gpu_pipeline)
    yield harness
    harness.close()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_half_precision_matches_the_stock_pipeline_in_half_precision(
    gpu_harness: EngineHarness, gpu_pipeline: Pipeline, sampler: str
) -> None:
    stock: Any = StableDiffusionPipeline.from_pretrained(gpu_pipeline.model.ref, dtype=torch.float16).to("cuda")
    stock.set_progress_bar_config(disable=True)
    kind = SAMPLERS[sampler]
    stock.scheduler = getattr(diffusers, kind.scheduler).from_config(stock.scheduler.config, **kind.overrides)
    wanted = make_params(sampler=sampler, num_inference_steps=4, count=2)
    gpu_harness.generate(make_request("a", wanted))
    theirs = stock(
        [wanted.parts[0].text] * 2,
        num_inference_steps=wanted.num_inference_steps,
        guidance_scale=wanted.guidance_scale,
        generator=[Generator("cpu").manual_seed(wanted.seed + tile) for tile in range(2)],
        output_type="latent",
    ).images
    assert_close(gpu_harness.latents["a"], theirs.float(), 0.02)


def test_the_same_seed_starts_from_the_same_noise_on_every_device(
    gpu_harness: EngineHarness, harness: EngineHarness
) -> None:
    for each in (gpu_harness, harness):
        each.generate(make_request("a", make_params(num_inference_steps=4, count=2)))
    assert_close(gpu_harness.latents["a"].cpu(), harness.latents["a"], 0.05)


@pytest.mark.parametrize(
    "changes",
    [{"chaos": 60, "weird": 500}, {"seamless": True}, {"hd": True}, {"stop": 50}, {"hd": True, "seamless": True}],
)
def test_the_parameters_have_the_same_effect_on_gpu_and_cpu(
    gpu_harness: EngineHarness, harness: EngineHarness, changes: dict[str, Any]
) -> None:
    for each in (gpu_harness, harness):
        each.generate(make_request("a", make_params(num_inference_steps=4, count=2, **changes)))
    assert_close(gpu_harness.latents["a"].cpu(), harness.latents["a"], 0.05)


def test_really_running_out_of_memory_fails_only_the_job(gpu_harness: EngineHarness) -> None:
    enormous = make_params(width=64 * 1024, height=64 * 1024)
    end = gpu_harness.generate(make_request("enormous", enormous))[0]
    assert isinstance(end, Failed)
    assert end.reason is FailureReason.OUT_OF_MEMORY
    assert isinstance(gpu_harness.generate(make_request("afterwards"))[0], Finished)


def test_a_cancelled_job_leaves_at_most_one_step_on_the_gpu(gpu_harness: EngineHarness) -> None:
    gpu_harness.engine.add(make_request("a", make_params(num_inference_steps=500)))
    for _ in range(20):
        gpu_harness.engine.step()
    gpu_harness.engine.cancel("a")
    assert not gpu_harness.engine.busy
    assert len(gpu_harness.calls) == 20
