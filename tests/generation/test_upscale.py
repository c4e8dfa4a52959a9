"""Upscales go over a picture window by window: no window shows, and no call needs more memory than an ordinary one."""

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
from tests.generation.gallery import Gallery
from tests.generation.studio import Studio, assert_close, generate, params
from tests.generation.test_frames import drawing, encoded, pixels

TILE = Tile("0" * 12, 0)
SOURCE = Upload("0" * 64)


def drawn(studio: Studio, wanted: Params, source: bytes | None = None, **request: Any) -> bytes:
    job_id = f"upscale-{len(studio.events)}"
    end = studio.draw(generate(job_id, wanted, source=source, **request))[0]
    assert isinstance(end, Finished)
    return end.grid.tiles[0]


@contextmanager
def seen_by(module: Any) -> Iterator[list[tuple[int, ...]]]:
    """Collect the shapes of what a network is given."""
    shapes: list[tuple[int, ...]] = []
    hook = module.register_forward_pre_hook(lambda _, inputs: shapes.append(tuple(inputs[0].shape)))
    yield shapes
    hook.remove()


@pytest.mark.parametrize(("width", "height", "factor"), [(64, 64, 2), (64, 64, 4), (96, 48, 4), (32, 96, 4)])
def test_no_call_sees_more_than_it_does_of_an_ordinary_picture(
    studio: Studio, pipeline: Pipeline, width: int, height: int, factor: int
) -> None:
    wanted = actions.upscale(params(width=width, height=height), TILE, factor, actions.UPSCALE_CREATIVE)
    with (
        seen_by(pipeline.unet) as by_unet,
        seen_by(pipeline.vae.encoder) as by_encoder,
        seen_by(pipeline.vae.decoder) as by_decoder,
    ):
        result = pixels(drawn(studio, wanted, encoded(drawing(width, height))))
    assert result.shape == (factor * height, factor * width, 3)
    most = MAX_SINGLE_WINDOW_AREA * (64 // 8) ** 2
    assert max(rows * high * wide for rows, _, high, wide in by_unet) <= studio.engine._batcher.budget / 8**2
    assert max(high * wide for _, _, high, wide in by_unet) <= most
    assert max(rows * high * wide for rows, _, high, wide in by_decoder) <= most
    assert max(rows * high * wide for rows, _, high, wide in by_encoder) <= most * 8**2


@pytest.mark.parametrize(("width", "height", "factor"), [(64, 64, 2), (64, 64, 4), (96, 48, 2)])
def test_an_upscale_costs_what_the_queue_reckons(studio: Studio, width: int, height: int, factor: int) -> None:
    wanted = actions.upscale(params(width=width, height=height, num_inference_steps=4), TILE, factor, 0.5)
    drawn(studio, wanted, encoded(drawing(width, height)))
    assert studio.pixels == compute_cost(wanted, studio.engine.model)
    assert studio.pixels > 1.4 * compute_cost(wanted, None)


def test_an_upscaled_seamless_picture_costs_what_the_queue_reckons(studio: Studio) -> None:
    wanted = actions.upscale(params(num_inference_steps=4, seamless=True), TILE, 2, 0.5)
    drawn(studio, wanted, encoded(drawing()))
    assert studio.pixels == compute_cost(wanted, studio.engine.model)


def test_an_upscale_shares_its_calls_with_the_jobs_of_others(studio: Studio) -> None:
    studio.engine._batcher.budget = 20 * 64 * 64
    large = actions.upscale(params(), TILE)
    request = {"source": encoded(drawing())}
    studio.engine.add(generate("large", large, **request))
    studio.engine._waiting["large"].inputs.result(20)  # which is made ready on another thread
    studio.draw(generate("plain", params()))
    assert max(studio.calls) == 18 + 2, "nine windows and one tile, with two texts each"
    studio.draw(generate("alone", large, **request))
    assert_close(studio.latents["large"], studio.latents["alone"], 1e-5)


def test_nobody_waits_while_a_large_picture_is_made_ready(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    encode, released = studio.engine._vae.encode, threading.Event()

    def slow_encode(pixels: torch.Tensor) -> Any:
        assert released.wait(20)
        return encode(pixels)

    monkeypatch.setattr(studio.engine._vae, "encode", slow_encode)
    large = actions.upscale(params(), TILE, 4)
    studio.engine.add(generate("large", large, source=encoded(drawing())))
    studio.engine.add(generate("plain"))
    while not studio.progress("plain")[-1:] or studio.progress("plain")[-1].step < 6:
        studio.engine.step()
    assert not studio.progress("large")
    released.set()
    studio.step_until_idle()
    assert isinstance(studio.end_of("large"), Finished)


@pytest.mark.parametrize("side", [60, 20, 4])
def test_a_source_at_a_size_that_cannot_be_drawn_is_a_complaint(studio: Studio, side: int) -> None:
    wanted = params(width=side, source=SOURCE, strength=0.5)
    end = studio.draw(generate("a", wanted, source=encoded(drawing())))[0]
    assert isinstance(end, Failed)
    assert end.reason is FailureReason.USER_ERROR


def lines(picture: NDArray[np.int_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the mean step from each row to the next, and from each column to the next."""
    down, right = (np.abs(np.diff(picture, axis=axis)).mean((1 - axis, 2)) for axis in (0, 1))
    return down, right


def test_an_upscale_shows_the_same_picture_and_no_borders(gallery: Gallery) -> None:
    studio = gallery.studio
    model = studio.engine.model
    # Of this seed the horizon lies elsewhere than where windows meet; of some it is in the very middle.
    own = params("the sea at sunset", width=256, height=256, seed=5, guidance_scale=model.guidance_scale)
    first = drawn(studio, own)
    large = pixels(drawn(studio, actions.upscale(own, TILE, 2, actions.UPSCALE_CREATIVE), first))
    for steps in lines(large):
        borders = [steps[place - 2 : place + 2].max() for place in (128, 256, 384)]
        assert max(borders) < 1.2 * np.percentile(steps, 97)
    small = pixels(Image.fromarray(large.astype(np.uint8)).resize((32, 32), Image.Resampling.BOX))
    before = pixels(Image.open(io.BytesIO(first)).resize((32, 32), Image.Resampling.BOX))
    assert np.abs(small - before).mean() < 8, "from afar it is the picture that was there"
    assert np.abs(large - pixels(Image.open(io.BytesIO(first)).resize((512, 512)))).mean() > 1


def test_a_picture_that_finds_no_memory_as_a_whole_is_decoded_in_small_windows(
    studio: Studio, pipeline: Pipeline
) -> None:
    def refuse_large(_: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        if inputs[0].shape[-1] > 8:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    hook = pipeline.vae.decoder.register_forward_pre_hook(refuse_large)
    try:
        result = drawn(studio, params(width=96, height=96))
    finally:
        hook.remove()
    assert Image.open(io.BytesIO(result)).size == (96, 96)


def thumbnail(picture: bytes) -> NDArray[np.int_]:
    return pixels(Image.open(io.BytesIO(picture)).resize((8, 8), Image.Resampling.BOX))


def test_a_blend_lies_between_its_pictures(gallery: Gallery) -> None:
    studio = gallery.studio
    model = replace(studio.engine.model, num_inference_steps=6)
    sunset, sea = Image.new("RGB", (192, 192), "orange"), Image.new("RGB", (192, 192), "steelblue")
    sunset.paste("saddlebrown", (0, 120, 192, 192))
    sea.paste("navy", (0, 120, 192, 192))
    pair = [encoded(sunset), encoded(sea)]
    wanted = replace(actions.blend([SOURCE, SOURCE], model, (1, 1), 4), width=192, height=192, count=1)
    blended = thumbnail(drawn(studio, wanted, pair[0], blended=(pair[1],)))
    ends = [thumbnail(picture) for picture in pair]
    apart = np.abs(ends[0] - ends[1]).mean()
    near = [np.abs(blended - end).mean() for end in ends]
    assert max(near) < 0.85 * apart, "nearer to each than they are to each other"
    assert abs(near[0] - near[1]) < 0.5 * apart, "and not one of them alone"
    again = thumbnail(drawn(studio, replace(wanted, blended=()), pair[0]))
    assert np.abs(again - ends[1]).mean() > 1.3 * near[1], "which without the second picture would be far from it"


def test_blended_pictures_keep_their_contrast() -> None:
    from generation.engine.denoising.job import blend_latents

    generator = torch.Generator().manual_seed(1)
    pictures = [torch.randn(1, 4, 16, 16, generator=generator) * 2 + shift for shift in (-1, 0, 4)]
    assert torch.allclose(blend_latents(pictures).std((-2, -1)), torch.full((1, 4), 2.0), atol=0.3)
    assert torch.allclose(blend_latents(pictures).mean((-2, -1)), torch.full((1, 4), 1.0), atol=0.3)
    assert blend_latents(pictures[:1]) is pictures[0]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU, and torch built for it")
def test_four_times_the_size_needs_hardly_more_memory_than_twice() -> None:
    studio = Studio(load_pipeline(EMBEDDED, "cuda", lambda _: None))
    own = params("the sea at sunset", width=256, height=256)
    first, peaks = drawn(studio, own), []
    for factor in (2, 4):
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        drawn(studio, actions.upscale(own, TILE, factor, actions.UPSCALE_CREATIVE), first)
        peaks.append(torch.cuda.max_memory_allocated() - before)
    studio.close()
    print(f"peaks in MB: {[round(peak / 2**20) for peak in peaks]}")
    assert peaks[1] < 1.3 * peaks[0]
