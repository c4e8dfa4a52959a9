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


def quiet(pipeline: Any) -> Any:
    """Let a stock pipeline show no progress."""
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def stock_latents(stock: Any, wanted: Params, **inputs: Any) -> Tensor:
    """Draw with a stock pipeline as it is meant to be used: a generator for each picture."""
    kept = stock.scheduler
    if wanted.sampler is not None:
        sampler = SAMPLERS[wanted.sampler]
        stock.scheduler = getattr(diffusers, sampler.scheduler).from_config(kept.config, **sampler.overrides)
    generators = [Generator("cpu").manual_seed(wanted.seed + tile) for tile in range(wanted.count)]
    try:
        return stock(
            prompt=[wanted.parts[0].text] * wanted.count,
            negative_prompt=None if wanted.negative_prompt is None else [wanted.negative_prompt] * wanted.count,
            num_inference_steps=wanted.num_inference_steps,
            guidance_scale=wanted.guidance_scale,
            generator=generators,
            output_type="latent",
            **inputs,
        ).images
    finally:
        stock.scheduler = kept


def drawing(width: int = 64, height: int = 64) -> Image.Image:
    """Give a picture with soft and hard parts."""
    down, right = np.mgrid[0:height, 0:width]
    colours = np.stack([right * 255 / width, down * 255 / height, (right + down) % 17 * 15], axis=-1)
    return Image.fromarray(colours.astype(np.uint8))


def png(image: Image.Image) -> bytes:
    """Give a picture as a file."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
