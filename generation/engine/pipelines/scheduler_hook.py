"""Hook into the loops of stock pipelines through their scheduler: observe steps and apply a mask constraint."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from generation.engine.images.constraints import MaskConstraint

StepCallback = Callable[[Tensor | None], None]
ADD_NOISE_METHODS = ("scale_noise", "add_noise")
# The names of their arguments: the clean latents, and the noise.
ORIGINAL_SAMPLE_ARGUMENTS, NOISE_ARGUMENTS = ("sample", "original_samples"), ("noise",)


@dataclass(frozen=True, slots=True)
class LatentPacking:
    """Converts a pipeline's latents to N×C×H×W, and back."""

    unpack: Callable[[Tensor], Tensor]
    pack: Callable[[Tensor], Tensor]


NO_PACKING = LatentPacking(lambda latents: latents, lambda latents: latents)


class SchedulerHook:
    """Stands between a pipeline and its scheduler.

    `on_step` is called after each step with the clean latents that it predicted, or None where they are unknown. It may
    raise to end the pipeline's call.
    """

    def __init__(self, scheduler: Any, on_step: StepCallback) -> None:
        self._scheduler, self._on_step = scheduler, on_step
        self._step, self._parameters = scheduler.step, inspect.signature(scheduler.step)
        self._change_map: Tensor | None = None
        self._packing = NO_PACKING
        self._constraint: MaskConstraint | None = None
        self._overrides = {"step": self._wrap_step(scheduler.step)}
        self._overrides |= {
            name: self._wrap_add_noise(getattr(scheduler, name))
            for name in ADD_NOISE_METHODS
            if hasattr(scheduler, name)
        }
        vars(scheduler).update(self._overrides)

    def reset(self, change_map: Tensor | None = None, packing: LatentPacking = NO_PACKING) -> None:
        """Prepare for a call; with `change_map`, it starts from an image that is partly kept (see `MaskConstraint`)."""
        self._change_map, self._packing, self._constraint = change_map, packing, None

    def remove(self) -> None:
        """Restore the scheduler's own methods."""
        for name in self._overrides:
            vars(self._scheduler).pop(name, None)

    def _wrap_step(self, step: Any) -> Callable[..., Any]:
        parameters = inspect.signature(step)

        @functools.wraps(step.__func__)
        def hooked_step(*args: Any, **kwargs: Any) -> Any:
            given = parameters.bind(*args, **kwargs).arguments
            result = step(*args, **kwargs)
            clean = self._original_sample(given, result)
            if self._constraint is not None:
                result = _with_latents(result, self._constrained(result[0], given["timestep"]))
            self._on_step(None if clean is None else self._packing.unpack(clean))
            return result

        return hooked_step

    def _original_sample(self, given: dict[str, Any], result: Any) -> Tensor | None:
        if hasattr(self._scheduler, "scale_noise"):  # flow matching: predicts the direction from clean latents to noise
            sigma = self._scheduler.sigmas[self._scheduler.step_index - 1]
            clean: Tensor = given["sample"] - sigma * given["model_output"]
            return clean
        return getattr(result, "pred_original_sample", None)

    def _wrap_add_noise(self, add_noise: Callable[..., Tensor]) -> Callable[..., Tensor]:
        parameters = inspect.signature(add_noise)

        @functools.wraps(add_noise)
        def hooked_add_noise(*args: Any, **kwargs: Any) -> Tensor:
            given = parameters.bind(*args, **kwargs).arguments
            if self._change_map is not None and self._constraint is None:
                clean, noise = (
                    next(given[name] for name in names if name in given)
                    for names in (ORIGINAL_SAMPLE_ARGUMENTS, NOISE_ARGUMENTS)
                )
                self._constraint = MaskConstraint(self._change_map.to(clean.device), clean, noise)
            return add_noise(*args, **kwargs)

        return hooked_add_noise

    def _constrained(self, latents: Tensor, timestep: Any) -> Tensor:
        constraint = self._constraint
        assert constraint is not None
        noise_fraction = self._noise_fraction(float(timestep))
        source = self._noisy_source(constraint, timestep)
        constrained = constraint.apply(self._packing.unpack(latents), source.to(latents.dtype), noise_fraction)
        return self._packing.pack(constrained)

    def _noise_fraction(self, timestep: float) -> float:
        """Return the fraction of the noise that is left after a step; 0 after the last."""
        later = [float(other) for other in self._scheduler.timesteps if float(other) < timestep]
        return max(later, default=0.0) / float(self._scheduler.config.num_train_timesteps)

    def _noisy_source(self, constraint: MaskConstraint, timestep: Any) -> Tensor:
        """Return the source, as noisy as the latents are after a step."""
        if hasattr(self._scheduler, "scale_noise"):
            sigma = float(self._scheduler.sigmas[self._scheduler.step_index])
            return sigma * constraint.noise + (1 - sigma) * constraint.source
        later = [other for other in self._scheduler.timesteps if float(other) < float(timestep)]
        if not later:
            return constraint.source
        noisy: Tensor = self._scheduler.add_noise(constraint.source, constraint.noise, later[0].reshape(1))
        return noisy


def _with_latents(result: Any, latents: Tensor) -> Any:
    if isinstance(result, tuple):
        return (latents, *result[1:])
    result.prev_sample = latents
    return result
