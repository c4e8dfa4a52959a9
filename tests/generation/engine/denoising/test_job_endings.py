"""Every job ends exactly once: finished, cancelled or failed; and the engine goes on."""

from __future__ import annotations

import io
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from PIL import Image

from generation.engine.denoising.post_processor import PostProcessor
from generation.engine.networks.pipeline_loader import Pipeline
from generation.messages import Failed, FailureReason, Finished
from generation.params import PromptPart, Upload
from tests.support.engine_harness import EngineHarness, limit_unet_rows, make_params, make_request
from tests.support.timing import TIMEOUT_S

SOURCE = Upload("0" * 64)


def _image_bytes() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (80, 60), "teal").save(file, "PNG")
    return file.getvalue()


def _assert_failed(harness: EngineHarness, job_id: str, reason: FailureReason) -> str:
    end = harness.wait_for_end(job_id)
    assert isinstance(end, Failed)
    assert end.reason is reason
    assert len(harness.end_events(job_id)) == 1
    return end.text


def _assert_still_generates(harness: EngineHarness) -> None:
    assert isinstance(harness.generate(make_request("afterwards", make_params(num_inference_steps=1)))[0], Finished)


def _before_first_step(harness: EngineHarness) -> None:
    pass


def _after_a_step(harness: EngineHarness) -> None:
    harness.engine.step()


@pytest.mark.parametrize("moment", [_before_first_step, _after_a_step])
@pytest.mark.parametrize("source", [None, _image_bytes()])
def test_a_cancelled_job_makes_no_more_steps(
    harness: EngineHarness, moment: Callable[[EngineHarness], None], source: bytes | None
) -> None:
    wanted = make_params(source=SOURCE if source else None)
    harness.engine.add(make_request("a", wanted, **({"source": source} if source else {})))
    moment(harness)
    calls = len(harness.calls)
    harness.engine.cancel("a")
    assert not harness.engine.busy
    assert len(harness.calls) == calls
    _assert_failed(harness, "a", FailureReason.CANCELLED)
    _assert_still_generates(harness)


def test_cancelling_one_job_leaves_the_others_alone(harness: EngineHarness) -> None:
    harness.engine.add(make_request("a"))
    harness.engine.add(make_request("b"))
    harness.engine.step()
    harness.engine.cancel("a")
    harness.run_until_idle()
    assert isinstance(harness.wait_for_end("b"), Finished)
    _assert_failed(harness, "a", FailureReason.CANCELLED)


def test_a_job_can_be_cancelled_while_it_is_decoded(harness: EngineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    decoding, cancelled, tiles = threading.Event(), threading.Event(), []
    decode = harness.engine._vae.queue_decoding

    def slow_decode(latents: Any) -> Any:
        tiles.append(len(latents))
        decoding.set()
        assert cancelled.wait(TIMEOUT_S)
        return decode(latents)

    monkeypatch.setattr(harness.engine._vae, "queue_decoding", slow_decode)
    harness.engine.add(make_request("a", make_params(count=4)))
    harness.run_until_idle()
    assert decoding.wait(TIMEOUT_S)
    harness.engine.cancel("a")
    cancelled.set()
    _assert_failed(harness, "a", FailureReason.CANCELLED)
    assert sum(tiles) < 4
    _assert_still_generates(harness)


@pytest.mark.parametrize("job_id", ["unknown", "done"])
def test_cancelling_an_unknown_or_finished_job_is_harmless(harness: EngineHarness, job_id: str) -> None:
    harness.generate(make_request("done"))
    harness.engine.cancel(job_id)
    harness.engine.cancel(job_id)
    assert len(harness.end_events("done")) == 1
    assert not harness.end_events("unknown")
    _assert_still_generates(harness)


def test_a_job_that_is_cancelled_twice_ends_once(harness: EngineHarness) -> None:
    harness.engine.add(make_request("a"))
    harness.engine.cancel("a")
    harness.engine.cancel("a")
    _assert_failed(harness, "a", FailureReason.CANCELLED)


def test_too_many_rows_for_the_memory_are_split_into_smaller_calls(harness: EngineHarness, pipeline: Pipeline) -> None:
    hook = limit_unet_rows(pipeline, rows=3)
    ends = harness.generate(make_request("a", make_params(count=4)), make_request("b", make_params(count=2)))
    hook.remove()
    assert all(isinstance(end, Finished) for end in ends)
    assert harness.calls[:3] == [8, 4, 2]
    assert max(harness.calls[3:]) == 2


def test_a_job_that_does_not_fit_row_by_row_fails_and_the_others_continue(
    harness: EngineHarness, pipeline: Pipeline
) -> None:
    def refuse_large(_: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        if inputs[0].shape[-1] > 8:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    hook = pipeline.unet.register_forward_pre_hook(refuse_large)
    harness.engine.add(make_request("large", make_params(width=128, count=4)))
    end = harness.generate(make_request("small"))[0]
    hook.remove()
    assert isinstance(end, Finished)
    assert "smaller size" in _assert_failed(harness, "large", FailureReason.OUT_OF_MEMORY)
    _assert_still_generates(harness)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
        RuntimeError("MPS backend out of memory (MPS allocated: 17 GB)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
@pytest.mark.parametrize("part", ["encode", "queue_decoding"])
def test_running_out_of_memory_in_the_vae_fails_only_the_job(
    harness: EngineHarness, monkeypatch: pytest.MonkeyPatch, part: str, error: RuntimeError
) -> None:
    def refuse(*_: Any) -> Any:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(harness.engine._vae, part, refuse)
        harness.generate(make_request("a", make_params(source=SOURCE, strength=0.5), source=_image_bytes()))
    _assert_failed(harness, "a", FailureReason.OUT_OF_MEMORY)
    _assert_still_generates(harness)


@pytest.mark.parametrize(
    "data", [b"", b"not an image", _image_bytes()[:60], b"GIF89a", b"\x89PNG\r\n\x1a\n" + b"\0" * 50]
)
def test_a_source_that_is_not_an_image_is_a_user_error(harness: EngineHarness, data: bytes) -> None:
    harness.generate(make_request("a", make_params(source=SOURCE), source=data))
    assert "cannot be read" in _assert_failed(harness, "a", FailureReason.USER_ERROR)
    _assert_still_generates(harness)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"width": 60}, "60×64"),
        ({"sampler": "nonsense"}, "nonsense"),
        ({"sampler": "lcm", "num_inference_steps": 2000}, "2000 steps"),
        ({"parts": (PromptPart("fox", -1.0),)}, "weight"),
    ],
)
def test_an_impossible_request_is_a_user_error_that_names_the_cause(
    harness: EngineHarness, changes: dict[str, object], named: str
) -> None:
    harness.generate(make_request("a", make_params(**changes)))
    assert named in _assert_failed(harness, "a", FailureReason.USER_ERROR)
    _assert_still_generates(harness)


def test_an_unexpected_error_in_a_step_is_raised_by_it(harness: EngineHarness, pipeline: Pipeline) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    hook = pipeline.unet.register_forward_pre_hook(fail)
    harness.engine.add(make_request("a"))
    with pytest.raises(RuntimeError, match="illegal memory access"):
        harness.engine.step()
    hook.remove()


def test_an_unexpected_error_in_post_processing_ends_the_engine(
    harness: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[threading.ExceptHookArgs] = []
    ended = threading.Event()

    def record(args: threading.ExceptHookArgs) -> None:
        errors.append(args)
        ended.set()

    def fail(*_: Any) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(threading, "excepthook", record)
    monkeypatch.setattr(PostProcessor, "_build_grid", fail)
    harness.engine.add(make_request("a", make_params(num_inference_steps=1)))
    harness.engine.step()
    assert ended.wait(TIMEOUT_S)
    harness.engine._post_processor._thread.join()
    assert "illegal memory access" in str(errors[0].exc_value)
    assert harness.engine.busy
    with pytest.raises(RuntimeError, match="has died"):
        harness.engine.step()


def test_progress_counts_every_step_up_to_the_last(harness: EngineHarness) -> None:
    harness.denoise(make_request("a", make_params(sampler="heun", num_inference_steps=5)))
    assert [(event.step, event.total) for event in harness.progress("a")] == [(step, 9) for step in range(1, 10)]


def test_the_least_strength_still_makes_a_step(harness: EngineHarness) -> None:
    harness.denoise(make_request("a", make_params(source=SOURCE, strength=0.01), source=_image_bytes()))
    assert len(harness.calls) == 1


def test_strength_0_keeps_the_source_and_makes_no_step(harness: EngineHarness) -> None:
    end = harness.generate(make_request("a", make_params(source=SOURCE, strength=0.0), source=_image_bytes()))[0]
    assert isinstance(end, Finished)
    assert not harness.calls


def test_decoding_is_retried_after_running_out_of_memory(
    harness: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode, refusals = harness.engine._vae.decode, [torch.OutOfMemoryError("CUDA out of memory.")]

    def refuse_once(latents: torch.Tensor, *side: int) -> Any:
        if refusals:
            raise refusals.pop()
        return decode(latents, *side)

    monkeypatch.setattr(harness.engine._vae, "queue_decoding", refuse_once)
    assert isinstance(harness.generate(make_request("a", make_params(count=2)))[0], Finished)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_every_job_ends_exactly_once(harness: EngineHarness, pipeline: Pipeline, seed: int) -> None:
    chance = random.Random(seed)
    jobs = [f"job-{place}" for place in range(25)]
    hook = limit_unet_rows(pipeline, rows=9)
    for place, job_id in enumerate(jobs):
        broken = chance.random() < 0.2
        wanted = make_params(
            seed=place,
            count=chance.choice([1, 2, 4]),
            width=chance.choice([64, 96]),
            sampler=chance.choice([None, "euler_a", "heun", "unknown"]),
            num_inference_steps=chance.randint(1, 9),
            source=SOURCE if chance.random() < 0.5 or broken else None,
            strength=chance.choice([0.1, 0.6, 1.0]),
        )
        source = b"broken" if broken else _image_bytes() if wanted.source else None
        harness.engine.add(make_request(job_id, wanted, order=chance.randint(0, 5), source=source))
        for _ in range(chance.randint(0, 3)):
            harness.engine.step()
        if chance.random() < 0.3:
            harness.engine.cancel(chance.choice(jobs))
    harness.run_until_idle()
    hook.remove()
    for job_id in jobs:
        harness.wait_for_end(job_id)
    harness.engine.close()
    assert [len(harness.end_events(job_id)) for job_id in jobs] == [1] * len(jobs)
    assert not harness.engine._post_processor._ending | harness.engine._post_processor._cancelled
