"""A way into the loops of stock pipelines: what their scheduler does is seen, and what is kept is put back."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from generation.engine.holding import Kept

Seen = Callable[[Tensor | None], None]
NOISING = ("scale_noise", "add_noise")
# What their arguments are called: the clean latents, and the noise.
CLEAN, NOISE = ("sample", "original_samples"), ("noise",)


@dataclass(frozen=True, slots=True)
class Shape:
    """The way from the shape in which a pipeline has its latents to N×C×H×W, and back."""

    unpack: Callable[[Tensor], Tensor]
    pack: Callable[[Tensor], Tensor]


PLAIN_SHAPE = Shape(lambda latents: latents, lambda latents: latents)


class Watch:
    """Stands between a pipeline and its scheduler.

    `seen` is called after each step with the clean latents that it foresaw, or None where they cannot be told; it may
    raise to end the pipeline's call.
    """

    def __init__(self, scheduler: Any, seen: Seen) -> None:
        self._scheduler, self._seen = scheduler, seen
        self._step, self._parameters = scheduler.step, inspect.signature(scheduler.step)
        self._freedom: Tensor | None = None
        self._shape = PLAIN_SHAPE
        self._kept: Kept | None = None
        self._stood_between = {"step": self._watching(scheduler.step)}
        self._stood_between |= {
            name: self._listening(getattr(scheduler, name)) for name in NOISING if hasattr(scheduler, name)
        }
        vars(scheduler).update(self._stood_between)

    def begin(self, freedom: Tensor | None = None, shape: Shape = PLAIN_SHAPE) -> None:
        """Get ready for a call; with `freedom`, it starts from a picture that is kept as it says (see `Kept`)."""
        self._freedom, self._shape, self._kept = freedom, shape, None

    def end(self) -> None:
        """Leave the pipeline and its scheduler to themselves."""
        for name in self._stood_between:
            vars(self._scheduler).pop(name, None)

    def _watching(self, step: Any) -> Callable[..., Any]:
        parameters = inspect.signature(step)

        @functools.wraps(step.__func__)
        def watched(*args: Any, **kwargs: Any) -> Any:
            given = parameters.bind(*args, **kwargs).arguments
            result = step(*args, **kwargs)
            clean = self._foreseen(given, result)
            if self._kept is not None:
                result = _with_latents(result, self._held(result[0], given["timestep"]))
            self._seen(None if clean is None else self._shape.unpack(clean))
            return result

        return watched

    def _foreseen(self, given: dict[str, Any], result: Any) -> Tensor | None:
        if hasattr(self._scheduler, "scale_noise"):  # flow matching: what is predicted leads straight from it to noise
            sigma = self._scheduler.sigmas[self._scheduler.step_index - 1]
            foreseen: Tensor = given["sample"] - sigma * given["model_output"]
            return foreseen
        return getattr(result, "pred_original_sample", None)

    def _listening(self, add_noise: Callable[..., Tensor]) -> Callable[..., Tensor]:
        parameters = inspect.signature(add_noise)

        @functools.wraps(add_noise)
        def listening(*args: Any, **kwargs: Any) -> Tensor:
            given = parameters.bind(*args, **kwargs).arguments
            if self._freedom is not None and self._kept is None:
                clean, noise = (next(given[name] for name in names if name in given) for names in (CLEAN, NOISE))
                self._kept = Kept(self._freedom.to(clean.device), clean, noise)
            return add_noise(*args, **kwargs)

        return listening

    def _held(self, latents: Tensor, timestep: Any) -> Tensor:
        kept = self._kept
        assert kept is not None
        noise_left = self._noise_left(float(timestep))
        source = self._noisy(kept, timestep)
        held = kept.restore(self._shape.unpack(latents), source.to(latents.dtype), noise_left)
        return self._shape.pack(held)

    def _noise_left(self, timestep: float) -> float:
        """Give the share of the noise that is left after a step; 0 after the last."""
        later = [float(other) for other in self._scheduler.timesteps if float(other) < timestep]
        return max(later, default=0.0) / float(self._scheduler.config.num_train_timesteps)

    def _noisy(self, kept: Kept, timestep: Any) -> Tensor:
        """Give the source as noisy as the latents are after a step."""
        if hasattr(self._scheduler, "scale_noise"):
            sigma = float(self._scheduler.sigmas[self._scheduler.step_index])
            return sigma * kept.noise + (1 - sigma) * kept.source
        later = [other for other in self._scheduler.timesteps if float(other) < float(timestep)]
        if not later:
            return kept.source
        noisy: Tensor = self._scheduler.add_noise(kept.source, kept.noise, later[0].reshape(1))
        return noisy


def _with_latents(result: Any, latents: Tensor) -> Any:
    if isinstance(result, tuple):
        return (latents, *result[1:])
    result.prev_sample = latents
    return result
