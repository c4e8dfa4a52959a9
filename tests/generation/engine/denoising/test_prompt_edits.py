"""Prompts whose words change while a picture is drawn: exact, and encoded once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline

from generation.engine.denoising.job import DenoisingJob
from generation.engine.networks.pipeline_loader import Pipeline
from generation.params import Params
from generation.prompt.weights import parse_parts
from tests.support.embedded_model import EmbeddedModelHarness, distance, is_increasing
from tests.support.engine_harness import EngineHarness, assert_close, make_params, make_request
from tests.support.oracle import disable_progress_bar, stock_latents


@pytest.fixture(scope="module")
def stock(tiny_model: Path) -> StableDiffusionPipeline:
    return disable_progress_bar(StableDiffusionPipeline.from_pretrained(tiny_model))


def _edited(typed: str, **changes: Any) -> Params:
    return make_params(parts=parse_parts(typed), **changes)


def _running(harness: EngineHarness, job_id: str) -> DenoisingJob:
    job = harness.engine._running[job_id].job
    assert isinstance(job, DenoisingJob)
    return job


@pytest.mark.parametrize("when", ["0.5", "2"])
@pytest.mark.parametrize("sampler", [None, "euler_a", "dpmpp_2m"])
def test_half_of_one_run_and_half_of_another_are_spliced(
    harness: EngineHarness, sampler: str | None, when: str
) -> None:
    changes: dict[str, Any] = {"sampler": sampler, "count": 2, "num_inference_steps": 4}
    harness.denoise(make_request("edited", _edited(f"[red:blue:{when}]", **changes)))
    harness.engine.add(make_request("blue", make_params("blue", **changes)))
    harness.engine.step()
    blue = _running(harness, "blue").conditioning
    harness.run_until_idle()
    harness.engine.add(make_request("spliced", make_params("red", **changes)))
    for _ in range(2):
        harness.engine.step()
    _running(harness, "spliced").conditioning = blue
    harness.run_until_idle()
    assert torch.equal(harness.latents["edited"], harness.latents["spliced"])
    assert not torch.allclose(harness.latents["edited"], harness.latents["blue"], atol=1e-3)


def test_the_stock_pipeline_with_other_embeddings_from_a_step_on_is_the_same(
    harness: EngineHarness, stock: Any
) -> None:
    wanted = _edited("a [red:blue:.4] fox", num_inference_steps=5)
    blue = torch.cat(list(reversed(stock.encode_prompt("a blue fox", "cpu", 1, True))))

    def swap(_: Any, step: int, __: Any, values: dict[str, Any]) -> dict[str, Any]:
        return {"prompt_embeds": blue} if step == 1 else {"prompt_embeds": values["prompt_embeds"]}

    harness.denoise(make_request("edited", wanted))
    tensors = ["latents", "prompt_embeds"]
    theirs = stock_latents(
        stock, wanted, width=64, height=64, callback_on_step_end=swap, callback_on_step_end_tensor_inputs=tensors
    )
    assert_close(harness.latents["edited"], theirs)


@pytest.mark.parametrize(
    ("typed", "plain"),
    [("[red:blue:0.1] fox", "blue fox"), ("[red:blue:9] fox", "red fox")],
)
def test_a_change_before_the_first_or_after_the_last_step_shows_one_text(
    harness: EngineHarness, typed: str, plain: str
) -> None:
    harness.denoise(make_request(typed, _edited(typed)), make_request(plain + "-plain", make_params(plain)))
    assert_close(harness.latents[typed], harness.latents[plain + "-plain"], 1e-5)


def test_every_text_is_encoded_once(harness: EngineHarness, pipeline: Pipeline) -> None:
    passes: list[int] = []
    hook = pipeline.text_encoders[0].register_forward_hook(lambda *_: passes.append(1))
    harness.denoise(make_request("once", _edited("a [lime:pink:.5] hen [hat:1]", chaos=0, count=3)))
    hook.remove()
    assert len(passes) <= 4  # three texts, and the empty one


def test_the_hires_pass_keeps_the_last_words(harness: EngineHarness) -> None:
    harness.denoise(make_request("hd", _edited("[red:blue:.5] fox", hd=True)))
    assert torch.isfinite(harness.latents["hd"]).all()


@pytest.mark.parametrize("changes", [{"chaos": 40, "weird": 900, "count": 2}, {"width": 192}, {"stop": 50}], ids=str)
def test_edits_work_with_other_parameters(harness: EngineHarness, changes: dict[str, Any]) -> None:
    (end,) = harness.generate(make_request(str(changes), _edited("[red:blue:.5] fox::2 hen [hat:.3]", **changes)))
    assert torch.isfinite(harness.latents[str(changes)]).all(), end


@pytest.mark.parametrize(("before", "after"), [("sunset", "night"), ("dawn", "night")])
def test_the_earlier_the_words_change_the_more_the_picture_does(
    embedded_model: EmbeddedModelHarness, before: str, after: str
) -> None:
    words = (before, *(f"[{before}:{after}:{share}]" for share in (0.7, 0.4, 0.2)), after)
    first, *others = embedded_model.generate(*(f"a red boat on the sea at {each} --seed 7" for each in words))
    assert is_increasing([distance(first, other) for other in others])
