"""Jobs share UNet calls, which changes no image and starves no job."""

from __future__ import annotations

import pytest

from generation.engine.networks.pipeline_loader import Pipeline
from generation.params import PromptPart
from tests.support.engine_harness import EngineHarness, assert_close, make_params, make_request, run_staggered


@pytest.fixture
def large_batch_harness(harness: EngineHarness) -> EngineHarness:
    harness.engine._batcher.budget = 1000 * 64 * 64
    return harness


def test_jobs_with_different_samplers_and_steps_share_their_calls(large_batch_harness: EngineHarness) -> None:
    samplers = [(None, 6), ("euler", 9), ("dpmpp_2m", 4), ("unipc", 7), ("euler_a", 5)]
    jobs = [make_params(sampler=sampler, num_inference_steps=steps, count=2) for sampler, steps in samplers]
    large_batch_harness.denoise(*(make_request(f"job-{place}", job) for place, job in enumerate(jobs)))
    assert len(large_batch_harness.calls) == 9
    assert sum(large_batch_harness.calls) == sum(job.num_inference_steps * 2 * 2 for job in jobs)


def test_a_job_that_comes_late_joins_at_the_next_step(large_batch_harness: EngineHarness) -> None:
    run_staggered(
        large_batch_harness,
        [
            make_request("early", make_params(num_inference_steps=6)),
            make_request("late", make_params(num_inference_steps=4)),
        ],
        steps_between=3,
    )
    assert large_batch_harness.calls == [2] * 3 + [4] * 3 + [2]


def test_an_image_does_not_depend_on_its_batch(large_batch_harness: EngineHarness) -> None:
    wanted = make_params(sampler="euler_a", count=2)
    large_batch_harness.denoise(make_request("alone", wanted))
    others = [
        make_request(f"other-{seed}", make_params("a castle", seed=seed, num_inference_steps=9)) for seed in range(3)
    ]
    large_batch_harness.denoise(*others, make_request("accompanied", wanted))
    assert_close(large_batch_harness.latents["accompanied"], large_batch_harness.latents["alone"], 1e-5)


def test_prompts_of_different_lengths_do_not_mix(large_batch_harness: EngineHarness) -> None:
    large_batch_harness.denoise(make_request("short"), make_request("long", make_params("a fox " * 60)))
    assert large_batch_harness.calls == [2] * 4


def test_sizes_take_turns_so_that_no_job_waits_behind_a_long_one(large_batch_harness: EngineHarness) -> None:
    large_batch_harness.denoise(
        make_request("long", make_params(num_inference_steps=16)),
        make_request("wide", make_params(width=96, num_inference_steps=6)),
    )
    job_ids = [
        event.job_id
        for event in large_batch_harness.events
        if event in large_batch_harness.progress("long") + large_batch_harness.progress("wide")
    ]
    assert job_ids[:8] == ["wide", "wide", "wide", "long", "wide", "wide", "wide", "long"]
    assert len(large_batch_harness.calls) == 22


def test_a_long_job_continues_however_many_short_ones_arrive(large_batch_harness: EngineHarness) -> None:
    large_batch_harness.engine.add(make_request("long", make_params(num_inference_steps=5)))
    for place in range(20):
        large_batch_harness.engine.add(
            make_request(f"short-{place}", make_params(width=96, num_inference_steps=1), order=place)
        )
        large_batch_harness.engine.step()
    assert len(large_batch_harness.progress("long")) == 5


def test_the_lowest_order_steps_first_when_not_all_fit(harness: EngineHarness) -> None:
    harness.engine._batcher.budget = 4 * 64 * 64
    jobs = [
        make_request(f"order-{order}", make_params(count=2, num_inference_steps=4), order=order) for order in (3, 1, 2)
    ]
    harness.generate(*jobs)
    ends = [
        event.job_id
        for event in harness.events
        if event in [end for job in jobs for end in harness.end_events(job.job_id)]
    ]
    assert ends == ["order-1", "order-2", "order-3"]
    assert max(harness.calls) == 4


def test_rows_left_over_by_one_job_are_given_to_the_next(harness: EngineHarness) -> None:
    harness.engine._batcher.budget = 6 * 64 * 64
    wanted = make_params(count=2, num_inference_steps=4)
    harness.denoise(make_request("first", wanted, order=0), make_request("second", wanted, order=1))
    assert harness.calls[:4] == [6] * 4
    assert sum(harness.calls) == 32
    assert_close(harness.latents["second"], harness.latents["first"], 1e-5)


@pytest.mark.parametrize("rows", [1, 3, 7])
def test_a_job_larger_than_a_call_is_split_over_several(harness: EngineHarness, rows: int) -> None:
    wanted = make_params(count=4)
    harness.engine._batcher.budget = 8 * 64 * 64
    harness.denoise(make_request("whole", wanted))
    harness.engine._batcher.budget = rows * 64 * 64
    harness.denoise(make_request("parts", wanted))
    assert max(harness.calls[2:]) == rows
    assert_close(harness.latents["parts"], harness.latents["whole"], 1e-5)


def test_a_larger_image_gets_fewer_rows_in_a_call(harness: EngineHarness) -> None:
    harness.engine._batcher.budget = 8 * 64 * 64
    harness.denoise(make_request("large", make_params(width=128, count=4, num_inference_steps=2)))
    assert harness.calls == [4] * 4


@pytest.mark.parametrize(
    ("parts", "changes", "rows"),
    [
        (("fox",), {}, 2),
        (("fox",), {"guidance_scale": 1.0}, 1),
        (("fox",), {"guidance_scale": 0.0}, 1),
        (("fox", "moon"), {}, 3),
        (("fox", "fox"), {}, 2),
        (("fox",), {"no": ("moon", "snow")}, 4),
        (("fox",), {"negative_prompt": "moon"}, 2),
        (("",), {}, 1),
    ],
)
def test_each_distinct_text_costs_one_row(
    harness: EngineHarness, parts: tuple[str, ...], changes: dict[str, object], rows: int
) -> None:
    wanted = make_params(parts=tuple(PromptPart(text) for text in parts), num_inference_steps=2, **changes)
    harness.denoise(make_request("a", wanted))
    assert harness.calls == [rows, rows]


def test_a_step_makes_exactly_one_call(pipeline: Pipeline, harness: EngineHarness) -> None:
    harness.engine.add(make_request("a"))
    for made in range(1, 3):
        harness.engine.step()
        assert len(harness.calls) == made
    assert not harness.engine.busy
