"""Readings: rows that draw nothing, in the same calls as those of the jobs that draw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from generation.engine.denoising.reading import MAX_ROWS_PER_CALL
from generation.engine.networks.pipeline_loader import Pipeline
from generation.messages import Failed, FailureReason, Finished, Generate
from generation.params import PromptPart, ReadingKind
from generation.planning.readings import reading_rows
from tests.support.engine_harness import EngineHarness, assert_close, limit_unet_rows, make_params, make_request


@pytest.fixture(scope="module", params=["pipeline", "xl_pipeline"], ids=["sd", "xl"])
def company(request: pytest.FixtureRequest) -> Iterator[EngineHarness]:
    harness = EngineHarness(request.getfixturevalue(request.param))
    yield harness
    harness.close()


def shorten(job_id: str, prompt: str = "a red fox under the moon", order: int = 0, **changes: Any) -> Generate:
    return make_request(job_id, make_params(prompt, count=0, reading=ReadingKind.SHORTEN, **changes), order=order)


def test_each_word_has_a_weight_and_the_weightiest_has_1(company: EngineHarness) -> None:
    (reading,) = company.read(shorten("words"))
    (words,) = reading.words
    assert "".join(word.text for word in words) == "a red fox under the moon"
    assert max(word.weight for word in words) == 1.0
    assert min(word.weight for word in words) >= 0.0
    assert reading.seconds > 0


def test_a_reading_is_the_same_in_company_and_so_are_the_others(company: EngineHarness) -> None:
    (alone,) = company.read(shorten("alone"))
    company.denoise(make_request("picture", make_params("a fox", seed=5, num_inference_steps=4)))
    calls = len(company.calls)
    picture = make_request("accompanied picture", make_params("a fox", seed=5, num_inference_steps=4), order=1)
    company.engine.add(picture)
    (accompanied,) = company.read(shorten("accompanied", order=0))
    assert isinstance(company.wait_for_end("accompanied picture"), Finished)
    weights = [word.weight for word in alone.words[0]]
    assert [word.weight for word in accompanied.words[0]] == pytest.approx(weights, abs=0.002)
    assert_close(company.latents["accompanied picture"], company.latents["picture"])
    assert max(company.calls[calls:]) > MAX_ROWS_PER_CALL, "their rows share calls"


def test_parts_are_weighed_one_by_one(company: EngineHarness) -> None:
    both = make_params("x", count=0, reading=ReadingKind.SHORTEN)
    both = replace(both, parts=(PromptPart("a red fox", 2.0), PromptPart("the moon", -0.5)))
    (reading,) = company.read(make_request("both", both))
    (fox,), (moon,) = (company.read(shorten(text, text))[0].words for text in ("a red fox", "the moon"))
    assert reading.words == (fox, moon)


def test_a_reading_takes_the_rows_that_it_is_estimated_to_take(harness: EngineHarness) -> None:
    request = shorten("words")
    harness.read(request)
    rows = reading_rows(request.params, harness.engine.model)
    assert sum(harness.calls) == rows
    assert harness.progress("words")[-1].step == harness.progress("words")[-1].total == rows


def test_a_text_of_several_chunks_can_be_read(harness: EngineHarness) -> None:
    (reading,) = harness.read(shorten("long", "moon " * 40))
    assert len(reading.words[0]) == 40


def test_a_cancelled_reading_asks_nothing_more(harness: EngineHarness) -> None:
    harness.engine.add(shorten("words"))
    harness.engine.step()
    calls = len(harness.calls)
    harness.engine.cancel("words")
    assert not harness.engine.busy
    assert len(harness.calls) == calls
    end = harness.wait_for_end("words")
    assert isinstance(end, Failed)
    assert end.reason is FailureReason.CANCELLED


def test_with_little_memory_a_reading_is_the_same(pipeline: Pipeline, harness: EngineHarness) -> None:
    (plenty,) = harness.read(shorten("plenty"))
    weights = [word.weight for word in plenty.words[0]]
    limit = limit_unet_rows(pipeline, 2)
    (little,) = harness.read(shorten("little"))
    limit.remove()
    assert [word.weight for word in little.words[0]] == pytest.approx(weights, abs=0.002)
