"""The tables of all samplers make the steps of diffusers' schedulers, and read them without mistakes."""

from __future__ import annotations

from typing import Any

import diffusers
import pytest
import torch
from torch import Generator, Tensor

from generation.engine.networks.noise_schedulers import create_scheduler, skipped_steps, takes_generator
from generation.engine.networks.sampler_tables import NOISE, SamplerStep, SamplerTables
from generation.errors import UserError
from generation.models.samplers import SAMPLERS
from tests.support.engine_harness import make_params

SHAPE = (2, 4, 8, 8)
MODEL_SCHEDULER = diffusers.DDIMScheduler(
    beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, steps_offset=1
)
CLIPPED = diffusers.DDIMScheduler.from_config(MODEL_SCHEDULER.config, clip_sample=True)


def tables(model_scheduler: Any = MODEL_SCHEDULER) -> SamplerTables:
    return SamplerTables(model_scheduler, torch.device("cpu"))


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize(("steps", "strength"), [(4, 1.0), (20, 1.0), (12, 0.4)])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_table_steps_as_its_scheduler_does(sampler: str, steps: int, strength: float, prediction_type: str) -> None:
    model_scheduler = type(MODEL_SCHEDULER).from_config(MODEL_SCHEDULER.config, prediction_type=prediction_type)
    params = make_params(sampler=sampler, num_inference_steps=steps)
    table = tables(model_scheduler).get(params, strength)
    scheduler = create_scheduler(sampler, steps, model_scheduler)
    start = skipped_steps(scheduler, steps, strength)
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(start)
    assert table.scheduler is None
    assert table.timesteps.tolist() == scheduler.timesteps[start:].float().tolist()
    compare(scheduler, scheduler.timesteps[start:], table.steps)


def compare(scheduler: Any, timesteps: Tensor, steps: tuple[SamplerStep, ...]) -> None:
    """Make all steps of both, on the scheduler's own path, with noise from generators with the same seeds."""
    noise = torch.randn(SHAPE, generator=Generator().manual_seed(5))
    mine, theirs = ([Generator().manual_seed(seed) for seed in (1, 2)] for _ in range(2))
    latents = noise * scheduler.init_noise_sigma
    history: list[dict[str, Tensor]] = []
    for timestep, step in zip(timesteps, steps, strict=True):
        mixed = scheduler.add_noise(latents, noise, timestep[None])
        assert_close(step.mix[0] * latents + step.mix[1] * noise, mixed)
        model_input = scheduler.scale_model_input(latents, timestep)
        assert_close(step.input_scale * latents, model_input)
        prediction = torch.tanh(model_input) * 0.5 + torch.randn(SHAPE, generator=Generator().manual_seed(len(history)))
        settings = {"generator": theirs} if takes_generator(scheduler) else {}
        history.insert(0, {"latents": latents, "prediction": prediction})
        latents = scheduler.step(prediction, timestep, latents, **settings, return_dict=False)[0]
        sampled = [torch.randn(1, *SHAPE[1:], generator=each) for each in mine] if step.samples_noise else []
        values = {term: torch.cat(sampled) if term == NOISE else history[term.age][term.kind] for term in step.factors}
        assert_close(sum(factor * values[term] for term, factor in step.factors.items()), latents)
    assert [each.get_state().tolist() for each in mine] == [each.get_state().tolist() for each in theirs]


def assert_close(mine: Any, theirs: Tensor) -> None:
    assert (mine - theirs).abs().max() <= 1e-4 * theirs.abs().max()


def test_a_sampler_that_clips_is_left_to_its_scheduler() -> None:
    assert tables(CLIPPED).get(make_params(), 1.0).scheduler is not None


def test_a_sampler_that_does_not_fit_the_model_is_refused() -> None:
    model_scheduler = type(MODEL_SCHEDULER).from_config(MODEL_SCHEDULER.config, prediction_type="sample")
    with pytest.raises(UserError, match="does not support the sampler euler_a"):
        tables(model_scheduler).get(make_params(sampler="euler_a"), 1.0)


def test_nothing_remains_to_do_at_strength_0() -> None:
    assert tables().get(make_params(num_inference_steps=10), 0.0).steps == ()
