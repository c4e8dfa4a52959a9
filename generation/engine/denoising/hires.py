"""The hires pass of `--hd`: the same images at twice the size, with more detail."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import torch
from torch import Tensor

from generation.engine.conditioning.encoder import Stage
from generation.engine.denoising.control import Control
from generation.engine.denoising.job import DenoisingJob, Pass, mix
from generation.engine.images.constraints import LowPassConstraint
from generation.engine.images.windows import layout_windows
from generation.engine.networks.sampler_tables import SamplerTables
from generation.engine.networks.vae import Vae
from generation.planning.compute_cost import HIRES_FACTOR, HIRES_STRENGTH


@torch.inference_mode()
def upscale_latents(first: DenoisingJob, vae: Vae, unet_lock: threading.Lock) -> Tensor:
    """Return the first pass's final latents at twice their size."""
    vae = vae.suited(first.request.params)
    return torch.cat([vae.upscale(unet_lock, tile, HIRES_FACTOR) for tile in torch.split(first.result, 1)])


def prepare_hires_pass(
    first: DenoisingJob,
    upscaled: Tensor,
    vae: Vae,
    samplers: SamplerTables,
    controls: Sequence[Control] = (),
    original: Tensor | None = None,
) -> DenoisingJob:
    """Prepare the second pass; each tile keeps its own generator and conditioning.

    The UNet sees the whole canvas at once, despite its size: through windows it would repeat the prompt in each.
    """
    params = first.request.params
    sampler = samplers.get(params, HIRES_STRENGTH)
    width, height = HIRES_FACTOR * params.width, HIRES_FACTOR * params.height
    noises = first.noises[-len(upscaled) :]
    noise = vae.noise(width, height, noises)
    canvas = height // vae.scale, width // vae.scale
    return DenoisingJob(
        first.request,
        sampler,
        mix(sampler.steps[0], upscaled, noise),
        [Stage(0, first.conditioning.of_other_words())],
        noises,
        LowPassConstraint(HIRES_FACTOR, upscaled, noise),
        layout_windows(canvas, canvas),
        Pass(HIRES_FACTOR, first.steps, first.current_pass.total_steps),
        controls=controls,
        image_prompts=first.image_prompts,
        original=original,
    )
