"""Effects of steps, stop, quality and hd on the images of the embedded model, and their cost."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from generation.engine.denoising import engine as engine_module
from generation.messages import Failed, FailureReason
from generation.models.registry import ModelRegistry
from generation.params import Params
from generation.planning.compute_cost import compute_cost
from generation.prompt import parse_params
from tests.support.embedded_model import (
    SMALL_EMBEDDED,
    SOURCE,
    Drawing,
    EmbeddedModelHarness,
    Pixels,
    distance,
    high_frequency_energy,
    is_increasing,
    plain_png,
)
from tests.support.engine_harness import EngineHarness, assert_close, make_params, make_request
from tests.support.timing import TIMEOUT_S

FOREST = "a forest --raw --steps 10"
HILLS = "a castle on the hills --raw --steps 8"
STOPS = (20, 40, 70, 100)


@pytest.fixture(scope="module")
def stopped_drawings(embedded_model: EmbeddedModelHarness) -> list[Drawing]:
    return embedded_model.generate(*(f"{FOREST} --stop {stop}" for stop in STOPS))


def test_an_image_that_was_stopped_earlier_is_blurrier(stopped_drawings: list[Drawing]) -> None:
    assert is_increasing([high_frequency_energy(drawing.tiles) for drawing in stopped_drawings], 0.5)


def test_a_stopped_image_is_free_of_noise(
    embedded_model: EmbeddedModelHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The latents of that step, decoded for comparison, are full of noise; a calm sea has no detail of its own."""
    prompts = [f"the sea --raw --steps 10 --stop {stop}" for stop in STOPS[:2]]
    stopped = embedded_model.generate(*prompts)
    monkeypatch.setattr("generation.engine.denoising.job.DenoisingJob.result", property(lambda job: job.latents))
    for noisy, clean in zip(embedded_model.generate(*prompts), stopped, strict=True):
        assert high_frequency_energy(noisy.tiles) > 10 * high_frequency_energy(clean.tiles)


def test_a_stopped_image_already_resembles_the_final_one(stopped_drawings: list[Drawing]) -> None:
    assert is_increasing([-distance(drawing, stopped_drawings[-1]) for drawing in stopped_drawings])


def test_stop_ends_the_steps_and_the_progress(stopped_drawings: list[Drawing]) -> None:
    steps = [[(progress.step, progress.total) for progress in drawing.progress] for drawing in stopped_drawings]
    assert steps == [[(step, last) for step in range(1, last + 1)] for last in (2, 4, 7, 10)]


def test_quality_is_a_share_of_the_steps(embedded_model: EmbeddedModelHarness) -> None:
    drawings = embedded_model.generate(*(f"the sea --raw {quality}" for quality in ("", "--q .5", "--q 2")))
    assert [len(drawing.progress) for drawing in drawings] == [6, 3, 12]
    assert len(drawings[0].calls) == 12, "of the longest, which the others share"


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(embedded_model: EmbeddedModelHarness) -> None:
    one, again, other = (embedded_model.generate(f"the sea --seed {seed} --steps 3")[0] for seed in (3, 3, 4))
    pixels, same_pixels = ([file[file.index(b"IDAT") :] for file in each.files] for each in (one, again))
    assert pixels == same_pixels, "behind the text, which names the job"
    assert distance(one, other) > 2


@pytest.fixture(scope="module")
def hires_drawings(embedded_model: EmbeddedModelHarness) -> list[Drawing]:
    return embedded_model.generate(HILLS, f"{HILLS} --hd", f"{HILLS} --seed 8")


def _resize(tiles: Pixels, side: int) -> Pixels:
    images = [Image.fromarray(tile.astype(np.uint8)).resize((side, side), Image.Resampling.LANCZOS) for tile in tiles]
    return np.stack([np.asarray(image, np.float32) for image in images])


def test_hd_is_twice_as_large_and_has_more_detail_than_a_resize(hires_drawings: list[Drawing]) -> None:
    once, hd, _ = hires_drawings
    assert hd.tiles.shape == (1, 256, 256, 3)
    assert high_frequency_energy(hd.tiles) > 1.5 * high_frequency_energy(_resize(once.tiles, 256))


def test_hd_keeps_the_composition(hires_drawings: list[Drawing]) -> None:
    """It stays far nearer to the first pass than another seed's image, in colours and in composition."""
    once, hd, other = hires_drawings
    small = _resize(hd.tiles, 128)
    assert np.abs(small - once.tiles).mean() < 0.7 * distance(other, once)
    assert _correlation(small, once.tiles) > 0.6
    assert _correlation(small, once.tiles) > _correlation(other.tiles, once.tiles) + 0.2


def _correlation(one: Pixels, other: Pixels) -> float:
    """Return the correlation of two images, without the layers of sky and ground that a prompt's images share."""
    across, others = (tiles - tiles.mean(2, keepdims=True) for tiles in (one, other))
    return float(np.corrcoef(across.ravel(), others.ravel())[0, 1])


def test_hd_has_one_progress_over_both_passes_by_their_cost(hires_drawings: list[Drawing]) -> None:
    steps = [(progress.step, progress.total) for progress in hires_drawings[1].progress]
    assert steps == [(step, 20) for step in (*range(1, 9), 12, 16, 20)]


COSTS = (
    "a fox",
    "a fox --draft",
    "a fox --hd",
    "a fox --stop 50",
    "a fox --hd --stop 50",
    "a fox --cfg 1 --q 2",
    "a fox:: owl::2 --no snow --s 300 --chaos 20 --weird 20",
    "a fox --hd --tile",
    "a fox --ar 3:2",
)


@pytest.mark.parametrize("prompt", COSTS)
def test_a_job_costs_what_the_queue_estimates(harness: EngineHarness, prompt: str) -> None:
    model = replace(SMALL_EMBEDDED, native_size=64, size_multiple=16, num_inference_steps=4, unsupported=frozenset())
    wanted = replace(parse_params(prompt, ModelRegistry((model,))), count=2)
    harness.denoise(make_request("a", wanted))
    assert harness.pixels == compute_cost(wanted, harness.engine.model)


def test_a_variation_costs_what_the_queue_estimates(harness: EngineHarness) -> None:
    wanted = make_params(source=SOURCE, strength=0.5, num_inference_steps=9)
    harness.denoise(make_request("a", wanted, source=plain_png("teal")))
    assert harness.pixels == compute_cost(wanted, harness.engine.model)


def test_a_draft_costs_an_eighth(harness: EngineHarness) -> None:
    model = replace(SMALL_EMBEDDED, native_size=64, size_multiple=16)
    full, draft = (parse_params(prompt, ModelRegistry((model,))) for prompt in ("a fox", "a fox --draft"))
    harness.denoise(make_request("full", full))
    spent = harness.pixels
    harness.denoise(make_request("draft", draft))
    assert harness.pixels - spent == spent / 8


def test_the_hires_pass_is_batched_with_jobs_of_its_size(harness: EngineHarness) -> None:
    harness.engine._batcher.budget = 64 * 96 * 96
    hd = make_params(width=48, height=48, hd=True, num_inference_steps=10)
    large = make_params(width=96, height=96, num_inference_steps=30)
    harness.engine.add(make_request("large", large))
    harness.engine.add(make_request("hd", hd, order=1))
    while "hd" not in harness.latents:
        if between := harness.engine._waiting.get("hd"):
            between.inputs.result(TIMEOUT_S)  # made larger on another thread
        harness.engine.step()
    assert harness.calls.count(4) == 4
    harness.engine.cancel("large")
    harness.denoise(make_request("alone", hd))
    assert_close(harness.latents["hd"], harness.latents["alone"], 1e-5)


@pytest.mark.parametrize("sampler", ["euler_a", "heun", "pndm", "dpmpp_2m_sde", "unipc"])
def test_every_kind_of_sampler_runs_a_hires_pass_to_its_last_step(harness: EngineHarness, sampler: str) -> None:
    grid = make_params(sampler=sampler, hd=True, count=2, num_inference_steps=7)
    harness.denoise(make_request("grid", grid), make_request("alone", replace(grid, seed=grid.seed + 1, count=1)))
    assert harness.latents["grid"].shape[-2:] == (16, 16)
    assert_close(harness.latents["alone"], harness.latents["grid"][1:], 1e-5)
    last = harness.progress("grid")[-1]
    assert last.step == last.total


def test_hd_works_for_a_variation_too(harness: EngineHarness) -> None:
    wanted = make_params(source=SOURCE, strength=0.5, hd=True)
    [end] = harness.generate(make_request("a", wanted, source=plain_png("teal")))
    assert harness.latents["a"].shape[-2:] == (16, 16)
    assert not isinstance(end, Failed)


@pytest.mark.parametrize("steps_before", [2, 6, 7])
def test_a_job_of_two_passes_can_be_cancelled_in_both(harness: EngineHarness, steps_before: int) -> None:
    harness.engine.add(make_request("a", make_params(hd=True, num_inference_steps=6)))
    while len(harness.calls) < steps_before:
        harness.engine.step()
    harness.engine.cancel("a")
    assert [end.reason for end in harness.end_events("a") if isinstance(end, Failed)] == [FailureReason.CANCELLED]
    harness.run_until_idle()
    assert len(harness.calls) == steps_before
    assert len(harness.end_events("a")) == 1


def test_a_job_can_be_cancelled_between_its_passes(harness: EngineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, may_end = threading.Event(), threading.Event()
    upscale = engine_module.upscale_latents

    def slow(*given: Any) -> Any:
        begun.set()
        assert may_end.wait(TIMEOUT_S)
        return upscale(*given)

    monkeypatch.setattr(engine_module, "upscale_latents", slow)
    harness.engine.add(make_request("a", make_params(hd=True)))
    while not begun.is_set():
        harness.engine.step()
    harness.engine.cancel("a")
    may_end.set()
    assert not harness.engine.busy
    assert [end.reason for end in harness.end_events("a") if isinstance(end, Failed)] == [FailureReason.CANCELLED]
    harness.generate(make_request("next"))
    assert len(harness.end_events("a")) == 1


def test_running_out_of_memory_between_the_passes_fails_only_the_job(
    harness: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("CUDA out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(engine_module, "upscale_latents", refuse)
        large, small = harness.generate(make_request("large", make_params(hd=True)), make_request("small"))
    assert isinstance(large, Failed)
    assert large.reason is FailureReason.OUT_OF_MEMORY
    assert not isinstance(small, Failed)


@pytest.mark.parametrize("side", [8, 16, 40])
def test_the_smallest_sizes_are_generated(harness: EngineHarness, side: int) -> None:
    wanted: Params = make_params(width=side, height=side, num_inference_steps=1)
    harness.denoise(
        make_request("a", wanted),
        make_request("b", replace(wanted, seamless=True)),
        make_request("c", replace(wanted, hd=True)),
    )
    assert harness.latents["a"].shape[-1] == side // 8
    assert harness.latents["c"].shape[-1] == side // 4
