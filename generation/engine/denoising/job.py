"""A denoising job: the state of one request while its images are generated."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from generation.engine.conditioning.encoder import Conditioning, PromptEncoder
from generation.engine.images.constraints import LatentConstraint, LowPassConstraint, MaskConstraint
from generation.engine.images.io import SourceImage
from generation.engine.images.windows import Windows, layout_windows
from generation.engine.networks import noise_schedulers
from generation.engine.networks.vae import Moments, Vae
from generation.errors import UserError
from generation.messages import Generate
from generation.models.model import Model
from generation.params import LoraWeight, Params
from generation.planning.compute_cost import HIRES_FACTOR, HIRES_STRENGTH, has_hires_pass, steps_before_stop
from generation.planning.tiling import window_size
from generation.text import Text


class Rows(NamedTuple):
    """Rows of a UNet call's batch.

    `pooled` and `time_ids` (see `Windows.time_ids`) are for SDXL, `guidance` for UNets with distilled guidance.
    """

    latents: Tensor
    timesteps: Tensor
    embeddings: Tensor
    pooled: Tensor
    time_ids: Tensor
    guidance: Tensor

    @property
    def conditions(self) -> dict[str, Any]:
        """Return UNet2DConditionModel's arguments, except latents and timesteps."""
        added = {"text_embeds": self.pooled, "time_ids": self.time_ids}
        return {
            "encoder_hidden_states": self.embeddings,
            "timestep_cond": self.guidance if self.guidance.shape[1] else None,
            "added_cond_kwargs": added if self.pooled.shape[1] else None,
        }


class BatchKey(NamedTuple):
    """The properties that jobs must have in common to share a UNet call."""

    latent_shape: tuple[int, ...]
    text_length: int
    seamless: bool
    loras: tuple[LoraWeight, ...]


@dataclass(frozen=True, slots=True)
class Pass:
    """A pass of a job at `factor` times the first size, after `steps_before` of `total_steps` at the first size."""

    factor: int
    steps_before: int
    total_steps: int


class DenoisingJob:
    """The state of one pass of a job: its latents, its own scheduler, and its progress.

    A step needs a prediction for each row (every tile with every text, through every window). The rows may be spread
    over several UNet calls; once the last prediction is added, the scheduler makes the step.
    """

    def __init__(
        self,
        request: Generate,
        scheduler: Any,
        timesteps: Tensor,
        latents: Tensor,
        conditioning: Conditioning,
        generators: list[Generator],
        constraint: LatentConstraint | None,
        windows: Windows,
        current_pass: Pass,
    ) -> None:
        self.request = request
        self.latents = latents
        self.conditioning, self.generators = conditioning, generators
        self.current_pass = current_pass
        self.index = 0
        self._scheduler = scheduler
        self._timesteps = timesteps
        self._constraint = constraint
        self._noise_source = {"generator": generators} if noise_schedulers.takes_generator(scheduler) else {}
        self._windows = windows
        self._time_ids = windows.time_ids(request.params.width * current_pass.factor // windows.canvas[1]).to(
            latents.device
        )
        self._predictions: list[Tensor] = []
        self._model_input = self._window_inputs = latents
        self._last_step: tuple[Tensor, Tensor, Tensor] | None = None

    @property
    def job_id(self) -> str:
        """Return the job's id."""
        return self.request.job_id

    @property
    def key(self) -> BatchKey:
        """Return the key that jobs sharing a UNet call have in common."""
        shape = (self.latents.shape[1], *self._windows.size)
        params = self.request.params
        return BatchKey(shape, self.conditioning.embeddings.shape[1], params.seamless, params.lora_set)

    @property
    def pixels(self) -> int:
        """Return the area of one row in pixels."""
        area = self.request.params.width * self.request.params.height * self.current_pass.factor**2
        return area * math.prod(self._windows.size) // math.prod(self._windows.canvas)

    @property
    def steps(self) -> int:
        """Return how many steps the pass makes."""
        return steps_before_stop(self.request.params.stop, len(self._timesteps))

    @property
    def progress(self) -> tuple[int, int]:
        """Return the steps made and their total over all passes; a step at twice the size counts as four."""
        return self.current_pass.steps_before + self.current_pass.factor**2 * self.index, self.current_pass.total_steps

    @property
    def done(self) -> bool:
        """Return whether all steps are made."""
        return self.index >= self.steps

    @property
    def is_last_pass(self) -> bool:
        """Return whether the job ends with this pass."""
        return self.current_pass.factor > 1 or not has_hires_pass(self.request.params)

    @property
    def remaining_rows(self) -> int:
        """Return how many rows the current step still needs."""
        return self._rows - sum(len(prediction) for prediction in self._predictions)

    @property
    def remaining_pixels(self) -> int:
        """Return how many pixels the UNet still has to process."""
        return (self.steps - self.index) * self._rows * self.pixels

    @property
    def _rows(self) -> int:
        return len(self._windows) * len(self.conditioning.embedding_indices)

    def next_rows(self, count: int) -> Rows:
        """Return the next `count` rows that need a prediction, ordered by text, then window, then tile."""
        timestep = self._timesteps[self.index]
        if not self._predictions:
            self._model_input = self._scheduler.scale_model_input(self.latents, timestep)
            self._window_inputs = torch.cat(list(self._windows.crop(self._model_input)))
        start, tiles, rows_per_text = self._rows - self.remaining_rows, len(self.latents), len(self._window_inputs)
        indices = torch.arange(start, start + count, device=self.latents.device)
        text_indices = self.conditioning.embedding_indices[indices // rows_per_text * tiles + indices % tiles]
        return Rows(
            latents=self._window_inputs[indices % rows_per_text],
            timesteps=timestep.float().expand(count),
            embeddings=self.conditioning.embeddings[text_indices],
            pooled=self.conditioning.pooled[text_indices],
            time_ids=self._time_ids[indices % rows_per_text // tiles],
            guidance=self.conditioning.guidance.expand(count, -1),
        )

    def add_prediction(self, prediction: Tensor) -> bool:
        """Add the UNet's prediction for the rows returned last; True if that completed a step."""
        self._predictions.append(prediction)
        if self.remaining_rows:
            return False
        by_text = torch.cat(self._predictions).float().reshape(-1, *self._window_inputs.shape)
        self._predictions = []
        guided = torch.einsum("t,tnchw->nchw", self.conditioning.guidance_weights, by_text)
        self._step(self._windows.merge(guided.chunk(len(self._windows))))
        return True

    def _step(self, guided: Tensor) -> None:
        timestep = self._timesteps[self.index]
        self._last_step = self._model_input, timestep, guided
        stepped = self._scheduler.step(guided, timestep, self.latents, **self._noise_source, return_dict=False)[0]
        self.index += 1
        self.latents = self._constrained(stepped)

    def _constrained(self, latents: Tensor) -> Tensor:
        """Restore the constrained part of the source, as noisy as the rest."""
        if self._constraint is None:
            return latents
        source, noise_fraction = self._constraint.source, 0.0
        if self.index < len(self._timesteps):
            timestep = self._timesteps[self.index]
            source = noise_schedulers.add_noise(self._scheduler, source, self._constraint.noise, timestep)
            noise_fraction = float(timestep) / len(self._scheduler.alphas_cumprod)
        return self._constraint.apply(latents, source, noise_fraction)

    @property
    def result(self) -> Tensor:
        """Return the latents of the result; after an early stop these are the predicted clean ones."""
        return self.latents if self.steps == len(self._timesteps) else self.predict_original_sample()

    def predict_original_sample(self) -> Tensor:
        """Return the clean latents that the last step predicted."""
        if self._last_step is None:
            return self.latents
        clean = noise_schedulers.predict_original_sample(self._scheduler, *self._last_step)
        return clean if self._constraint is None else self._constraint.apply(clean, self._constraint.source, 0.0)


@dataclass(frozen=True, slots=True)
class EncodedSource:
    """A source, and the moments of its image and of those blended with it."""

    source: SourceImage
    images: tuple[Moments, ...]


def encode_source(source: SourceImage, vae: Vae, unet_lock: threading.Lock) -> EncodedSource:
    """Encode a source with the VAE, off the step loop's thread: a large one takes seconds.

    Raises UserError for a size that the model cannot generate.
    """
    height, width = source.pixels.shape[-2:]
    _check_size(width, height, vae)
    return EncodedSource(
        source, tuple(vae.encode_low_memory(unet_lock, pixels) for pixels in (source.pixels, *source.blended))
    )


def _check_size(width: int, height: int, vae: Vae) -> None:
    if width % vae.scale or height % vae.scale:
        raise UserError(
            Text(
                "{width}×{height} cannot be drawn: width and height must be multiples of {multiple}.",
                width=width,
                height=height,
                multiple=vae.scale,
            )
        )


def prepare_job(
    request: Generate,
    encoded: EncodedSource | None,
    encoder: PromptEncoder,
    vae: Vae,
    model: Model,
    model_scheduler: Any,
) -> DenoisingJob:
    """Prepare a job for its first step; raises UserError for a request that cannot be generated.

    Tile *i* samples everything from its own CPU generator with seed + i, in the order of the stock pipelines. So a
    tile is the same alone, in its grid, and batched with other jobs.
    """
    params = request.params
    vae = vae.seamless if params.seamless else vae
    _check_size(params.width, params.height, vae)
    conditioning = encoder.encode(params)
    scheduler = noise_schedulers.create_scheduler(params, model_scheduler)
    generators = [Generator("cpu").manual_seed(params.seed_of(tile)) for tile in range(params.count)]
    if encoded is None:
        latents = vae.noise(params.width, params.height, generators) * scheduler.init_noise_sigma
        windows = unet_windows(latents, vae, model, wrap=params.seamless)
        first_pass = _first_pass(params, scheduler, scheduler.timesteps)
        return DenoisingJob(
            request, scheduler, scheduler.timesteps, latents, conditioning, generators, None, windows, first_pass
        )
    source, timesteps = encoded.source, noise_schedulers.remaining_timesteps(scheduler, params)
    clean = blend_latents([vae.sample(image, generators) for image in encoded.images])
    noise = vae.noise(params.width, params.height, generators)
    windows = unet_windows(noise, vae, model, wrap=params.seamless)
    constraint: LatentConstraint | None = None
    if (change_map := source.change_map(vae.scale, model.native_size)) is not None:
        constraint = MaskConstraint(change_map.to(clean.device), clean, noise)
        windows = windows.covering(constraint.change_map)
    elif len(windows) > 1 and source.upscale_factor >= 2:
        constraint = LowPassConstraint(round(source.upscale_factor), clean, noise)
        conditioning = encoder.encode(
            replace(params, guidance_scale=constraint.reduced_guidance_scale(params.guidance_scale))
        )
    latents = _initial_latents(params, scheduler, timesteps, constraint, clean, noise)
    first_pass = _first_pass(params, scheduler, timesteps)
    return DenoisingJob(
        request, scheduler, timesteps, latents, conditioning, generators, constraint, windows, first_pass
    )


def _initial_latents(
    params: Params, scheduler: Any, timesteps: Tensor, constraint: LatentConstraint | None, clean: Tensor, noise: Tensor
) -> Tensor:
    if params.strength == 0:
        return clean
    # At strength 1, StableDiffusionInpaintPipeline starts from pure noise; img2img pipelines do not.
    if params.strength == 1 and isinstance(constraint, MaskConstraint):
        pure_noise: Tensor = noise * scheduler.init_noise_sigma
        return pure_noise
    return noise_schedulers.add_noise(scheduler, clean, noise, timesteps[0])


def unet_windows(latents: Tensor, vae: Vae, model: Model, *, wrap: bool) -> Windows:
    """Return the UNet's windows: a single one if it can see the whole canvas at once."""
    height, width = latents.shape[-2:]
    size = window_size((height, width), vae.side, max(1, model.size_multiple // vae.scale), model.max_aspect)
    return layout_windows((height, width), size, wrap=wrap)


def _first_pass(params: Params, scheduler: Any, timesteps: Tensor) -> Pass:
    steps = steps_before_stop(params.stop, len(timesteps))
    if not has_hires_pass(params):
        return Pass(1, 0, steps)
    later = len(scheduler.timesteps) - noise_schedulers.skipped_steps(
        scheduler, params.num_inference_steps, HIRES_STRENGTH
    )
    return Pass(1, 0, steps + HIRES_FACTOR**2 * steps_before_stop(params.stop, later))


def blend_latents(images: Sequence[Tensor]) -> Tensor:
    """Average latents, restoring each channel's mean standard deviation: a plain mean would look dull."""
    if len(images) == 1:
        return images[0]
    mean = torch.stack(list(images)).mean(0)
    target_std = torch.stack([image.std((-2, -1), keepdim=True) for image in images]).mean(0)
    center = mean.mean((-2, -1), keepdim=True)
    return center + (mean - center) * target_std / mean.std((-2, -1), keepdim=True).clamp(min=1e-6)
