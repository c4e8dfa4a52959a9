"""The stock diffusers pipelines as an oracle, and a source image."""

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
    """Return a stock pipeline that shows no progress."""
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def stock_latents(stock: Any, params: Params, **inputs: Any) -> Tensor:
    """Generate with a stock pipeline as its documentation does: with a generator for each image."""
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
    """Return an image with soft and hard parts."""
    down, right = np.mgrid[0:height, 0:width]
    colours = np.stack([right * 255 / width, down * 255 / height, (right + down) % 17 * 15], axis=-1)
    return Image.fromarray(colours.astype(np.uint8))


def to_png_bytes(image: Image.Image) -> bytes:
    """Return an image as a PNG file."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
