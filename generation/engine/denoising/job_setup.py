"""Prepare a denoising job for its first step, from the request and the latents of its pictures."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from generation.engine.conditioning.encoder import PromptEncoder, Stage
from generation.engine.denoising.control import Control
from generation.engine.denoising.image_prompts import ImagePrompt
from generation.engine.denoising.job import DenoisingJob, Pass, mix
from generation.engine.denoising.style import StyleReference, row_size, style_reference
from generation.engine.device.transfer import to_device
from generation.engine.images.constraints import (
    HeldSource,
    LatentConstraint,
    LowPassConstraint,
    MaskConstraint,
    MixConstraint,
)
from generation.engine.images.io import SourceImage
from generation.engine.images.noise import Noise, NoiseBetween
from generation.engine.images.windows import Windows, layout_windows
from generation.engine.networks.sampler_tables import SamplerTable, SamplerTables
from generation.engine.networks.vae import Moments, Vae
from generation.errors import UserError
from generation.messages import Generate
from generation.models.model import Model
from generation.params import Params, Tile
from generation.planning.compute_cost import HIRES_FACTOR, HIRES_STRENGTH, has_hires_pass, steps_before_stop
from generation.planning.film_pictures import walk_end
from generation.planning.holding import holds
from generation.planning.mixing import SHAPES_SHARE, drawn_words
from generation.text import Text


@dataclass(frozen=True, slots=True)
class EncodedSource:
    """A source, and the moments of its image and of those blended with it."""

    source: SourceImage
    images: tuple[Moments, ...]


class EncodedPictures(NamedTuple):
    """What a job's pictures are to the UNet: encoded before its first step."""

    source: EncodedSource | None = None
    style: Tensor | None = None
    controls: tuple[Control, ...] = ()
    image_prompts: tuple[ImagePrompt, ...] = ()
    original: Tensor | None = None

    @property
    def tensors(self) -> Iterator[Tensor]:
        """Yield all that they have on the device."""
        yield from () if self.source is None else chain.from_iterable(self.source.images)
        yield from (control.picture for control in self.controls)
        yield from chain.from_iterable(prompt.tensors for prompt in self.image_prompts)
        yield from (each for each in (self.style, self.original) if each is not None)


def encode_source(source: SourceImage, vae: Vae, unet_lock: threading.Lock) -> EncodedSource:
    """Encode a source with the VAE, off the step loop's thread: a large one takes seconds.

    Raises UserError for a size that the model cannot generate.
    """
    height, width = source.pixels.shape[-2:]
    check_size(width, height, vae)
    return EncodedSource(
        source, tuple(vae.encode_low_memory(unet_lock, pixels) for pixels in (source.pixels, *source.blended))
    )


def check_size(width: int, height: int, vae: Vae) -> None:
    """Raise UserError for a size that the VAE cannot make."""
    if width % vae.scale or height % vae.scale:
        raise UserError(
            Text(
                "{width}×{height} cannot be drawn: width and height must be multiples of {multiple}.",
                width=width,
                height=height,
                multiple=vae.scale,
            )
        )


def pass_strengths(request: Generate) -> tuple[float, ...]:
    """Return the strength of each pass that a request needs a sampler's table for; a reading needs none."""
    params = request.params
    if params.reading is not None:
        return ()
    first = 1.0 if request.source is None else params.strength
    return (first, HIRES_STRENGTH) if has_hires_pass(params) else (first,)


def prepare_job(
    request: Generate,
    pictures: EncodedPictures,
    encoder: PromptEncoder,
    vae: Vae,
    model: Model,
    samplers: SamplerTables,
) -> DenoisingJob:
    """Prepare a job for its first step; raises UserError for a request that cannot be generated.

    Tile *i* samples everything from its own CPU generator with seed + i, in the order of the stock pipelines. So a
    tile is the same alone, in its grid, and batched with other jobs.
    """
    params = request.params
    vae = vae.suited(params)
    check_size(params.width, params.height, vae)
    sampler = samplers.get(params, 1.0 if pictures.source is None else params.strength)
    noises = _noises(request)
    start = _start(params, pictures.source, sampler, noises, vae, model)
    stages = encoder.encode(drawn_words(start.params), request.places, len(sampler.steps))
    return DenoisingJob(
        request,
        sampler,
        start.latents,
        stages,
        noises,
        start.constraint,
        start.windows,
        _first_pass(params, sampler, samplers),
        _style(request, pictures, encoder, stages, vae),
        pictures.controls,
        pictures.image_prompts,
        pictures.original,
    )


class _Start(NamedTuple):
    """What a job starts from: its latents, the UNet's windows on them, what stays of a source, and what is encoded."""

    latents: Tensor
    windows: Windows
    constraint: LatentConstraint | None
    params: Params


def _start(
    params: Params,
    encoded: EncodedSource | None,
    sampler: SamplerTable,
    noises: Sequence[Noise],
    vae: Vae,
    model: Model,
) -> _Start:
    if encoded is None:
        latents = vae.noise(params.width, params.height, noises) * sampler.noise_scale
        return _Start(latents, unet_windows(latents, vae, model, wrap=params.seamless), None, params)
    source = encoded.source
    clean = blend_latents([vae.sample(image, noises) for image in encoded.images])
    noise = vae.noise(params.width, params.height, noises)
    windows = unet_windows(noise, vae, model, wrap=params.seamless)
    constraint: LatentConstraint | None = None
    guided = params
    if (change_map := source.change_map(vae.scale, model.native_size)) is not None:
        windows = windows.covering(change_map)
        constraint = MaskConstraint(to_device(change_map, clean.device), clean, noise)
    elif params.retouch and holds(drawn_words(params)):
        constraint = HeldSource(clean, noise)
    elif len(windows) > 1 and source.upscale_factor >= 2:
        constraint = LowPassConstraint(round(source.upscale_factor), clean, noise)
        guided = replace(params, guidance_scale=constraint.reduced_guidance_scale(params.guidance_scale))
    elif params.mix and sampler.steps and not is_upscale(params, source):
        constraint = _mixing(params, sampler, clean, noise)
    return _Start(_initial_latents(params, sampler, constraint, clean, noise), windows, constraint, guided)


def _style(
    request: Generate, pictures: EncodedPictures, encoder: PromptEncoder, stages: Sequence[Stage], vae: Vae
) -> StyleReference | None:
    """Return the style that a job takes over, with a text as long as its own; an upscaled image has one already."""
    source = None if pictures.source is None else pictures.source.source
    if pictures.style is None or is_upscale(request.params, source):
        return None
    text = encoder.embed_texts([""], stages[0].conditioning.embeddings.shape[1] // encoder.text_length(1))
    return style_reference(request, pictures.style, text, vae)


def _mixing(params: Params, sampler: SamplerTable, clean: Tensor, noise: Tensor) -> MixConstraint:
    """Return what mixes a source in while the shapes of another idea are decided."""
    return MixConstraint(params.mix_keep / 100, SHAPES_SHARE * sampler.steps[0].noise_fraction, clean, noise)


def is_upscale(params: Params, source: SourceImage | None) -> bool:
    """Return whether an image of the bot is drawn larger: it has its style and its composition already."""
    return source is not None and isinstance(params.source, Tile) and source.upscale_factor > 1


def _noises(request: Generate) -> list[Noise]:
    """Return each tile's source of noise: its own seed, or its place in a walk from one seed to another."""
    params = request.params
    if not request.places:
        return [Generator("cpu").manual_seed(params.seed_of(tile)) for tile in range(params.count)]
    end = walk_end(params)
    return [NoiseBetween(_seeded(params), _seeded(end), place) for place in request.places]


def _seeded(params: Params) -> Generator:
    return Generator("cpu").manual_seed(params.seed_of(0))


def _initial_latents(
    params: Params, sampler: SamplerTable, constraint: LatentConstraint | None, clean: Tensor, noise: Tensor
) -> Tensor:
    if params.strength == 0:
        return clean
    # At strength 1, StableDiffusionInpaintPipeline starts from pure noise; img2img pipelines do not.
    if params.strength == 1 and isinstance(constraint, MaskConstraint):
        return noise * sampler.noise_scale
    return mix(sampler.steps[0], clean, noise)


def unet_windows(latents: Tensor, vae: Vae, model: Model, *, wrap: bool) -> Windows:
    """Return the UNet's windows: a single one if it can see the whole canvas at once."""
    height, width = latents.shape[-2:]
    return layout_windows((height, width), row_size((height, width), vae, model), wrap=wrap)


def _first_pass(params: Params, sampler: SamplerTable, samplers: SamplerTables) -> Pass:
    steps = steps_before_stop(params.stop, len(sampler.steps))
    if not has_hires_pass(params):
        return Pass(1, 0, steps)
    later = steps_before_stop(params.stop, len(samplers.get(params, HIRES_STRENGTH).steps))
    return Pass(1, 0, steps + HIRES_FACTOR**2 * later)


def blend_latents(images: Sequence[Tensor]) -> Tensor:
    """Average latents, restoring each channel's mean standard deviation: a plain mean would look dull."""
    if len(images) == 1:
        return images[0]
    mean = torch.stack(list(images)).mean(0)
    target_std = torch.stack([image.std((-2, -1), keepdim=True) for image in images]).mean(0)
    center = mean.mean((-2, -1), keepdim=True)
    return center + (mean - center) * target_std / mean.std((-2, -1), keepdim=True).clamp(min=1e-6)
