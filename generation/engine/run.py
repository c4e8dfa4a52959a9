"""A running job: everything that belongs to one request while it is drawn."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from generation.engine import sampling
from generation.engine.conditioning import Conditioning, PromptEncoder
from generation.engine.holding import Anchored, Hold, Kept
from generation.engine.pictures import Source
from generation.engine.vae import Moments, Vae
from generation.engine.windows import Windows, lay
from generation.errors import Complaint
from generation.messages import Generate
from generation.models import Model
from generation.params import LoraUse, Params
from generation.passes import HD_FACTOR, HD_STRENGTH, goes_twice, steps_until
from generation.windows import window_for


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
    loras: tuple[LoraUse, ...]


@dataclass(frozen=True, slots=True)
class Lap:
    """Which part of a job a pass is: at `factor` times the first size, after `before` of `of` steps at the first."""

    factor: int
    before: int
    of: int


class Run:
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
        hold: Hold | None,
        windows: Windows,
        lap: Lap,
    ) -> None:
        self.request = request
        self.latents = latents
        self.conditioning, self.generators = conditioning, generators
        self.lap = lap
        self.index = 0
        self._scheduler = scheduler
        self._timesteps = timesteps
        self._hold = hold
        self._noise_source = {"generator": generators} if sampling.takes_generator(scheduler) else {}
        self._windows = windows
        self._measures = windows.measures(request.params.width * lap.factor // windows.canvas[1]).to(latents.device)
        self._predictions: list[Tensor] = []
        self._seen = self._views = latents
        self._clean: tuple[Tensor, Tensor, Tensor] | None = None

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
        area = self.request.params.width * self.request.params.height * self.lap.factor**2
        return area * math.prod(self._windows.size) // math.prod(self._windows.canvas)

    @property
    def steps(self) -> int:
        """Give how many steps are made in all."""
        return steps_until(self.request.params.stop, len(self._timesteps))

    @property
    def progress(self) -> tuple[int, int]:
        """Give how many steps are made, of how many, over all passes; a step at twice the size counts for four."""
        return self.lap.before + self.lap.factor**2 * self.index, self.lap.of

    @property
    def done(self) -> bool:
        """Say whether all steps are made."""
        return self.index >= self.steps

    @property
    def is_last(self) -> bool:
        """Say whether the job ends with this pass."""
        return self.lap.factor > 1 or not goes_twice(self.request.params)

    @property
    def rows_left(self) -> int:
        """Give how many rows the step at hand still needs."""
        return self._rows - sum(len(prediction) for prediction in self._predictions)

    @property
    def work_left(self) -> int:
        """Give how many pixels the UNet still has to see."""
        return (self.steps - self.index) * self._rows * self.pixels

    @property
    def _rows(self) -> int:
        return len(self._windows) * len(self.conditioning.rows)

    def rows(self, count: int) -> Rows:
        """Give the next `count` rows that need a prediction: text by text, then window by window, then tile by tile."""
        timestep = self._timesteps[self.index]
        if not self._predictions:
            self._seen = self._scheduler.scale_model_input(self.latents, timestep)
            self._views = torch.cat(list(self._windows.views(self._seen)))
        start, tiles, views = self._rows - self.rows_left, len(self.latents), len(self._views)
        wanted = torch.arange(start, start + count, device=self.latents.device)
        told = self.conditioning.rows[wanted // views * tiles + wanted % tiles]
        return Rows(
            latents=self._views[wanted % views],
            timesteps=timestep.float().expand(count),
            embeddings=self.conditioning.embeddings[told],
            pooled=self.conditioning.pooled[told],
            time_ids=self._measures[wanted % views // tiles],
            guidance=self.conditioning.guidance.expand(count, -1),
        )

    def take(self, prediction: Tensor) -> bool:
        """Take the UNet's answer for the rows last given; True if that completed a step."""
        self._predictions.append(prediction)
        if self.rows_left:
            return False
        by_text = torch.cat(self._predictions).float().reshape(-1, *self._views.shape)
        self._predictions = []
        guided = torch.einsum("t,tnchw->nchw", self.conditioning.coefficients, by_text)
        self._step(self._windows.join(guided.chunk(len(self._windows))))
        return True

    def _step(self, guided: Tensor) -> None:
        timestep = self._timesteps[self.index]
        self._clean = self._seen, timestep, guided
        stepped = self._scheduler.step(guided, timestep, self.latents, **self._noise_source, return_dict=False)[0]
        self.index += 1
        self.latents = self._held(stepped)

    def _held(self, latents: Tensor) -> Tensor:
        """Put back what is held of the source, as noisy as the rest."""
        if self._hold is None:
            return latents
        source, noise_left = self._hold.source, 0.0
        if self.index < len(self._timesteps):
            timestep = self._timesteps[self.index]
            source = sampling.noisy(self._scheduler, source, self._hold.noise, timestep)
            noise_left = float(timestep) / len(self._scheduler.alphas_cumprod)
        return self._hold.restore(latents, source, noise_left)

    @property
    def result(self) -> Tensor:
        """Give the latents that are shown in the end: the predicted clean ones where the job was to stop early."""
        return self.latents if self.steps == len(self._timesteps) else self.predicted_clean()

    def predicted_clean(self) -> Tensor:
        """Give the clean latents as the last step foresaw them."""
        if self._clean is None:
            return self.latents
        clean = sampling.predicted_clean(self._scheduler, *self._clean)
        return clean if self._hold is None else self._hold.restore(clean, self._hold.source, 0.0)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A source, and what the VAE makes of its picture and of those blended with it."""

    source: Source
    pictures: tuple[Moments, ...]


def encode(source: Source, vae: Vae, unet_call: threading.Lock) -> Encoded:
    """Give a source to the VAE, which nobody else's step should wait for: with a large one it takes seconds.

    Raises Complaint for a size that cannot be drawn.
    """
    height, width = source.pixels.shape[-2:]
    _check_size(width, height, vae)
    return Encoded(source, tuple(vae.encode_beside(unet_call, pixels) for pixels in (source.pixels, *source.blended)))


def _check_size(width: int, height: int, vae: Vae) -> None:
    if width % vae.scale or height % vae.scale:
        raise Complaint(f"{width}×{height} cannot be drawn: both must be multiples of {vae.scale}.")


def prepare(
    request: Generate, encoded: Encoded | None, encoder: PromptEncoder, vae: Vae, model: Model, own_scheduler: Any
) -> Run:
    """Make a job ready for its first step; raises Complaint for what cannot be drawn.

    Tile *i* draws everything from its own CPU generator with seed + i, in the order in which the stock pipelines
    draw, so that a tile is the same alone, in its grid, and in company.
    """
    params = request.params
    vae = vae.endless if params.seamless else vae
    _check_size(params.width, params.height, vae)
    conditioning = encoder.condition(params)
    scheduler = sampling.scheduler_for(params, own_scheduler)
    generators = [Generator("cpu").manual_seed(params.seed_of(tile)) for tile in range(params.count)]
    if encoded is None:
        latents = vae.noise(params.width, params.height, generators) * scheduler.init_noise_sigma
        windows = windows_for(latents, vae, model, endless=params.seamless)
        lap = _first_lap(params, scheduler, scheduler.timesteps)
        return Run(request, scheduler, scheduler.timesteps, latents, conditioning, generators, None, windows, lap)
    source, timesteps = encoded.source, sampling.remaining_timesteps(scheduler, params)
    clean = mixed([vae.choose(picture, generators) for picture in encoded.pictures])
    noise = vae.noise(params.width, params.height, generators)
    windows = windows_for(noise, vae, model, endless=params.seamless)
    hold: Hold | None = None
    if (freedom := source.freedom(vae.scale, model.native_size)) is not None:
        hold = Kept(freedom.to(clean.device), clean, noise)
        windows = windows.over(hold.freedom)
    elif len(windows) > 1 and source.enlarged >= 2:
        hold = Anchored(round(source.enlarged), clean, noise)
        conditioning = encoder.condition(replace(params, guidance_scale=hold.guidance(params.guidance_scale)))
    latents = _start(params, scheduler, timesteps, hold, clean, noise)
    lap = _first_lap(params, scheduler, timesteps)
    return Run(request, scheduler, timesteps, latents, conditioning, generators, hold, windows, lap)


def _start(
    params: Params, scheduler: Any, timesteps: Tensor, hold: Hold | None, clean: Tensor, noise: Tensor
) -> Tensor:
    if params.strength == 0:
        return clean
    if params.strength == 1 and isinstance(hold, Kept):  # so does StableDiffusionInpaintPipeline, and it alone
        pure: Tensor = noise * scheduler.init_noise_sigma
        return pure
    return sampling.noisy(scheduler, clean, noise, timesteps[0])


def windows_for(latents: Tensor, vae: Vae, model: Model, *, endless: bool) -> Windows:
    """Give the whole canvas as the one window where the UNet can see it at once."""
    height, width = latents.shape[-2:]
    size = window_for((height, width), vae.side, max(1, model.size_multiple // vae.scale), model.max_aspect)
    return lay((height, width), size, endless=endless)


def _first_lap(params: Params, scheduler: Any, timesteps: Tensor) -> Lap:
    steps = steps_until(params.stop, len(timesteps))
    if not goes_twice(params):
        return Lap(1, 0, steps)
    later = len(scheduler.timesteps) - sampling.skipped(scheduler, params.num_inference_steps, HD_STRENGTH)
    return Lap(1, 0, steps + HD_FACTOR**2 * steps_until(params.stop, later))


def mixed(pictures: Sequence[Tensor]) -> Tensor:
    """Mix latents in equal parts, channel by channel as lively as the pictures are: a plain mean would be dull."""
    if len(pictures) == 1:
        return pictures[0]
    mean = torch.stack(list(pictures)).mean(0)
    lively = torch.stack([picture.std((-2, -1), keepdim=True) for picture in pictures]).mean(0)
    middle = mean.mean((-2, -1), keepdim=True)
    return middle + (mean - middle) * lively / mean.std((-2, -1), keepdim=True).clamp(min=1e-6)
