"""The available samplers by their usual names, without importing torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Sampler:
    """A diffusers scheduler class, and the overrides of the model's own scheduler settings."""

    scheduler: str
    overrides: Mapping[str, Any] = field(default_factory=dict)


# By default these clip the predicted image to [-1, 1], which is meant for pixels and ruins latents.
_UNCLIPPED = {"clip_sample": False, "thresholding": False}
_MULTISTEP = {"algorithm_type": "dpmsolver++", "solver_order": 2, "final_sigmas_type": "zero"}

# Left out: LMS, which needs SciPy; DEIS, which mixes NumPy with torch; DPM++ SDE, whose Brownian tree generates one
# noise for all images together.
SAMPLERS: dict[str, Sampler] = {
    "ddim": Sampler("DDIMScheduler", _UNCLIPPED),
    "ddpm": Sampler("DDPMScheduler", _UNCLIPPED),
    "dpmpp_2m": Sampler("DPMSolverMultistepScheduler", _MULTISTEP),
    "dpmpp_2m_karras": Sampler("DPMSolverMultistepScheduler", {**_MULTISTEP, "use_karras_sigmas": True}),
    "dpmpp_2m_sde": Sampler("DPMSolverMultistepScheduler", {**_MULTISTEP, "algorithm_type": "sde-dpmsolver++"}),
    "euler": Sampler("EulerDiscreteScheduler"),
    "euler_a": Sampler("EulerAncestralDiscreteScheduler"),
    "heun": Sampler("HeunDiscreteScheduler", {"clip_sample": False}),
    "lcm": Sampler("LCMScheduler", _UNCLIPPED),
    "pndm": Sampler("PNDMScheduler", {"skip_prk_steps": True}),
    "unipc": Sampler("UniPCMultistepScheduler"),
}

# The settings that distinguish samplers of one class, with their defaults.
_VARIANT_DEFAULTS = {"algorithm_type": "dpmsolver++", "use_karras_sigmas": False}


def sampler_for(scheduler: str, settings: Mapping[str, Any]) -> str:
    """Return the name of the sampler that a model's own scheduler matches, else the scheduler's class."""
    for name, sampler in SAMPLERS.items():
        if sampler.scheduler == scheduler and _variant(sampler.overrides) == _variant(settings):
            return name
    return scheduler


def _variant(settings: Mapping[str, Any]) -> list[Any]:
    return [settings.get(key, default) for key, default in _VARIANT_DEFAULTS.items()]
