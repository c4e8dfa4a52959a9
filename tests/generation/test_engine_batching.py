"""Jobs share UNet calls, and nobody's picture or turn suffers from it."""

from __future__ import annotations

import pytest

from generation.engine.networks.pipeline_loader import Pipeline
from generation.params import PromptPart
from tests.generation.studio import Studio, assert_close, generate, in_turn, params


@pytest.fixture
def roomy(studio: Studio) -> Studio:
    studio.engine._batcher.budget = 1000 * 64 * 64
    return studio


def test_jobs_with_different_samplers_and_steps_share_their_calls(roomy: Studio) -> None:
    samplers = [(None, 6), ("euler", 9), ("dpmpp_2m", 4), ("unipc", 7), ("euler_a", 5)]
    jobs = [params(sampler=sampler, num_inference_steps=steps, count=2) for sampler, steps in samplers]
    roomy.draw(*(generate(f"job-{place}", job) for place, job in enumerate(jobs)))
    assert len(roomy.calls) == 9
    assert sum(roomy.calls) == sum(job.num_inference_steps * 2 * 2 for job in jobs)


def test_a_job_that_comes_late_joins_at_the_next_step(roomy: Studio) -> None:
    in_turn(roomy, [generate("early", params(num_inference_steps=8)), generate("late")], steps_between=3)
    assert roomy.calls == [2] * 3 + [4] * 5 + [2]


def test_a_picture_does_not_depend_on_its_company(roomy: Studio) -> None:
    wanted = params(sampler="euler_a", count=2)
    roomy.draw(generate("alone", wanted))
    company = [generate(f"other-{seed}", params("a castle", seed=seed, num_inference_steps=9)) for seed in range(3)]
    roomy.draw(*company, generate("accompanied", wanted))
    assert_close(roomy.latents["accompanied"], roomy.latents["alone"], 1e-5)


def test_prompts_of_different_lengths_do_not_mix(roomy: Studio) -> None:
    roomy.draw(generate("short"), generate("long", params("a fox " * 60)))
    assert roomy.calls == [2] * 12


def test_sizes_take_turns_so_that_nobody_waits_behind_a_long_job(roomy: Studio) -> None:
    roomy.draw(generate("long", params(num_inference_steps=40)), generate("wide", params(width=96)))
    told = [event.job_id for event in roomy.events if event in roomy.progress("long") + roomy.progress("wide")]
    assert told[:8] == ["wide", "wide", "wide", "long", "wide", "wide", "wide", "long"]
    assert len(roomy.calls) == 46


def test_a_long_job_goes_on_however_many_short_ones_come(roomy: Studio) -> None:
    roomy.engine.add(generate("long", params(num_inference_steps=10)))
    for place in range(40):
        roomy.engine.add(generate(f"short-{place}", params(width=96, num_inference_steps=1), order=place))
        roomy.engine.step()
    assert len(roomy.progress("long")) == 10


def test_the_lowest_order_steps_first_when_there_is_not_room_for_all(studio: Studio) -> None:
    studio.engine._batcher.budget = 4 * 64 * 64
    jobs = [generate(f"order-{order}", params(count=2), order=order) for order in (3, 1, 2)]
    studio.draw(*jobs)
    ends = [
        event.job_id for event in studio.events if event in [end for job in jobs for end in studio.ends(job.job_id)]
    ]
    assert ends == ["order-1", "order-2", "order-3"]
    assert max(studio.calls) == 4


def test_rows_left_over_by_one_job_are_given_to_the_next(studio: Studio) -> None:
    studio.engine._batcher.budget = 6 * 64 * 64
    wanted = params(count=2)
    studio.draw(generate("first", wanted, order=0), generate("second", wanted, order=1))
    assert studio.calls[:6] == [6] * 6
    assert sum(studio.calls) == 48
    assert_close(studio.latents["second"], studio.latents["first"], 1e-5)


@pytest.mark.parametrize("rows", [1, 3, 7])
def test_a_job_larger_than_a_call_is_drawn_in_several(studio: Studio, rows: int) -> None:
    wanted = params(count=4)
    studio.engine._batcher.budget = 8 * 64 * 64
    studio.draw(generate("whole", wanted))
    studio.engine._batcher.budget = rows * 64 * 64
    studio.draw(generate("parts", wanted))
    assert max(studio.calls[6:]) == rows
    assert_close(studio.latents["parts"], studio.latents["whole"], 1e-5)


def test_a_larger_picture_gets_fewer_rows_in_a_call(studio: Studio) -> None:
    studio.engine._batcher.budget = 8 * 64 * 64
    studio.draw(generate("large", params(width=128, count=4, num_inference_steps=2)))
    assert studio.calls == [4] * 4


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
    studio: Studio, parts: tuple[str, ...], changes: dict[str, object], rows: int
) -> None:
    wanted = params(parts=tuple(PromptPart(text) for text in parts), num_inference_steps=2, **changes)
    studio.draw(generate("a", wanted))
    assert studio.calls == [rows, rows]


def test_a_model_at_work_makes_one_call_a_step_and_no_more(pipeline: Pipeline, studio: Studio) -> None:
    studio.engine.add(generate("a"))
    for made in range(1, 7):
        studio.engine.step()
        assert len(studio.calls) == made
    assert not studio.engine.busy
