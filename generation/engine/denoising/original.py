"""The picture that an edit changes, as a UNet for edits sees it beside the noisy latents."""

from __future__ import annotations

import threading

import torch
from torch import Tensor

from generation.engine.images.io import read_fitted, to_pixels
from generation.engine.networks.pipeline_loader import Pipeline
from generation.engine.networks.vae import Vae
from generation.messages import Generate


@torch.inference_mode()
def encode_original(
    request: Generate, vae: Vae, pipeline: Pipeline, unet_lock: threading.Lock, factor: int = 1
) -> Tensor | None:
    """Return the latents (1×C×H×W) of the picture to change, at `factor` times the request's size; None without one.

    InstructPix2Pix was trained on latents as the VAE gives them; only some models see them scaled as the noisy ones.
    Raises UserError for a picture that cannot be read.
    """
    if request.original is None:
        return None
    params = request.params
    image = read_fitted(request.original, (params.width * factor, params.height * factor))
    scaled = vae.suited(params).encode_low_memory(unet_lock, to_pixels(image)).mean
    return scaled if pipeline.scales_original else vae.unscaled(scaled)
