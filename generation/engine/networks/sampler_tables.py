"""Samplers as tables: what each step multiplies the latents, the predictions and the noise by.

Every sampler is linear in them, with factors known beforehand. They are read from diffusers' own scheduler, whose
mathematics stays the reference, by letting it step through unit vectors. With them a step is one product for all jobs
of a UNet call, and nothing in it waits for the device: a scheduler's `step` and `add_noise` copy numbers to it.
"""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Generator, Tensor
from torch.overrides import TorchFunctionMode

from generation.engine.device.transfer import to_device
from generation.engine.networks.noise_schedulers import create_scheduler, skipped_steps, takes_generator
from generation.errors import UserError
from generation.params import Params
from generation.text import Text

MAX_CACHED_TABLES = 256
SPARE = 16  # places that no unit vector uses: only sampled noise is found there
ROUNDING = 1e-6  # what subtracting the noise leaves of a factor that is 0
TOLERANCE = 1e-4  # of the largest value, between a table and its scheduler


class Term(NamedTuple):
    """What a factor belongs to: the latents or the prediction of `age` steps ago, or this step's noise."""

    kind: Literal["latents", "prediction", "noise"]
    age: int = 0


NOISE = Term("noise")
UNITS = torch.eye(2, dtype=torch.float64)[:, None, None, None]


@dataclass(frozen=True, slots=True)
class SamplerStep:
    """One step: `factors` of what the next latents are the sum of.

    The UNet's input is the latents times `input_scale`. The clean latents are `clean` (factors) of that input and the
    prediction. Clean latents and noise, times the two `mix` factors, are as noisy as the latents before the step, and
    `noise_fraction` is how much of all noise that is. Noise is sampled where `samples_noise`, even if its factor is 0.
    """

    factors: Mapping[Term, float]
    input_scale: float
    clean: tuple[float, float]
    mix: tuple[float, float]
    noise_fraction: float
    samples_noise: bool


@dataclass(frozen=True, slots=True)
class SamplerTable:
    """The steps that remain, their timesteps on the device, and the oldest `age` that they use.

    Pure noise times `noise_scale` is what to start from. A `scheduler` is given only where it is not linear: each job
    then makes its steps with a copy.
    """

    steps: tuple[SamplerStep, ...]
    timesteps: Tensor
    noise_scale: float
    max_age: int
    scheduler: Any = None


class _TableKey(NamedTuple):
    sampler: str | None
    num_inference_steps: int
    strength: float


class SamplerTables:
    """The tables of one model's samplers, read when first asked for, which may be done on any thread."""

    def __init__(self, model_scheduler: Any, device: torch.device) -> None:
        self._model_scheduler, self._device = model_scheduler, device
        self._tables: dict[_TableKey, SamplerTable] = {}
        self._lock = threading.Lock()  # else jobs that arrive together would each read the same table

    def has(self, params: Params, strength: float) -> bool:
        """Return whether a table has been read: reading one takes tens of milliseconds."""
        return _TableKey(params.sampler, params.num_inference_steps, strength) in self._tables

    def get(self, params: Params, strength: float) -> SamplerTable:
        """Return the table of the steps that `strength` leaves, at least one above 0.

        Raises UserError for an unknown sampler, and for one that supports neither this number of steps nor this model.
        """
        key = _TableKey(params.sampler, params.num_inference_steps, strength)
        if (table := self._tables.get(key)) is not None:
            return table
        with self._lock:
            if key not in self._tables:
                table = self._read(*key)
                if len(self._tables) >= MAX_CACHED_TABLES:
                    del self._tables[next(iter(self._tables))]  # the oldest
                self._tables[key] = table
            return self._tables[key]

    def _read(self, sampler: str | None, num_inference_steps: int, strength: float) -> SamplerTable:
        scheduler = create_scheduler(sampler, num_inference_steps, self._model_scheduler)
        start = skipped_steps(scheduler, num_inference_steps, strength)
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(start)
        timesteps = scheduler.timesteps[start:] if strength > 0 else scheduler.timesteps[:0]
        try:
            with _DoublePrecision():
                steps = _read_steps(_in_double_precision(copy.deepcopy(scheduler)), timesteps)
        except NotImplementedError as error:  # some do not support models that predict the clean latents
            raise UserError(Text("This model does not support the sampler {sampler}.", sampler=sampler)) from error
        return SamplerTable(
            steps,
            to_device(timesteps.float(), self._device),
            float(scheduler.init_noise_sigma),
            max((term.age for step in steps for term in step.factors), default=0),
            None if _is_linear(copy.deepcopy(scheduler), timesteps, steps) else scheduler,
        )


class _DoublePrecision(TorchFunctionMode):
    """Lets schedulers reckon in double precision, also where they ask for single.

    At the noisiest steps of some, a factor is the small difference of large numbers.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call a function with float64 in place of float32."""
        if func is torch.Tensor.float:
            return args[0].double()
        values = (torch.float64 if value is torch.float32 else value for value in args)
        named = {name: torch.float64 if value is torch.float32 else value for name, value in (kwargs or {}).items()}
        return func(*values, **named)


def _in_double_precision(scheduler: Any) -> Any:
    for name, value in vars(scheduler).items():
        if isinstance(value, Tensor) and value.dtype is torch.float32 and name != "timesteps":
            setattr(scheduler, name, value.double())
    return scheduler


def _read_steps(scheduler: Any, timesteps: Tensor) -> tuple[SamplerStep, ...]:
    """Step through unit vectors: one for the latents and one for the prediction of every step."""
    count = len(timesteps)
    units = torch.eye(2 * count + SPARE, dtype=torch.float64)[:, None, None, None]
    steps = []
    for index, timestep in enumerate(timesteps):
        mix = scheduler.add_noise(UNITS[0], UNITS[1], timestep[None])
        input_scale = float(scheduler.scale_model_input(torch.ones(1, dtype=torch.float64), timestep))
        stepped, noise = _step(scheduler, timestep, units[index], units[count + index])
        noise_factor = (
            float(stepped[-SPARE:] @ noise[-SPARE:] / (noise[-SPARE:] @ noise[-SPARE:])) if noise.any() else 0.0
        )
        factors = _terms((stepped - noise_factor * noise)[: 2 * count], index, count)
        steps.append(
            SamplerStep(
                factors | ({NOISE: noise_factor} if noise_factor else {}),
                input_scale,
                _clean_factors(scheduler, timestep),
                (float(mix[..., 0]), float(mix[..., 1])),
                float(timestep) / len(scheduler.alphas_cumprod),
                bool(noise.any()),
            )
        )
    return tuple(steps)


def _step(scheduler: Any, timestep: Tensor, latents: Tensor, prediction: Tensor) -> tuple[Tensor, Tensor]:
    """Return the next latents, and the noise that the scheduler sampled for them (zeros if none), both as vectors."""
    generator = Generator("cpu").manual_seed(0)
    untouched = generator.get_state()
    settings = {"generator": generator} if takes_generator(scheduler) else {}
    stepped = scheduler.step(prediction[None], timestep, latents[None], **settings, return_dict=False)[0].flatten()
    if torch.equal(untouched, generator.get_state()):
        return stepped, torch.zeros_like(stepped)
    return stepped, torch.randn(
        latents[None].shape, generator=generator.set_state(untouched), dtype=stepped.dtype
    ).flatten()


def _terms(values: Tensor, index: int, count: int) -> dict[Term, float]:
    """Return the factors of a step that are not 0; values are those of all latents, then of all predictions."""
    terms = {}
    for position in (values.abs() > ROUNDING).nonzero().flatten().tolist():
        is_latents = position < count
        term = Term("latents", index - position) if is_latents else Term("prediction", index - position + count)
        terms[term] = float(values[position])
    return terms


def _clean_factors(scheduler: Any, timestep: Tensor) -> tuple[float, float]:
    """Return the factors of the UNet's input and its prediction whose sum is the clean latents.

    `scale_model_input` always returns `√ᾱ·clean + √(1−ᾱ)·noise`, so one formula serves every scheduler.
    """
    nearest = min(round(float(timestep)), len(scheduler.alphas_cumprod) - 1)
    alpha = max(float(scheduler.alphas_cumprod[nearest]), 1e-4)
    match scheduler.config.prediction_type:
        case "sample":
            return 0.0, 1.0
        case "v_prediction":
            return math.sqrt(alpha), -math.sqrt(1 - alpha)
        case _:
            return 1 / math.sqrt(alpha), -math.sqrt(1 - alpha) / math.sqrt(alpha)


def _is_linear(scheduler: Any, timesteps: Tensor, steps: tuple[SamplerStep, ...]) -> bool:
    """Return whether the table's steps are the scheduler's, tried on random values."""
    generator = Generator("cpu").manual_seed(1)
    latents = torch.randn(1, 1, 1, SPARE, generator=generator)
    history: list[dict[str, Tensor]] = []
    for timestep, step in zip(timesteps, steps, strict=True):
        prediction = torch.randn(latents.shape, generator=generator)
        scheduler.scale_model_input(latents, timestep)
        wanted, noise = _step(scheduler, timestep, latents[0], prediction[0])
        history.insert(0, {"latents": latents, "prediction": prediction})
        latents = sum(
            factor * (noise.view(latents.shape) if term == NOISE else history[term.age][term.kind])
            for term, factor in step.factors.items()
        ) + torch.zeros_like(latents)
        if not torch.allclose(latents.flatten(), wanted, rtol=0, atol=TOLERANCE * max(1.0, float(wanted.abs().max()))):
            return False
    return True
