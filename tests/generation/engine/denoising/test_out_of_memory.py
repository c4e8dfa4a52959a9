"""Running out of memory, wherever it happens, fails one job at most, and reduces speed only for a while."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from generation.engine.denoising import batching
from generation.engine.denoising.job import DenoisingJob
from generation.engine.networks.pipeline_loader import Pipeline
from generation.engine.networks.vae import Vae
from generation.messages import Failed, FailureReason, Finished
from tests.support.engine_harness import EngineHarness, assert_close, limit_unet_rows, make_params, make_request

OOM_ERROR = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def _raise_oom(*_: Any, **__: Any) -> Any:
    raise OOM_ERROR


def _assert_still_generates(harness: EngineHarness) -> None:
    assert isinstance(harness.generate(make_request("afterwards", make_params(num_inference_steps=1)))[0], Finished)


@pytest.fixture
def eager_batching_harness(monkeypatch: pytest.MonkeyPatch, pipeline: Pipeline) -> Any:
    """Return an engine that tries more rows again after two successful calls, then four, then eight."""
    monkeypatch.setattr(batching, "GROWTH_THRESHOLD", 1)
    harness = EngineHarness(pipeline)
    yield harness
    harness.close()


def test_calls_grow_again_gradually_once_memory_is_free(
    eager_batching_harness: EngineHarness, pipeline: Pipeline
) -> None:
    hook = limit_unet_rows(pipeline, rows=3)
    eager_batching_harness.engine.add(make_request("a", make_params(count=4, num_inference_steps=6)))
    for _ in range(3):
        eager_batching_harness.engine.step()
    hook.remove()
    eager_batching_harness.run_until_idle()
    assert eager_batching_harness.calls == [8, 4, 2, 2, 2, 2, *[4] * 4, *[8] * 3]
    assert isinstance(eager_batching_harness.wait_for_end("a"), Finished)


def test_growing_too_early_doubles_the_next_wait(eager_batching_harness: EngineHarness, pipeline: Pipeline) -> None:
    hook = limit_unet_rows(pipeline, rows=2)
    eager_batching_harness.denoise(make_request("a", make_params(count=2, num_inference_steps=20)))
    hook.remove()
    tried = [place for place, rows in enumerate(eager_batching_harness.calls) if rows > 2]
    assert [later - earlier - 1 for earlier, later in itertools.pairwise(tried)] == [2, 4, 8, 16]


def test_the_budget_never_exceeds_its_initial_value(eager_batching_harness: EngineHarness) -> None:
    batcher = eager_batching_harness.engine._batcher
    initial = batcher.budget
    for _ in range(1000):
        batcher.record_success()
    assert batcher.budget == initial


@pytest.mark.parametrize("part", ["add_prediction", "next_rows", "predict_original_sample"])
def test_running_out_of_memory_between_calls_fails_one_job(
    harness: EngineHarness, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setattr("generation.engine.denoising.engine.PREVIEW_INTERVAL_S", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(DenoisingJob, part, _raise_oom)
        end = harness.generate(make_request("a"))[0]
    assert isinstance(end, Failed)
    assert end.reason is FailureReason.OUT_OF_MEMORY
    _assert_still_generates(harness)


def test_a_preview_without_memory_is_left_out(harness: EngineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generation.engine.denoising.engine.PREVIEW_INTERVAL_S", 0.0)
    monkeypatch.setattr(harness.engine._post_processor._previewer, "colours", _raise_oom)
    assert isinstance(harness.generate(make_request("a"))[0], Finished)
    assert not harness.previews()


def _limit_vae_rows(vae: Vae, monkeypatch: pytest.MonkeyPatch, part: str, most: int) -> list[tuple[int, bool]]:
    """Make the network run out of memory for more than `most` lines; record the lines and whether the UNet waited."""
    asked: list[tuple[int, bool]] = []
    work = getattr(vae._vae, part)

    def limited(given: Tensor, **more: Any) -> Any:
        asked.append((given.shape[-1], unet_lock.locked()))
        if given.shape[-1] > most:
            raise OOM_ERROR
        return work(given, **more)

    monkeypatch.setattr(vae._vae, part, limited)
    return asked


unet_lock = threading.Lock()


@pytest.mark.parametrize(
    ("most", "asked"), [(8, [(8, False)]), (4, [(8, False), (8, True)]), (2, [(8, False), (8, True)])]
)
@pytest.mark.parametrize("part", ["decode", "encode"])
def test_the_vae_locks_the_unet_and_then_uses_smaller_windows(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, part: str, most: int, asked: list[tuple[int, bool]]
) -> None:
    vae = Vae(pipeline)
    scale, given = (1, torch.randn(1, 4, 8, 8)) if part == "decode" else (8, torch.rand(1, 3, 64, 64) * 2 - 1)
    process: Callable[..., Any] = getattr(vae, f"{part}_low_memory")
    whole = process(unet_lock, given)
    seen = _limit_vae_rows(vae, monkeypatch, part, most * scale)
    done = process(unet_lock, given)
    assert [(lines // scale, waited) for lines, waited in seen][: len(asked)] == asked
    assert seen[-1][0] <= most * scale
    assert not unet_lock.locked()
    for mine, theirs in zip(done, whole, strict=True):
        assert mine.shape == theirs.shape
        if most == 8:
            assert_close(mine, theirs)


def test_a_vae_that_never_has_enough_memory_raises_and_unlocks(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    vae = Vae(pipeline)
    seen = _limit_vae_rows(vae, monkeypatch, "decode", 0)
    with pytest.raises(torch.OutOfMemoryError):
        vae.decode_low_memory(unet_lock, torch.randn(1, 4, 8, 8))
    assert [lines for lines, _ in seen] == [8, 8, 4, 2]
    assert not unet_lock.locked()


def test_an_idle_model_is_evicted_before_calls_become_smaller(harness: EngineHarness, pipeline: Pipeline) -> None:
    hook = limit_unet_rows(pipeline, 4)
    evicted = []

    def evict_idle_model() -> bool:
        hook.remove()
        evicted.append("another")
        return True

    harness.engine._evict_idle_model = evict_idle_model
    assert isinstance(harness.generate(make_request("a", make_params(count=4)))[0], Finished)
    assert evicted == ["another"]
    assert set(harness.calls) == {8}
