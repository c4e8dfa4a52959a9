"""A running job: everything that belongs to one request while it is drawn."""

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


class Rows(NamedTuple):
    """A stretch of a UNet call's batch.

    `pooled` and `time_ids` (see `Windows.measures`) are for SDXL, `guidance` for UNets that guide themselves.
    """

    latents: Tensor
    timesteps: Tensor
    embeddings: Tensor
    pooled: Tensor
    time_ids: Tensor
    guidance: Tensor

    @property
    def conditions(self) -> dict[str, Any]:
        """Give what UNet2DConditionModel is told besides the latents and the timesteps."""
        added = {"text_embeds": self.pooled, "time_ids": self.time_ids}
        return {
            "encoder_hidden_states": self.embeddings,
            "timestep_cond": self.guidance if self.guidance.shape[1] else None,
            "added_cond_kwargs": added if self.pooled.shape[1] else None,
        }


class BatchKey(NamedTuple):
    """What jobs must have in common to share a UNet call."""

    latent_shape: tuple[int, ...]
    text_length: int
    seamless: bool
    loras: tuple[LoraWeight, ...]


@dataclass(frozen=True, slots=True)
class Pass:
    """Which part of a job a pass is: at `factor` times the first size, after `before` of `of` steps at the first."""

    factor: int
    steps_before: int
    total_steps: int


class DenoisingJob:
    """The state of one pass of a job: its latents, its own scheduler, and how far it is.

    A step needs a prediction for each row (every tile with every text, through every window). The rows may be taken in
    several UNet calls; when the last one is there, the scheduler makes the step.
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
        """Give the id of the job that is drawn."""
        return self.request.job_id

    @property
    def key(self) -> BatchKey:
        """Tell with which other jobs a UNet call can be shared."""
        shape = (self.latents.shape[1], *self._windows.size)
        params = self.request.params
        return BatchKey(shape, self.conditioning.embeddings.shape[1], params.seamless, params.lora_set)

    @property
    def pixels(self) -> int:
        """Give the area of one row."""
        area = self.request.params.width * self.request.params.height * self.current_pass.factor**2
        return area * math.prod(self._windows.size) // math.prod(self._windows.canvas)

    @property
    def steps(self) -> int:
        """Give how many steps are made in all."""
        return steps_before_stop(self.request.params.stop, len(self._timesteps))

    @property
    def progress(self) -> tuple[int, int]:
        """Give how many steps are made, of how many, over all passes; a step at twice the size counts for four."""
        return self.current_pass.steps_before + self.current_pass.factor**2 * self.index, self.current_pass.total_steps

    @property
    def done(self) -> bool:
        """Say whether all steps are made."""
        return self.index >= self.steps

    @property
    def is_last_pass(self) -> bool:
        """Say whether the job ends with this pass."""
        return self.current_pass.factor > 1 or not has_hires_pass(self.request.params)

    @property
    def remaining_rows(self) -> int:
        """Give how many rows the step at hand still needs."""
        return self._rows - sum(len(prediction) for prediction in self._predictions)

    @property
    def remaining_pixels(self) -> int:
        """Give how many pixels the UNet still has to see."""
        return (self.steps - self.index) * self._rows * self.pixels

    @property
    def _rows(self) -> int:
        return len(self._windows) * len(self.conditioning.embedding_indices)

    def next_rows(self, count: int) -> Rows:
        """Give the next `count` rows that need a prediction: text by text, then window by window, then tile by tile."""
        timestep = self._timesteps[self.index]
        if not self._predictions:
            self._model_input = self._scheduler.scale_model_input(self.latents, timestep)
            self._window_inputs = torch.cat(list(self._windows.crop(self._model_input)))
        start, tiles, views = self._rows - self.remaining_rows, len(self.latents), len(self._window_inputs)
        indices = torch.arange(start, start + count, device=self.latents.device)
        text_indices = self.conditioning.embedding_indices[indices // views * tiles + indices % tiles]
        return Rows(
            latents=self._window_inputs[indices % views],
            timesteps=timestep.float().expand(count),
            embeddings=self.conditioning.embeddings[text_indices],
            pooled=self.conditioning.pooled[text_indices],
            time_ids=self._time_ids[indices % views // tiles],
            guidance=self.conditioning.guidance.expand(count, -1),
        )

    def add_prediction(self, prediction: Tensor) -> bool:
        """Take the UNet's answer for the rows last given; True if that completed a step."""
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
        """Put back what is held of the source, as noisy as the rest."""
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
        """Give the latents that are shown in the end: the predicted clean ones where the job was to stop early."""
        return self.latents if self.steps == len(self._timesteps) else self.predict_original_sample()

    def predict_original_sample(self) -> Tensor:
        """Give the clean latents as the last step foresaw them."""
        if self._last_step is None:
            return self.latents
        clean = noise_schedulers.predict_original_sample(self._scheduler, *self._last_step)
        return clean if self._constraint is None else self._constraint.apply(clean, self._constraint.source, 0.0)


@dataclass(frozen=True, slots=True)
class EncodedSource:
    """A source, and what the VAE makes of its picture and of those blended with it."""

    source: SourceImage
    images: tuple[Moments, ...]


def encode_source(source: SourceImage, vae: Vae, unet_lock: threading.Lock) -> EncodedSource:
    """Give a source to the VAE, which nobody else's step should wait for: with a large one it takes seconds.

    Raises Complaint for a size that cannot be drawn.
    """
    height, width = source.pixels.shape[-2:]
    _check_size(width, height, vae)
    return EncodedSource(
        source, tuple(vae.encode_low_memory(unet_lock, pixels) for pixels in (source.pixels, *source.blended))
    )


def _check_size(width: int, height: int, vae: Vae) -> None:
    if width % vae.scale or height % vae.scale:
        raise UserError(f"{width}×{height} cannot be drawn: both must be multiples of {vae.scale}.")


def prepare_job(
    request: Generate,
    encoded: EncodedSource | None,
    encoder: PromptEncoder,
    vae: Vae,
    model: Model,
    model_scheduler: Any,
) -> DenoisingJob:
    """Make a job ready for its first step; raises Complaint for what cannot be drawn.

    Tile *i* draws everything from its own CPU generator with seed + i, in the order in which the stock pipelines
    draw, so that a tile is the same alone, in its grid, and in company.
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
    clean = blend_latents([vae.sample(picture, generators) for picture in encoded.images])
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
    if params.strength == 1 and isinstance(
        constraint, MaskConstraint
    ):  # so does StableDiffusionInpaintPipeline, and it alone
        pure_noise: Tensor = noise * scheduler.init_noise_sigma
        return pure_noise
    return noise_schedulers.add_noise(scheduler, clean, noise, timesteps[0])


def unet_windows(latents: Tensor, vae: Vae, model: Model, *, wrap: bool) -> Windows:
    """Give the whole canvas as the one window where the UNet can see it at once."""
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
    """Mix latents in equal parts, channel by channel as lively as the pictures are: a plain mean would be dull."""
    if len(images) == 1:
        return images[0]
    mean = torch.stack(list(images)).mean(0)
    target_std = torch.stack([picture.std((-2, -1), keepdim=True) for picture in images]).mean(0)
    center = mean.mean((-2, -1), keepdim=True)
    return center + (mean - center) * target_std / mean.std((-2, -1), keepdim=True).clamp(min=1e-6)
