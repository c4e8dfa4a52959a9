"""What the parameters that say how long and how large do to the pictures of the embedded model, and what that costs."""

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
from tests.generation.gallery import SMALL, SOURCE, Drawing, Gallery, Pixels, detail, distance, plain, rising
from tests.generation.studio import PATIENCE, Studio, assert_close, generate, params

FOREST = "a forest --raw --steps 10"
HILLS = "a castle on the hills --raw --steps 8"
STOPS = (20, 40, 70, 100)


@pytest.fixture(scope="module")
def stopped(gallery: Gallery) -> list[Drawing]:
    return gallery.draw(*(f"{FOREST} --stop {stop}" for stop in STOPS))


def test_a_picture_that_was_stopped_earlier_is_blurrier(stopped: list[Drawing]) -> None:
    assert rising([detail(drawing.tiles) for drawing in stopped], 0.5)


def test_a_picture_that_was_stopped_is_clean_of_noise(
    gallery: Gallery, stopped: list[Drawing], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The latents as they are at that step, shown for comparison, are full of it."""
    monkeypatch.setattr("generation.engine.denoising.job.DenoisingJob.result", property(lambda run: run.latents))
    for stop, clean in zip(STOPS[:2], stopped[:2], strict=True):
        [noisy] = gallery.draw(f"{FOREST} --stop {stop}")
        assert detail(noisy.tiles) > 10 * detail(clean.tiles)


def test_a_stopped_picture_is_already_the_picture(stopped: list[Drawing]) -> None:
    assert rising([-distance(drawing, stopped[-1]) for drawing in stopped])


def test_to_stop_ends_the_steps_and_the_progress_with_them(stopped: list[Drawing]) -> None:
    told = [[(progress.step, progress.total) for progress in drawing.progress] for drawing in stopped]
    assert told == [[(step, last) for step in range(1, last + 1)] for last in (2, 4, 7, 10)]


def test_quality_is_a_share_of_the_steps(gallery: Gallery) -> None:
    for quality, steps in (("", 6), ("--q .5", 3), ("--q 2", 12)):
        [drawing] = gallery.draw(f"the sea --raw {quality}")
        assert len(drawing.calls) == steps


def test_the_same_seed_draws_the_same_picture_to_the_byte_and_another_seed_another(gallery: Gallery) -> None:
    one, again, other = (gallery.draw(f"the sea --seed {seed}")[0] for seed in (3, 3, 4))
    assert one.files == again.files
    assert distance(one, other) > 2


@pytest.fixture(scope="module")
def twice(gallery: Gallery) -> list[Drawing]:
    return gallery.draw(HILLS, f"{HILLS} --hd", f"{HILLS} --seed 8")


def _resized(tiles: Pixels, side: int) -> Pixels:
    pictures = [Image.fromarray(tile.astype(np.uint8)).resize((side, side), Image.Resampling.LANCZOS) for tile in tiles]
    return np.stack([np.asarray(picture, np.float32) for picture in pictures])


def test_hd_is_twice_as_large_and_has_more_detail_than_an_enlargement(twice: list[Drawing]) -> None:
    once, hd, _ = twice
    assert hd.tiles.shape == (1, 256, 256, 3)
    assert detail(hd.tiles) > 1.5 * detail(_resized(once.tiles, 256))


def test_hd_keeps_the_composition(twice: list[Drawing]) -> None:
    """It stays far nearer to the first pass than another seed's picture is, in colours and in what stands where."""
    once, hd, other = twice
    small = _resized(hd.tiles, 128)
    assert np.abs(small - once.tiles).mean() < 0.7 * distance(other, once)
    assert _alikeness(small, once.tiles) > 0.6
    assert _alikeness(small, once.tiles) > _alikeness(other.tiles, once.tiles) + 0.2


def _alikeness(one: Pixels, other: Pixels) -> float:
    """Give the correlation of two pictures without the layers of sky and ground that all of a prompt's share."""
    across, others = (tiles - tiles.mean(2, keepdims=True) for tiles in (one, other))
    return float(np.corrcoef(across.ravel(), others.ravel())[0, 1])


def test_hd_has_one_progress_over_both_passes_by_what_they_cost(twice: list[Drawing]) -> None:
    told = [(progress.step, progress.total) for progress in twice[1].progress]
    assert told == [(step, 20) for step in (*range(1, 9), 12, 16, 20)]


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
def test_a_job_costs_what_the_queue_reckons(studio: Studio, prompt: str) -> None:
    wanted = parse_params(prompt, ModelRegistry((replace(SMALL, native_size=64, size_multiple=16),)))
    studio.draw(generate("a", wanted))
    assert studio.pixels == compute_cost(wanted, studio.engine.model)


def test_a_variation_costs_what_the_queue_reckons(studio: Studio) -> None:
    wanted = params(source=SOURCE, strength=0.5, num_inference_steps=9)
    studio.draw(generate("a", wanted, source=plain("teal")))
    assert studio.pixels == compute_cost(wanted, studio.engine.model)


def test_a_draft_costs_an_eighth(studio: Studio) -> None:
    model = replace(SMALL, native_size=64, size_multiple=16)
    full, draft = (parse_params(prompt, ModelRegistry((model,))) for prompt in ("a fox", "a fox --draft"))
    studio.draw(generate("full", full))
    spent = studio.pixels
    studio.draw(generate("draft", draft))
    assert studio.pixels - spent == spent / 8


def test_the_second_pass_joins_others_of_its_size(studio: Studio) -> None:
    studio.engine._batcher.budget = 64 * 96 * 96
    hd = params(width=48, height=48, hd=True, num_inference_steps=10)
    large = params(width=96, height=96, num_inference_steps=900)
    studio.engine.add(generate("large", large))
    studio.engine.add(generate("hd", hd, order=1))
    while not studio.ends("hd"):
        studio.engine.step()
    assert studio.calls.count(4) == 4
    studio.engine.cancel("large")
    studio.draw(generate("alone", hd))
    assert_close(studio.latents["hd"], studio.latents["alone"], 1e-5)


@pytest.mark.parametrize("sampler", ["euler_a", "heun", "pndm", "dpmpp_2m_sde", "unipc"])
def test_every_kind_of_sampler_makes_a_second_pass_and_ends_at_its_last_step(studio: Studio, sampler: str) -> None:
    grid = params(sampler=sampler, hd=True, count=3, num_inference_steps=7)
    studio.draw(generate("grid", grid), generate("alone", replace(grid, seed=grid.seed + 2, count=1)))
    assert studio.latents["grid"].shape[-2:] == (16, 16)
    assert_close(studio.latents["alone"], studio.latents["grid"][2:], 1e-5)
    last = studio.progress("grid")[-1]
    assert last.step == last.total


def test_hd_goes_over_a_variation_too(studio: Studio) -> None:
    wanted = params(source=SOURCE, strength=0.5, hd=True)
    [end] = studio.draw(generate("a", wanted, source=plain("teal")))
    assert studio.latents["a"].shape[-2:] == (16, 16)
    assert not isinstance(end, Failed)


@pytest.mark.parametrize("steps_before", [2, 6, 7])
def test_a_job_of_two_passes_can_be_cancelled_in_both(studio: Studio, steps_before: int) -> None:
    studio.engine.add(generate("a", params(hd=True, num_inference_steps=6)))
    while len(studio.calls) < steps_before:
        studio.engine.step()
    studio.engine.cancel("a")
    assert [end.reason for end in studio.ends("a") if isinstance(end, Failed)] == [FailureReason.CANCELLED]
    studio.step_until_idle()
    assert len(studio.calls) == steps_before
    assert len(studio.ends("a")) == 1


def test_a_job_can_be_cancelled_between_its_passes(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()
    enlarge = engine_module.upscale_latents

    def slow(*given: Any) -> Any:
        begun.set()
        assert go_on.wait(PATIENCE)
        return enlarge(*given)

    monkeypatch.setattr(engine_module, "upscale_latents", slow)
    studio.engine.add(generate("a", params(hd=True)))
    while not begun.is_set():
        studio.engine.step()
    studio.engine.cancel("a")
    go_on.set()
    assert not studio.engine.busy
    assert [end.reason for end in studio.ends("a") if isinstance(end, Failed)] == [FailureReason.CANCELLED]
    studio.draw(generate("next"))
    assert len(studio.ends("a")) == 1


def test_memory_that_runs_out_between_the_passes_costs_the_job_only(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("CUDA out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(engine_module, "upscale_latents", refuse)
        large, small = studio.draw(generate("large", params(hd=True)), generate("small"))
    assert isinstance(large, Failed)
    assert large.reason is FailureReason.OUT_OF_MEMORY
    assert not isinstance(small, Failed)


@pytest.mark.parametrize("side", [8, 16, 40])
def test_the_smallest_sizes_are_drawn(studio: Studio, side: int) -> None:
    wanted: Params = params(width=side, height=side, num_inference_steps=1)
    studio.draw(
        generate("a", wanted), generate("b", replace(wanted, seamless=True)), generate("c", replace(wanted, hd=True))
    )
    assert studio.latents["a"].shape[-1] == side // 8
    assert studio.latents["c"].shape[-1] == side // 4
