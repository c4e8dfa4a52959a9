"""The second pass of `--hd`: the same pictures once more at twice the size, with the detail that they lack."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from generation.engine import sampling
from generation.engine.holding import Anchored
from generation.engine.run import Lap, Run
from generation.engine.vae import Vae
from generation.engine.windows import lay
from generation.passes import HD_FACTOR, HD_STRENGTH


@torch.inference_mode()
def enlarge(first: Run, vae: Vae, unet_call: threading.Lock) -> Tensor:
    """Give the latents that the first pass came to at twice their size."""
    vae = vae.endless if first.request.params.seamless else vae
    return torch.cat([vae.enlarge(unet_call, tile, HD_FACTOR) for tile in torch.split(first.result, 1)])


def second_pass(first: Run, enlarged: Tensor, vae: Vae, own_scheduler: Any) -> Run:
    """Make the second pass ready; each tile goes on drawing from its own generator, told the same texts.

    The UNet sees the whole at once, large as it is: through windows it would draw the prompt once more in each.
    """
    params = replace(first.request.params, strength=HD_STRENGTH)
    scheduler = sampling.scheduler_for(params, own_scheduler)
    timesteps = sampling.remaining_timesteps(scheduler, params)
    width, height = HD_FACTOR * params.width, HD_FACTOR * params.height
    noise = vae.noise(width, height, first.generators)
    canvas = height // vae.scale, width // vae.scale
    return Run(
        first.request,
        scheduler,
        timesteps,
        sampling.noisy(scheduler, enlarged, noise, timesteps[0]),
        first.conditioning,
        first.generators,
        Anchored(HD_FACTOR, enlarged, noise),
        lay(canvas, canvas),
        Lap(HD_FACTOR, first.steps, first.lap.of),
    )
