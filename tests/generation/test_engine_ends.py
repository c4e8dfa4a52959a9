"""Every job ends exactly once: drawn, cancelled, complained about or too large; and the engine lives on."""

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
from tests.generation.studio import Studio, generate, out_of_memory_above, params

SOURCE = Upload("0" * 64)


def _picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (80, 60), "teal").save(file, "PNG")
    return file.getvalue()


def _assert_failed(studio: Studio, job_id: str, reason: FailureReason) -> str:
    end = studio.end_of(job_id)
    assert isinstance(end, Failed)
    assert end.reason is reason
    assert len(studio.ends(job_id)) == 1
    return end.text


def _assert_still_draws(studio: Studio) -> None:
    assert isinstance(studio.draw(generate("afterwards"))[0], Finished)


def _as_added(studio: Studio) -> None:
    pass


def _after_a_step(studio: Studio) -> None:
    studio.engine.step()


@pytest.mark.parametrize("moment", [_as_added, _after_a_step])
@pytest.mark.parametrize("source", [None, _picture()])
def test_a_cancelled_job_makes_no_more_steps(
    studio: Studio, moment: Callable[[Studio], None], source: bytes | None
) -> None:
    wanted = params(source=SOURCE if source else None)
    studio.engine.add(generate("a", wanted, **({"source": source} if source else {})))
    moment(studio)
    calls = len(studio.calls)
    studio.engine.cancel("a")
    assert not studio.engine.busy
    assert len(studio.calls) == calls
    _assert_failed(studio, "a", FailureReason.CANCELLED)
    _assert_still_draws(studio)


def test_cancelling_one_job_leaves_the_others_alone(studio: Studio) -> None:
    studio.engine.add(generate("a"))
    studio.engine.add(generate("b"))
    studio.engine.step()
    studio.engine.cancel("a")
    studio.step_until_idle()
    assert isinstance(studio.end_of("b"), Finished)
    _assert_failed(studio, "a", FailureReason.CANCELLED)


def test_a_job_can_be_cancelled_while_it_is_decoded(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    decoding, cancelled, tiles = threading.Event(), threading.Event(), []
    decode = studio.engine._vae.decode

    def slow_decode(latents: Any) -> Any:
        tiles.append(len(latents))
        decoding.set()
        assert cancelled.wait(10)
        return decode(latents)

    monkeypatch.setattr(studio.engine._vae, "decode", slow_decode)
    studio.engine.add(generate("a", params(count=4)))
    studio.step_until_idle()
    assert decoding.wait(10)
    studio.engine.cancel("a")
    cancelled.set()
    _assert_failed(studio, "a", FailureReason.CANCELLED)
    assert sum(tiles) < 4
    _assert_still_draws(studio)


@pytest.mark.parametrize("job_id", ["never heard of", "done"])
def test_cancelling_what_is_unknown_or_done_is_harmless(studio: Studio, job_id: str) -> None:
    studio.draw(generate("done"))
    studio.engine.cancel(job_id)
    studio.engine.cancel(job_id)
    assert len(studio.ends("done")) == 1
    assert not studio.ends("never heard of")
    _assert_still_draws(studio)


def test_a_job_that_is_cancelled_twice_ends_once(studio: Studio) -> None:
    studio.engine.add(generate("a"))
    studio.engine.cancel("a")
    studio.engine.cancel("a")
    _assert_failed(studio, "a", FailureReason.CANCELLED)


def test_too_many_rows_for_the_memory_are_drawn_in_smaller_calls(studio: Studio, pipeline: Pipeline) -> None:
    hook = out_of_memory_above(pipeline, rows=3)
    ends = studio.draw(generate("a", params(count=4)), generate("b", params(count=2)))
    hook.remove()
    assert all(isinstance(end, Finished) for end in ends)
    assert studio.calls[:3] == [8, 4, 2]
    assert max(studio.calls[3:]) == 2


def test_a_job_that_does_not_fit_even_row_by_row_is_told_so_and_the_others_go_on(
    studio: Studio, pipeline: Pipeline
) -> None:
    def refuse_large(_: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        if inputs[0].shape[-1] > 8:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    hook = pipeline.unet.register_forward_pre_hook(refuse_large)
    studio.engine.add(generate("large", params(width=128, count=4)))
    end = studio.draw(generate("small"))[0]
    hook.remove()
    assert isinstance(end, Finished)
    assert "smaller size" in _assert_failed(studio, "large", FailureReason.OUT_OF_MEMORY)
    _assert_still_draws(studio)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
        RuntimeError("MPS backend out of memory (MPS allocated: 17 GB)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
@pytest.mark.parametrize("part", ["encode", "decode"])
def test_memory_that_runs_out_in_the_vae_costs_the_job_only(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, part: str, error: RuntimeError
) -> None:
    def refuse(*_: Any) -> Any:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(studio.engine._vae, part, refuse)
        studio.draw(generate("a", params(source=SOURCE, strength=0.5), source=_picture()))
    _assert_failed(studio, "a", FailureReason.OUT_OF_MEMORY)
    _assert_still_draws(studio)


@pytest.mark.parametrize("data", [b"", b"not a picture", _picture()[:60], b"GIF89a", b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_a_source_that_is_no_picture_is_a_complaint(studio: Studio, data: bytes) -> None:
    studio.draw(generate("a", params(source=SOURCE), source=data))
    assert "cannot be read" in _assert_failed(studio, "a", FailureReason.USER_ERROR)
    _assert_still_draws(studio)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"width": 60}, "60×64"),
        ({"sampler": "nonsense"}, "nonsense"),
        ({"sampler": "lcm", "num_inference_steps": 2000}, "2000 steps"),
        ({"parts": (PromptPart("fox", -1.0),)}, "weight"),
    ],
)
def test_what_cannot_be_drawn_is_a_complaint_that_names_it(
    studio: Studio, changes: dict[str, object], named: str
) -> None:
    studio.draw(generate("a", params(**changes)))
    assert named in _assert_failed(studio, "a", FailureReason.USER_ERROR)
    _assert_still_draws(studio)


def test_an_unknown_error_in_a_step_comes_out_of_it(studio: Studio, pipeline: Pipeline) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    hook = pipeline.unet.register_forward_pre_hook(fail)
    studio.engine.add(generate("a"))
    with pytest.raises(RuntimeError, match="illegal memory access"):
        studio.engine.step()
    hook.remove()


def test_an_unknown_error_while_finishing_ends_the_engine(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[threading.ExceptHookArgs] = []
    ended = threading.Event()

    def hear(args: threading.ExceptHookArgs) -> None:
        heard.append(args)
        ended.set()

    def fail(*_: Any) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(threading, "excepthook", hear)
    monkeypatch.setattr(PostProcessor, "_build_grid", fail)
    studio.engine.add(generate("a", params(num_inference_steps=1)))
    studio.engine.step()
    assert ended.wait(10)
    studio.engine._post_processor._thread.join()
    assert "illegal memory access" in str(heard[0].exc_value)
    assert studio.engine.busy
    with pytest.raises(RuntimeError, match="has died"):
        studio.engine.step()


def test_progress_counts_every_step_up_to_the_last(studio: Studio) -> None:
    studio.draw(generate("a", params(sampler="heun", num_inference_steps=5)))
    assert [(told.step, told.total) for told in studio.progress("a")] == [(step, 9) for step in range(1, 10)]


def test_the_least_strength_still_makes_a_step(studio: Studio) -> None:
    studio.draw(generate("a", params(source=SOURCE, strength=0.01), source=_picture()))
    assert len(studio.calls) == 1


def test_strength_nought_keeps_the_source_and_makes_no_step(studio: Studio) -> None:
    end = studio.draw(generate("a", params(source=SOURCE, strength=0.0), source=_picture()))[0]
    assert isinstance(end, Finished)
    assert not studio.calls


def test_a_picture_that_finds_no_memory_once_is_decoded_again(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    decode, refusals = studio.engine._vae.decode, [torch.OutOfMemoryError("CUDA out of memory.")]

    def refuse_once(latents: torch.Tensor, *side: int) -> Any:
        if refusals:
            raise refusals.pop()
        return decode(latents, *side)

    monkeypatch.setattr(studio.engine._vae, "decode", refuse_once)
    assert isinstance(studio.draw(generate("a", params(count=2)))[0], Finished)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_every_job_ends_exactly_once(studio: Studio, pipeline: Pipeline, seed: int) -> None:
    chance = random.Random(seed)
    jobs = [f"job-{place}" for place in range(25)]
    hook = out_of_memory_above(pipeline, rows=9)
    for place, job_id in enumerate(jobs):
        broken = chance.random() < 0.2
        wanted = params(
            seed=place,
            count=chance.choice([1, 2, 4]),
            width=chance.choice([64, 96]),
            sampler=chance.choice([None, "euler_a", "heun", "unknown"]),
            num_inference_steps=chance.randint(1, 9),
            source=SOURCE if chance.random() < 0.5 or broken else None,
            strength=chance.choice([0.1, 0.6, 1.0]),
        )
        source = b"broken" if broken else _picture() if wanted.source else None
        studio.engine.add(generate(job_id, wanted, order=chance.randint(0, 5), source=source))
        for _ in range(chance.randint(0, 3)):
            studio.engine.step()
        if chance.random() < 0.3:
            studio.engine.cancel(chance.choice(jobs))
    studio.step_until_idle()
    hook.remove()
    for job_id in jobs:
        studio.end_of(job_id)
    studio.engine.close()
    assert [len(studio.ends(job_id)) for job_id in jobs] == [1] * len(jobs)
    assert not studio.engine._post_processor._ending | studio.engine._post_processor._cancelled
