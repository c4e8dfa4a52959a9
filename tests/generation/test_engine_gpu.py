"""What only a GPU can show."""

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
from tests.generation.studio import Studio, assert_close, generate, params

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU, and torch built for it"),
]


@pytest.fixture(scope="module")
def gpu_pipeline(tiny_model: Path) -> Pipeline:
    return load_pipeline(str(tiny_model), "cuda", lambda _: None)


@pytest.fixture
def gpu_studio(gpu_pipeline: Pipeline) -> Iterator[Studio]:
    studio = Studio(gpu_pipeline)
    yield studio
    studio.close()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_half_precision_draws_what_the_stock_pipeline_draws_in_half_precision(
    gpu_studio: Studio, gpu_pipeline: Pipeline, sampler: str
) -> None:
    stock: Any = StableDiffusionPipeline.from_pretrained(gpu_pipeline.model.ref, dtype=torch.float16).to("cuda")
    stock.set_progress_bar_config(disable=True)
    kind = SAMPLERS[sampler]
    stock.scheduler = getattr(diffusers, kind.scheduler).from_config(stock.scheduler.config, **kind.overrides)
    wanted = params(sampler=sampler, count=2)
    gpu_studio.draw(generate("a", wanted))
    theirs = stock(
        [wanted.parts[0].text] * 2,
        num_inference_steps=wanted.num_inference_steps,
        guidance_scale=wanted.guidance_scale,
        generator=[Generator("cpu").manual_seed(wanted.seed + tile) for tile in range(2)],
        output_type="latent",
    ).images
    assert_close(gpu_studio.latents["a"], theirs.float(), 0.02)


def test_the_same_seed_starts_from_the_same_noise_on_every_device(gpu_studio: Studio, studio: Studio) -> None:
    for each in (gpu_studio, studio):
        each.draw(generate("a", params(count=2)))
    assert_close(gpu_studio.latents["a"].cpu(), studio.latents["a"], 0.05)


@pytest.mark.parametrize(
    "changes",
    [{"chaos": 60, "weird": 500}, {"seamless": True}, {"hd": True}, {"stop": 50}, {"hd": True, "seamless": True}],
)
def test_the_parameters_do_on_the_gpu_what_they_do_on_the_cpu(
    gpu_studio: Studio, studio: Studio, changes: dict[str, Any]
) -> None:
    for each in (gpu_studio, studio):
        each.draw(generate("a", params(count=2, **changes)))
    assert_close(gpu_studio.latents["a"].cpu(), studio.latents["a"], 0.05)


def test_memory_that_really_runs_out_costs_the_job_only(gpu_studio: Studio) -> None:
    enormous = params(width=64 * 1024, height=64 * 1024)
    end = gpu_studio.draw(generate("enormous", enormous))[0]
    assert isinstance(end, Failed)
    assert end.reason is FailureReason.OUT_OF_MEMORY
    assert isinstance(gpu_studio.draw(generate("afterwards"))[0], Finished)


def test_a_cancelled_job_leaves_at_most_one_step_on_the_gpu(gpu_studio: Studio) -> None:
    gpu_studio.engine.add(generate("a", params(num_inference_steps=500)))
    for _ in range(20):
        gpu_studio.engine.step()
    gpu_studio.engine.cancel("a")
    assert not gpu_studio.engine.busy
    assert len(gpu_studio.calls) == 20
