"""Each job's own diffusers scheduler, and values derived from it."""

from __future__ import annotations

import inspect
import math
from typing import Any

import diffusers
import torch
from torch import Tensor

from generation.errors import UserError
from generation.models.samplers import SAMPLERS
from generation.params import Params
from generation.planning.compute_cost import effective_steps
from generation.text import Text


def create_scheduler(params: Params, model_scheduler: Any) -> Any:
    """Build a scheduler with its timesteps set: the sampler asked for, or else the model's own kind.

    Raises UserError for an unknown sampler, and for a number of steps that it does not support.
    """
    scheduler = scheduler_by_name(params.sampler, model_scheduler)
    try:
        # On the CPU even if the latents are not: a timestep on the GPU would make every step wait for it.
        scheduler.set_timesteps(params.num_inference_steps, device="cpu")
    except ValueError as error:
        raise UserError(_unsupported_steps(params.sampler, params.num_inference_steps)) from error
    return scheduler


def _unsupported_steps(sampler: str | None, steps: int) -> Text:
    if sampler is None:
        return Text.plural(
            "The model's own sampler does not support {n} step.",
            "The model's own sampler does not support {n} steps.",
            steps,
        )
    return Text.plural(
        "The sampler {sampler} does not support {n} step.",
        "The sampler {sampler} does not support {n} steps.",
        steps,
        sampler=sampler,
    )


def scheduler_by_name(name: str | None, model_scheduler: Any) -> Any:
    """Build the scheduler called `name` in `SAMPLERS`, with the settings of the model's own; None is its own kind."""
    if name is None:
        return type(model_scheduler).from_config(model_scheduler.config)
    sampler = SAMPLERS.get(name)
    if sampler is None:
        raise UserError(
            Text("There is no sampler {sampler}. Available: {names}.", sampler=name, names=", ".join(SAMPLERS))
        )
    return getattr(diffusers, sampler.scheduler).from_config(model_scheduler.config, **sampler.overrides)


def with_trailing_spacing(model_scheduler: Any) -> Any:
    """Return the same scheduler with trailing timestep spacing, with which distilled models were trained."""
    return type(model_scheduler).from_config(model_scheduler.config, timestep_spacing="trailing")


def remaining_timesteps(scheduler: Any, params: Params) -> Tensor:
    """Return the timesteps that `strength` leaves, as StableDiffusionImg2ImgPipeline, but at least one above 0."""
    start = skipped_steps(scheduler, params.num_inference_steps, params.strength)
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(start)
    timesteps: Tensor = scheduler.timesteps[start:] if params.strength > 0 else scheduler.timesteps[:0]
    return timesteps


def skipped_steps(scheduler: Any, num_inference_steps: int, strength: float) -> int:
    """Return how many of the scheduler's timesteps `strength` skips."""
    return int((num_inference_steps - effective_steps(num_inference_steps, strength)) * scheduler.order)


def takes_generator(scheduler: Any) -> bool:
    """Return whether the scheduler's step samples noise."""
    return "generator" in inspect.signature(scheduler.step).parameters


def predict_original_sample(scheduler: Any, sample: Tensor, timestep: Tensor, prediction: Tensor) -> Tensor:
    """Return the clean latents that `prediction` implies, where `sample` is the UNet's input.

    `scale_model_input` always returns `√ᾱ·clean + √(1−ᾱ)·noise`, so one formula serves every scheduler.
    """
    nearest = min(round(float(timestep)), len(scheduler.alphas_cumprod) - 1)
    alpha = max(float(scheduler.alphas_cumprod[nearest]), 1e-4)
    match scheduler.config.prediction_type:
        case "sample":
            return prediction
        case "v_prediction":
            return math.sqrt(alpha) * sample - math.sqrt(1 - alpha) * prediction
        case _:
            return (sample - math.sqrt(1 - alpha) * prediction) / math.sqrt(alpha)


def add_noise(scheduler: Any, clean: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
    """Return `clean` with the noise level of `timestep`."""
    mixed: Tensor = scheduler.add_noise(clean, noise, torch.stack([timestep]))
    return mixed
