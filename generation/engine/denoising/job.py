"""A denoising job: the state of one request while its images are generated."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from generation.engine.conditioning.encoder import Stage
from generation.engine.denoising.control import Control
from generation.engine.denoising.hold import Hold, twin
from generation.engine.denoising.image_prompts import ImagePrompt
from generation.engine.denoising.rows import LEADER, ORIGINAL, SHARE, Rows, join_rows, text_columns
from generation.engine.denoising.style import StyleReference
from generation.engine.device.transfer import to_device
from generation.engine.images.constraints import HeldSource, LatentConstraint
from generation.engine.images.noise import Noise, NoiseBetween, draw_noise
from generation.engine.images.windows import Windows
from generation.engine.networks.control import ControlNetwork
from generation.engine.networks.image_attention import PicturedRows
from generation.engine.networks.noise_schedulers import takes_generator
from generation.engine.networks.sampler_tables import NOISE, SamplerStep, SamplerTable, Term
from generation.messages import Generate
from generation.params import LoraWeight
from generation.planning.compute_cost import has_hires_pass, steps_before_stop


class BatchKey(NamedTuple):
    """The properties that jobs must have in common to share a UNet call."""

    latent_shape: tuple[int, ...]
    text_length: int
    seamless: bool
    loras: tuple[LoraWeight, ...]
    leaders: bool = False


@dataclass(frozen=True, slots=True)
class Pass:
    """A pass of a job at `factor` times the first size, after `steps_before` of `total_steps` at the first size."""

    factor: int
    steps_before: int
    total_steps: int


class _RowNumbers(NamedTuple):
    """For each row the numbers of its text's embedding, its input, its window and its text."""

    embeddings: Tensor
    inputs: Tensor
    windows: Tensor
    texts: Tensor


class DenoisingJob:
    """The state of one pass of a job: its latents, the table of its sampler, and its progress.

    A step needs a prediction for each row (every tile with every text, through every window). The rows may be spread
    over several UNet calls; once the last prediction is added, `advance` makes the step.
    """

    def __init__(
        self,
        request: Generate,
        sampler: SamplerTable,
        latents: Tensor,
        stages: Sequence[Stage],
        noises: Sequence[Noise],
        constraint: LatentConstraint | None,
        windows: Windows,
        current_pass: Pass,
        style: StyleReference | None = None,
        controls: Sequence[Control] = (),
        image_prompts: Sequence[ImagePrompt] = (),
        original: Tensor | None = None,
    ) -> None:
        self.request = request
        self.conditioning = stages[0].conditioning
        self._hold = Hold() if self.conditioning.holds else None
        self.latents = latents if self._hold is None else torch.cat([latents, latents])
        self.noises = noises if self._hold is None else [*noises, *map(twin, noises)]
        self._later_stages = list(stages[1:])
        self.current_pass = current_pass
        self.index = 0
        self._sampler, self._scheduler = sampler, copy.deepcopy(sampler.scheduler)
        self._constraint = constraint
        self._windows, self._style = windows, style
        self._controls = [control.cropped(windows) for control in controls]
        self.image_prompts = image_prompts
        self._originals = None if original is None else torch.cat(list(windows.crop(original)))
        time_ids = windows.time_ids(request.params.width * current_pass.factor // windows.canvas[1])
        self._time_ids = to_device(time_ids, latents.device)
        self._row_numbers = self._number_rows()
        self._predictions: list[Tensor] = []
        self._window_inputs = self.latents
        self._noise: Tensor | None = None
        self._history: list[tuple[Tensor, Tensor]] = []  # latents and guided predictions, the newest first

    @property
    def job_id(self) -> str:
        """Return the job's id."""
        return self.request.job_id

    @property
    def key(self) -> BatchKey:
        """Return the key that jobs sharing a UNet call have in common."""
        shape = (self.latents.shape[1], *self._windows.size)
        params = self.request.params
        text_length = self.conditioning.embeddings.shape[1]
        return BatchKey(shape, text_length, params.seamless, params.lora_set, self.leader_rows > 0)

    @property
    def pixels(self) -> int:
        """Return the area of one row in pixels."""
        area = self.request.params.width * self.request.params.height * self.current_pass.factor**2
        return area * math.prod(self._windows.size) // math.prod(self._windows.canvas)

    @property
    def steps(self) -> int:
        """Return how many steps the pass makes."""
        return steps_before_stop(self.request.params.stop, len(self._sampler.steps))

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
    def networks(self) -> list[ControlNetwork]:
        """Return the ControlNets that guide it."""
        return [control.network for control in self._controls]

    @property
    def leader_rows(self) -> int:
        """Return how many rows each call needs beside those that get a prediction: one for a style reference."""
        return 1 if self._style is not None and self._style.attention else 0

    @property
    def remaining_pixels(self) -> int:
        """Return how many pixels the UNet still has to process."""
        return (self.steps - self.index) * (self._rows + self.leader_rows) * self.pixels

    @property
    def _rows(self) -> int:
        return len(self._windows) * len(self.conditioning.embedding_indices)

    def _number_rows(self) -> _RowNumbers:
        """Return what each row belongs to; rows are ordered by text, then window, then tile."""
        tiles, windows = len(self.latents), len(self._windows)
        rows = torch.arange(self._rows)
        texts, inputs = rows // (tiles * windows), rows % (tiles * windows)
        embeddings = texts * tiles + rows % tiles
        numbers = _RowNumbers(
            *to_device(torch.stack([embeddings, inputs, inputs // tiles, texts]), self.latents.device)
        )
        return numbers._replace(embeddings=self.conditioning.embedding_indices[numbers.embeddings])

    def next_rows(self, count: int) -> Rows:
        """Return the next `count` rows that need a prediction, ordered by text, then window, then tile.

        The row of a style reference comes before them.
        """
        if not self._predictions:
            model_input = self.latents * self._sampler.steps[self.index].input_scale
            self._window_inputs = torch.cat(list(self._windows.crop(model_input)))
        start = self._rows - self.remaining_rows
        numbers = _RowNumbers(*(indices[start : start + count] for indices in self._row_numbers))
        pooled, time_ids = self.conditioning.pooled[numbers.embeddings], self._time_ids[numbers.windows]
        rows = Rows(
            latents=self._window_inputs[numbers.inputs],
            timesteps=self._sampler.timesteps[self.index].expand(count),
            embeddings=self.conditioning.embeddings[numbers.embeddings],
            columns=self._columns(pooled, time_ids) | self._original_column(numbers),
            controls=tuple(control.rows(numbers.windows) for control in self._controls),
            images=tuple(self._pictured(numbers.texts)),
        )
        return self._led(rows, self._style) if self._style is not None and self.leader_rows else rows

    def _pictured(self, texts: Tensor) -> Iterator[PicturedRows]:
        """Yield the parts of a call that attend to images: rows of a text that pushes away see none in their place."""
        if self.image_prompts:
            seen = self.conditioning.attracts.long()[texts]
            yield from (prompt.rows(seen) for prompt in self.image_prompts)

    def _led(self, rows: Rows, style: StyleReference) -> Rows:
        """Return rows that attend to a style reference, whose own row, as noisy as theirs, comes first."""
        step, count = self._sampler.steps[self.index], len(rows)
        leader = Rows(
            latents=mix(step, style.latents, style.noise) * step.input_scale,
            timesteps=rows.timesteps[:1],
            embeddings=style.text.states,
            columns=self._columns(style.text.pooled, style.time_ids),
        )
        places = torch.arange(1, count + 1, device=rows.latents.device)
        shares = torch.full((count,), style.attention, device=rows.latents.device)
        return join_rows([leader, replace(rows, columns={**rows.columns, LEADER: places, SHARE: shares})])

    def _original_column(self, numbers: _RowNumbers) -> dict[str, Tensor]:
        """Return the column with what rows see of the picture that the job changes, if it changes one."""
        if self._originals is None:
            return {}
        sees = self.conditioning.sees_original[numbers.texts]
        return {ORIGINAL: self._originals[numbers.windows] * sees[:, None, None, None]}

    def _columns(self, pooled: Tensor, time_ids: Tensor) -> dict[str, Tensor]:
        return text_columns(pooled, time_ids, self.conditioning.guidance)

    def add_prediction(self, prediction: Tensor) -> bool:
        """Add the UNet's prediction for the rows returned last; True if all rows of the step have theirs."""
        self._predictions.append(prediction[self.leader_rows :])
        if self.remaining_rows:
            return False
        by_text = torch.cat(self._predictions).float().reshape(-1, *self._window_inputs.shape)
        guided = self._guided(by_text, self.conditioning.guidance_weights)
        if self._hold is not None:
            self._look_for_changes(guided, by_text, self._hold)
        guided = guided if self._style is None else self._restyled(guided, self._style)
        guided = guided if self._hold is None else self._hold.apply(guided)
        self._predictions = []
        self._history = [(self.latents, guided), *self._history[: self._sampler.max_age]]
        return True

    def _guided(self, by_text: Tensor, weights: Tensor) -> Tensor:
        """Return the sum of the predictions for each text, times the weights of the texts or those of each tile."""
        if weights.ndim == 1:
            guided = torch.einsum("t,tnchw->nchw", weights, by_text)
        else:
            guided = torch.einsum("tn,tnchw->nchw", weights.repeat(1, len(self._windows)), by_text)
        return self._windows.merge(guided.chunk(len(self._windows)))

    def _look_for_changes(self, guided: Tensor, by_text: Tensor, hold: Hold) -> None:
        weights = self.conditioning.guidance_weights
        with_each_others_words = self._guided(by_text, weights.roll(weights.shape[1] // 2, dims=1))
        hold.look(guided.chunk(2)[0], with_each_others_words.chunk(2)[0])

    def _restyled(self, guided: Tensor, style: StyleReference) -> Tensor:
        """Return the prediction whose clean latents have the colours of a style reference."""
        step = self._sampler.steps[self.index]
        of_input, of_prediction = step.clean
        known = of_input * step.input_scale * self.latents
        return (style.restyle(known + of_prediction * guided) - known) / of_prediction

    @property
    def factors(self) -> Mapping[Term, float]:
        """Return the factors of the sum that the next latents are."""
        return self._sampler.steps[self.index].factors

    def value(self, term: Term) -> Tensor:
        """Return what a factor belongs to; the latents in place of what this job's sampler does not use."""
        if term == NOISE:
            return self.latents if self._noise is None else self._noise
        age = min(term.age, len(self._history) - 1)
        return self._history[age][0 if term.kind == "latents" else 1]

    def sample_noise(self) -> None:
        """Sample each tile's noise for the step from its own generator, if the sampler does."""
        if self._noise is None and self._sampler.steps[self.index].samples_noise:
            shape = (1, *self.latents.shape[1:])
            noise = torch.cat([draw_noise(noise, shape) for noise in self.noises])
            self._noise = to_device(noise, self.latents.device)

    def scheduler_step(self) -> Tensor:
        """Return the next latents by diffusers' scheduler, for a sampler that has no table."""
        latents, guided = self._history[0]
        timestep = self._scheduler.timesteps[self.index + len(self._scheduler.timesteps) - len(self._sampler.steps)]
        generators = [noise.start if isinstance(noise, NoiseBetween) else noise for noise in self.noises]
        noise_source = {"generator": generators} if takes_generator(self._scheduler) else {}
        self._scheduler.scale_model_input(latents, timestep)
        stepped: Tensor = self._scheduler.step(guided, timestep, latents, **noise_source, return_dict=False)[0]
        return stepped

    @property
    def has_table(self) -> bool:
        """Return whether the sampler's steps are in its table."""
        return self._scheduler is None

    def constrained(self, latents: Tensor) -> Tensor:
        """Return the next latents with the constrained part of the source, as noisy as the rest, and the held part."""
        if self._constraint is None:
            return latents if self._hold is None else self._hold.apply(latents)
        if self.index + 1 == len(self._sampler.steps):
            return self._constrain(self._constraint, latents, self._constraint.source, 0.0)
        step = self._sampler.steps[self.index + 1]
        source = mix(step, self._constraint.source, self._constraint.noise)
        return self._constrain(self._constraint, latents, source, step.noise_fraction)

    def _constrain(
        self, constraint: LatentConstraint, latents: Tensor, source: Tensor, noise_fraction: float
    ) -> Tensor:
        """Return latents with a constraint, which holds for the picture that is held too, or for that one alone."""
        if self._hold is None:
            return constraint.apply(latents, source, noise_fraction)
        held, edited = latents.chunk(2)
        held = constraint.apply(held, source, noise_fraction)
        if not isinstance(constraint, HeldSource):
            edited = constraint.apply(edited, source, noise_fraction)
        return self._hold.apply(torch.cat([held, edited]))

    def finish_step(self, latents: Tensor) -> None:
        """End the step with these latents."""
        self.index += 1
        self.latents, self._noise = latents, None
        if self._later_stages and self._later_stages[0].first_step == self.index:
            self.conditioning = self._later_stages.pop(0).conditioning
            self._row_numbers = self._number_rows()

    @property
    def result(self) -> Tensor:
        """Return the latents of the result; after an early stop these are the predicted clean ones."""
        is_whole = self.steps == len(self._sampler.steps)
        return self._of_result(self.latents) if is_whole else self.predict_original_sample()

    def predict_original_sample(self) -> Tensor:
        """Return the clean latents that the last step predicted."""
        if not self.index:
            return self._of_result(self.latents)
        step, (latents, guided) = self._sampler.steps[self.index - 1], self._history[0]
        of_input, of_prediction = step.clean
        clean = of_input * step.input_scale * latents + of_prediction * guided
        if self._constraint is not None:
            clean = self._constrain(self._constraint, clean, self._constraint.source, 0.0)
        return self._of_result(clean)

    def _of_result(self, values: Tensor) -> Tensor:
        """Return the values of the tiles that are the result: all, or those with other words."""
        return values if self._hold is None else values.chunk(2)[1]


def mix(step: SamplerStep, clean: Tensor, noise: Tensor) -> Tensor:
    """Return clean latents with as much noise as the latents have before a step."""
    of_clean, of_noise = step.mix
    return of_clean * clean + of_noise * noise
