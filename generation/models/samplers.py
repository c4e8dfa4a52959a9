"""The available samplers by their usual names, without importing torch."""

from __future__ import annotations

import re
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

# The web UI's names for the samplers: (Sampler, Schedule type).
SAMPLER_LABELS = {
    "ddim": ("DDIM", None),
    "ddpm": ("DDPM", None),
    "dpmpp_2m": ("DPM++ 2M", None),
    "dpmpp_2m_karras": ("DPM++ 2M", "Karras"),
    "dpmpp_2m_sde": ("DPM++ 2M SDE", None),
    "euler": ("Euler", None),
    "euler_a": ("Euler a", None),
    "heun": ("Heun", None),
    "lcm": ("LCM", None),
    "pndm": ("PLMS", None),
    "unipc": ("UniPC", None),
}

# Other programs' names for the same: diffusers', ComfyUI's and InvokeAI's.
SAMPLER_ALIASES = {"euler_ancestral": "euler_a", "uni_pc": "unipc", "plms": "pndm", "dpmpp_2m_sde_gpu": "dpmpp_2m_sde"}
_SCHEDULE = re.compile(
    r"_(?:karras|exponential|polyexponential|sgm_uniform|ddim_uniform|uniform|simple|beta|normal|gpu|bh2|k|trailing)$"
)

# The settings that distinguish samplers of one class, with their defaults.
_VARIANT_DEFAULTS = {"algorithm_type": "dpmsolver++", "use_karras_sigmas": False}


def sampler_for(scheduler: str, settings: Mapping[str, Any]) -> str:
    """Return the name of the sampler that a model's own scheduler matches, else the scheduler's class."""
    for name, sampler in SAMPLERS.items():
        if sampler.scheduler == scheduler and _variant(sampler.overrides) == _variant(settings):
            return name
    return scheduler


def find_sampler(name: str, schedule: str = "") -> str | None:
    """Return the sampler that another program calls so; if it has no such schedule here, the one without."""
    plain = re.sub(r"[\s-]+", "_", name.casefold().strip().replace("+", "p")).removeprefix("k_")
    return _known_sampler(f"{plain}_{schedule.casefold().strip()}") or _known_sampler(plain)


def _known_sampler(plain: str) -> str | None:
    while (known := SAMPLER_ALIASES.get(plain, plain)) not in SAMPLERS:
        shorter = _SCHEDULE.sub("", plain)
        if shorter == plain:
            return None
        plain = shorter
    return known


def _variant(settings: Mapping[str, Any]) -> list[Any]:
    return [settings.get(key, default) for key, default in _VARIANT_DEFAULTS.items()]
