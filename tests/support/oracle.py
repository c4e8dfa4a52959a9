"""The stock diffusers pipelines as oracle, and a picture to start from."""

from __future__ import annotations

import io
from typing import Any

import diffusers
import numpy as np
from PIL import Image
from torch import Generator, Tensor

from generation.models.samplers import SAMPLERS
from generation.params import Params, Upload

SOURCE = Upload("0" * 64)


def disable_progress_bar(pipeline: Any) -> Any:
    """Let a stock pipeline show no progress."""
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def stock_latents(stock: Any, params: Params, **inputs: Any) -> Tensor:
    """Draw with a stock pipeline as it is meant to be used: a generator for each picture."""
    scheduler = stock.scheduler
    if params.sampler is not None:
        sampler = SAMPLERS[params.sampler]
        stock.scheduler = getattr(diffusers, sampler.scheduler).from_config(scheduler.config, **sampler.overrides)
    generators = [Generator("cpu").manual_seed(params.seed + tile) for tile in range(params.count)]
    try:
        return stock(
            prompt=[params.parts[0].text] * params.count,
            negative_prompt=None if params.negative_prompt is None else [params.negative_prompt] * params.count,
            num_inference_steps=params.num_inference_steps,
            guidance_scale=params.guidance_scale,
            generator=generators,
            output_type="latent",
            **inputs,
        ).images
    finally:
        stock.scheduler = scheduler


def sample_image(width: int = 64, height: int = 64) -> Image.Image:
    """Give a picture with soft and hard parts."""
    down, right = np.mgrid[0:height, 0:width]
    colours = np.stack([right * 255 / width, down * 255 / height, (right + down) % 17 * 15], axis=-1)
    return Image.fromarray(colours.astype(np.uint8))


def to_png_bytes(image: Image.Image) -> bytes:
    """Give a picture as a file."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
