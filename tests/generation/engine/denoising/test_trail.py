"""The trail of a video: kept steps, and their decoding, which changes and delays nothing else."""

from __future__ import annotations

import io
import time
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from generation.engine.images.io import to_images
from generation.engine.networks.vae import Vae
from generation.engine.output import trail as trail_module
from generation.engine.output.files import encode_video_sheet
from generation.engine.output.trail import MAX_FRAMES, Trail, pack_trail, unpack_trail
from generation.files.grid_image import make_grid
from generation.messages import Failed, FailureReason, Finished, Grid, Progress
from generation.models.capabilities import Capability
from generation.models.catalogue import Family
from generation.models.model import EMBEDDED, describe_model
from generation.models.registry import ModelRegistry
from generation.params import Params
from generation.prompt import PromptError, parse_params
from tests.support.embedded_model import EmbeddedModelHarness, small_params
from tests.support.engine_harness import EngineHarness, make_params, make_request


def drawn(harness: EngineHarness, params: Params, job_id: str = "a") -> Grid:
    (end,) = harness.generate(make_request(job_id, params))
    assert isinstance(end, Finished)
    return end.grid


def developed(harness: EngineHarness, params: Params, trail: bytes, job_id: str = "b") -> Grid:
    harness.engine.add(make_request(job_id, params, trail=trail))
    end = harness.wait_for_end(job_id)
    assert isinstance(end, Finished)
    return end.grid


def pixels_of(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"), np.float32)


def test_the_grid_is_the_same_with_and_without_a_video(harness: EngineHarness) -> None:
    params = make_params(count=4)
    plain, latents = drawn(harness, params), harness.latents["a"]
    harness.events.clear()  # a tile names its job, so that both have one name
    filmed = drawn(harness, replace(params, video=True))
    assert plain.tiles == filmed.tiles
    assert plain.image == filmed.image
    assert torch.equal(latents, harness.latents["a"])
    assert not plain.trail


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"num_inference_steps": 6}, 5),
        ({"num_inference_steps": 40}, MAX_FRAMES - 2),
        ({"num_inference_steps": 10, "stop": 50}, 4),
        ({"num_inference_steps": 1}, 0),
        ({"num_inference_steps": 4, "hd": True}, 4),
    ],
)
def test_a_trail_holds_the_steps_before_the_last(harness: EngineHarness, changes: dict[str, int], kept: int) -> None:
    grid = drawn(harness, make_params(count=2, video=True, **changes))
    assert len(unpack_trail(grid.trail) if grid.trail else []) == kept


def test_a_trail_holds_what_each_step_predicted(harness: EngineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    params = make_params(count=2, video=True, num_inference_steps=4)
    stopped = [
        drawn(harness, replace(params, video=False, stop=stop), f"s{stop}") and harness.latents[f"s{stop}"]
        for stop in (25, 50, 75)
    ]
    trail = unpack_trail(drawn(harness, params).trail)
    for kept, latents in zip(trail, stopped, strict=True):
        assert torch.allclose(kept.float(), latents, atol=2e-3 * float(latents.abs().max()))


def test_the_sheets_of_a_trail_come_from_the_real_decoder(harness: EngineHarness) -> None:
    params = make_params(count=4, video=True, num_inference_steps=4)
    trail = drawn(harness, params).trail
    grid = developed(harness, params, trail)
    latents = unpack_trail(trail)
    assert len(grid.tiles) == len(latents) == 3
    vae = harness.engine._vae
    for file, kept in zip(grid.tiles, latents, strict=True):
        tiles = [image for tile in kept.float().split(1) for image in to_images(vae.decode(tile))]
        expected = np.asarray(make_grid(tiles), np.float32)
        seen, encoded = (pixels_of(each) for each in (file, encode_video_sheet(tiles, params)))
        assert seen.shape == expected.shape
        assert np.abs(seen - expected).mean() < 3, "JPEG loses little"
        assert np.abs(seen - encoded).mean() < 0.1, "nothing else is lost"
    progress = [event for event in harness.events if isinstance(event, Progress) and event.job_id == "b"]
    assert [event.step for event in progress] == [1, 2, 3]


def test_the_sheets_of_an_hd_grid_are_all_as_large_as_its_film(harness: EngineHarness) -> None:
    params = make_params(count=4, video=True, hd=True)
    sheets = developed(harness, params, drawn(harness, params).trail).tiles
    assert {Image.open(io.BytesIO(sheet)).size for sheet in sheets} == {(256, 256)}


def test_a_trail_takes_a_bounded_amount_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail_module, "MAX_BYTES", 10 * 4 * 64 * 64 * 2)
    trail = Trail(4 * 64 * 64 * 2)
    for step in range(1, 101):
        if trail.wants(step, 100):
            trail.add(torch.ones(1, 4, 64, 64))
    assert len(pack_trail(trail.latents)) < trail_module.MAX_BYTES + 10_000
    assert len(trail.latents) == 10


def test_a_grid_is_finished_before_a_trail_that_came_first(harness: EngineHarness) -> None:
    params = make_params(count=4, video=True, num_inference_steps=20)
    trail = drawn(harness, params).trail
    harness.engine.add(make_request("b", params, trail=trail))
    drawn(harness, make_params(num_inference_steps=1), "c")
    harness.wait_for_end("b")
    ends = [event.job_id for event in harness.events if isinstance(event, Finished)]
    assert ends == ["a", "c", "b"]


def test_a_trail_is_cancelled_within_a_tile(harness: EngineHarness) -> None:
    params = make_params(count=4, video=True, num_inference_steps=20)
    trail = drawn(harness, params).trail
    harness.engine.add(make_request("b", params, trail=trail))
    harness.engine.cancel("b")
    end = harness.wait_for_end("b")
    assert isinstance(end, Failed)
    assert end.reason is FailureReason.CANCELLED
    assert drawn(harness, params, "d").trail == trail, "nothing else is disturbed"


def test_the_neighbours_of_a_video_are_the_same(harness: EngineHarness) -> None:
    plain = drawn(harness, make_params("an owl"), "b")
    harness.events.clear()
    ends = harness.generate(
        make_request("b", make_params("an owl")), make_request("c", make_params(video=True), order=1)
    )
    assert isinstance(ends[0], Finished)
    assert ends[0].grid.tiles == plain.tiles
    assert max(harness.calls) > 2, "both are in one call"


def test_a_family_without_the_one_loop_refuses_a_video_in_words() -> None:
    model = replace(describe_model(EMBEDDED), family=Family.FLUX)
    assert Capability.VIDEO not in model.capabilities
    with pytest.raises(PromptError, match="film how a picture appears"):
        parse_params("a fox --video", ModelRegistry((model,)))


class OperationCount(TorchDispatchMode):
    """Counts the operations of torch on the thread that enters it."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **kwargs or {})


def test_a_video_hardly_delays_the_grid(embedded_model: EmbeddedModelHarness) -> None:
    """Processor time of all threads until the grid is finished."""
    params = small_params("a castle on the hills --raw", count=2)

    def seconds(video: bool) -> float:
        started = time.process_time()
        (drawing,) = embedded_model.generate_params(replace(params, video=video))
        assert drawing.files
        return time.process_time() - started

    seconds(True)
    assert min(seconds(True) for _ in range(2)) < 1.25 * max(seconds(False) for _ in range(2))


def test_a_video_adds_no_work_to_the_steps(embedded_model: EmbeddedModelHarness) -> None:
    """The steps take as many operations and calls, but for those that keep their results."""
    params = small_params("a castle on the hills --raw")
    harness, decode = embedded_model.harness, Vae.queue_decoding

    def work(video: bool) -> tuple[int, list[int], int]:
        before, decoded = len(harness.calls), list[Tensor]()

        def recorded(vae: Vae, latents: Tensor, **more: Any) -> Any:
            decoded.append(latents)
            return decode(vae, latents, **more)

        with OperationCount() as operations, patch.object(Vae, "queue_decoding", recorded):
            (drawing,) = embedded_model.generate_params(replace(params, video=video))
        assert drawing.files
        return operations.count, harness.calls[before:], len(decoded)

    work(True)
    with_video, plain = work(True), work(False)
    assert with_video[1:] == plain[1:]
    assert plain[0] > 1000
    assert with_video[0] < 1.05 * plain[0]
