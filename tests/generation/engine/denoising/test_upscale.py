"""Upscales process an image window by window: no seam shows, and no call needs more memory than an ordinary one."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from generation.engine.networks.pipeline_loader import Pipeline, load_pipeline
from generation.messages import Failed, FailureReason, Finished
from generation.models.model import EMBEDDED
from generation.params import Params, Tile, Upload
from generation.planning import actions
from generation.planning.compute_cost import compute_cost
from generation.planning.tiling import MAX_SINGLE_WINDOW_AREA
from tests.generation.engine.images.test_outpainting import sample_image, to_pixels, to_png_bytes
from tests.support.embedded_model import EmbeddedModelHarness
from tests.support.engine_harness import EngineHarness, assert_close, make_params, make_request
from tests.support.timing import TIMEOUT_S

TILE = Tile("0" * 12, 0)
SOURCE = Upload("0" * 64)


def generate_tile(harness: EngineHarness, wanted: Params, source: bytes | None = None, **request: Any) -> bytes:
    job_id = f"upscale-{len(harness.events)}"
    end = harness.generate(make_request(job_id, wanted, source=source, **request))[0]
    assert isinstance(end, Finished)
    return end.grid.tiles[0]


@contextmanager
def record_input_shapes(module: Any) -> Iterator[list[tuple[int, ...]]]:
    """Record the shapes of a network's inputs."""
    shapes: list[tuple[int, ...]] = []
    hook = module.register_forward_pre_hook(lambda _, inputs: shapes.append(tuple(inputs[0].shape)))
    yield shapes
    hook.remove()


@pytest.mark.parametrize(("width", "height", "factor"), [(64, 64, 2), (64, 64, 4), (96, 48, 4), (32, 96, 4)])
def test_no_call_is_larger_than_for_an_ordinary_image(
    harness: EngineHarness, pipeline: Pipeline, width: int, height: int, factor: int
) -> None:
    wanted = actions.upscale(make_params(width=width, height=height), TILE, factor, actions.UPSCALE_CREATIVE)
    with (
        record_input_shapes(pipeline.unet) as by_unet,
        record_input_shapes(pipeline.vae.encoder) as by_encoder,
        record_input_shapes(pipeline.vae.decoder) as by_decoder,
    ):
        result = to_pixels(generate_tile(harness, wanted, to_png_bytes(sample_image(width, height))))
    assert result.shape == (factor * height, factor * width, 3)
    most = MAX_SINGLE_WINDOW_AREA * (64 // 8) ** 2
    assert max(rows * high * wide for rows, _, high, wide in by_unet) <= harness.engine._batcher.budget / 8**2
    assert max(high * wide for _, _, high, wide in by_unet) <= most
    assert max(rows * high * wide for rows, _, high, wide in by_decoder) <= most
    assert max(rows * high * wide for rows, _, high, wide in by_encoder) <= most * 8**2


@pytest.mark.parametrize(("width", "height", "factor"), [(64, 64, 2), (64, 64, 4), (96, 48, 2)])
def test_an_upscale_costs_what_the_queue_estimates(
    harness: EngineHarness, width: int, height: int, factor: int
) -> None:
    wanted = actions.upscale(make_params(width=width, height=height, num_inference_steps=4), TILE, factor, 0.5)
    generate_tile(harness, wanted, to_png_bytes(sample_image(width, height)))
    assert harness.pixels == compute_cost(wanted, harness.engine.model)
    assert harness.pixels > 1.4 * compute_cost(wanted, None)


def test_an_upscaled_seamless_image_costs_what_the_queue_estimates(harness: EngineHarness) -> None:
    wanted = actions.upscale(make_params(num_inference_steps=4, seamless=True), TILE, 2, 0.5)
    generate_tile(harness, wanted, to_png_bytes(sample_image()))
    assert harness.pixels == compute_cost(wanted, harness.engine.model)


def test_an_upscale_shares_its_calls_with_other_jobs(harness: EngineHarness) -> None:
    harness.engine._batcher.budget = 20 * 64 * 64
    large = actions.upscale(make_params(), TILE)
    request = {"source": to_png_bytes(sample_image())}
    harness.denoise(make_request("large", large, **request), make_request("plain", make_params()))
    assert max(harness.calls) == 18 + 2, "nine windows and one tile, with two texts each"
    harness.denoise(make_request("alone", large, **request))
    assert_close(harness.latents["large"], harness.latents["alone"], 1e-5)


def test_no_job_waits_while_a_large_source_is_prepared(harness: EngineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    encode, released = harness.engine._vae.encode, threading.Event()

    def slow_encode(pixels: torch.Tensor) -> Any:
        assert released.wait(TIMEOUT_S)
        return encode(pixels)

    monkeypatch.setattr(harness.engine._vae, "encode", slow_encode)
    large = actions.upscale(make_params(), TILE, 4)
    harness.engine.add(make_request("large", large, source=to_png_bytes(sample_image())))
    harness.engine.add(make_request("plain"))
    while not harness.progress("plain")[-1:] or harness.progress("plain")[-1].step < 2:
        harness.engine.step()
    assert not harness.progress("large")
    released.set()
    harness.run_until_idle()
    assert isinstance(harness.wait_for_end("large"), Finished)


@pytest.mark.parametrize("side", [60, 20, 4])
def test_a_source_at_an_impossible_size_is_a_user_error(harness: EngineHarness, side: int) -> None:
    wanted = make_params(width=side, source=SOURCE, strength=0.5)
    end = harness.generate(make_request("a", wanted, source=to_png_bytes(sample_image())))[0]
    assert isinstance(end, Failed)
    assert end.reason is FailureReason.USER_ERROR


def row_and_column_steps(image: NDArray[np.int_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean step from each row to the next, and from each column to the next."""
    down, right = (np.abs(np.diff(image, axis=axis)).mean((1 - axis, 2)) for axis in (0, 1))
    return down, right


def test_an_upscale_shows_the_same_image_and_no_seams(embedded_model: EmbeddedModelHarness) -> None:
    harness = embedded_model.harness
    model = harness.engine.model
    # With this seed the horizon is not where windows meet; with some seeds it is in the very middle.
    own = make_params(
        "the sea at sunset", width=256, height=256, seed=5, num_inference_steps=4, guidance_scale=model.guidance_scale
    )
    first = generate_tile(harness, own)
    large = to_pixels(generate_tile(harness, actions.upscale(own, TILE, 2, actions.UPSCALE_CREATIVE), first))
    for steps in row_and_column_steps(large):
        seams = [steps[place - 2 : place + 2].max() for place in (128, 256, 384)]
        assert max(seams) < 1.2 * np.percentile(steps, 97)
    small = to_pixels(Image.fromarray(large.astype(np.uint8)).resize((32, 32), Image.Resampling.BOX))
    before = to_pixels(Image.open(io.BytesIO(first)).resize((32, 32), Image.Resampling.BOX))
    assert np.abs(small - before).mean() < 8, "from afar it is the same image"
    assert np.abs(large - to_pixels(Image.open(io.BytesIO(first)).resize((512, 512)))).mean() > 1


def test_an_image_too_large_for_memory_is_decoded_in_small_windows(harness: EngineHarness, pipeline: Pipeline) -> None:
    def refuse_large(_: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        if inputs[0].shape[-1] > 8:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    hook = pipeline.vae.decoder.register_forward_pre_hook(refuse_large)
    try:
        result = generate_tile(harness, make_params(width=96, height=96))
    finally:
        hook.remove()
    assert Image.open(io.BytesIO(result)).size == (96, 96)


def thumbnail(image: bytes) -> NDArray[np.int_]:
    return to_pixels(Image.open(io.BytesIO(image)).resize((8, 8), Image.Resampling.BOX))


def test_a_blend_lies_between_its_images(embedded_model: EmbeddedModelHarness) -> None:
    harness = embedded_model.harness
    model = replace(harness.engine.model, num_inference_steps=6)
    sunset, sea = Image.new("RGB", (192, 192), "orange"), Image.new("RGB", (192, 192), "steelblue")
    sunset.paste("saddlebrown", (0, 120, 192, 192))
    sea.paste("navy", (0, 120, 192, 192))
    pair = [to_png_bytes(sunset), to_png_bytes(sea)]
    wanted = replace(actions.blend([SOURCE, SOURCE], model, (1, 1), 4), width=192, height=192, count=1)
    blended = thumbnail(generate_tile(harness, wanted, pair[0], blended=(pair[1],)))
    ends = [thumbnail(image) for image in pair]
    apart = np.abs(ends[0] - ends[1]).mean()
    near = [np.abs(blended - end).mean() for end in ends]
    assert max(near) < 0.85 * apart, "nearer to each than they are to each other"
    assert abs(near[0] - near[1]) < 0.5 * apart, "and not one of them alone"
    again = thumbnail(generate_tile(harness, replace(wanted, blended=()), pair[0]))
    assert np.abs(again - ends[1]).mean() > 1.3 * near[1], "without the second image it would be far from it"


def test_blended_images_keep_their_contrast() -> None:
    from generation.engine.denoising.job_setup import blend_latents

    generator = torch.Generator().manual_seed(1)
    images = [torch.randn(1, 4, 16, 16, generator=generator) * 2 + shift for shift in (-1, 0, 4)]
    assert torch.allclose(blend_latents(images).std((-2, -1)), torch.full((1, 4), 2.0), atol=0.3)
    assert torch.allclose(blend_latents(images).mean((-2, -1)), torch.full((1, 4), 1.0), atol=0.3)
    assert blend_latents(images[:1]) is images[0]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU, and torch built for it")
def test_four_times_the_size_needs_hardly_more_memory_than_twice() -> None:
    harness = EngineHarness(load_pipeline(EMBEDDED, "cuda", lambda _: None))
    own = make_params("the sea at sunset", width=256, height=256, num_inference_steps=4)
    first, peaks = generate_tile(harness, own), []
    for factor in (2, 4):
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        generate_tile(harness, actions.upscale(own, TILE, factor, actions.UPSCALE_CREATIVE), first)
        peaks.append(torch.cuda.max_memory_allocated() - before)
    harness.close()
    print(f"peaks in MB: {[round(peak / 2**20) for peak in peaks]}")
    assert peaks[1] < 1.3 * peaks[0]
