"""Build diffusers' schedulers: for a model, and with the timesteps of a job."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import diffusers

from generation.errors import UserError
from generation.models.samplers import SAMPLERS
from generation.planning.compute_cost import effective_steps
from generation.text import Text


def create_scheduler(sampler: str | None, num_inference_steps: int, model_scheduler: Any) -> Any:
    """Build a scheduler with its timesteps set: the sampler asked for, or else the model's own kind.

    Raises UserError for an unknown sampler, and for a number of steps that it does not support.
    """
    scheduler = scheduler_by_name(sampler, model_scheduler)
    try:
        scheduler.set_timesteps(num_inference_steps, device="cpu")
    except ValueError as error:
        raise UserError(_unsupported_steps(sampler, num_inference_steps)) from error
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


def skipped_steps(scheduler: Any, num_inference_steps: int, strength: float) -> int:
    """Return how many of the scheduler's timesteps `strength` skips."""
    return int((num_inference_steps - effective_steps(num_inference_steps, strength)) * scheduler.order)


def takes_generator(scheduler: Any) -> bool:
    """Return whether the scheduler's step samples noise."""
    return _takes_generator(type(scheduler).step)


@cache
def _takes_generator(step: Callable[..., Any]) -> bool:
    return "generator" in inspect.signature(step).parameters
