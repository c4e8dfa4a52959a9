"""Cheap pictures of unfinished latents."""

from __future__ import annotations

import io
from typing import Protocol

import torch
from PIL import Image
from torch import Generator, Tensor

from generation.engine.images.io import to_images
from generation.files.grid_image import make_grid

PREVIEW_INTERVAL_S = 1.0  # rendering one takes two milliseconds, and Discord shows one every two or three seconds
PREVIEW_SIZE = 384  # pixels of the sheet's longer side
FIT_IMAGE_SIZE = 256


class PreviewEncoder(Protocol):
    """What the map is fitted to."""

    @property
    def scale(self) -> int:
        """How many pixels of a side one latent stands for."""

    def encode_mean(self, pixels: Tensor) -> Tensor:
        """Give the likeliest latents of pictures, N×3×H×W between −1 and 1."""


class LatentPreviewer:
    """Draws latents with a linear map from latent channels to red, green and blue, fitted to the VAE at hand.

    The usual published factors hold for one VAE only; a least-squares fit on one picture of colour patches, which takes
    one encoder pass, serves every VAE.
    """

    def __init__(self, vae: PreviewEncoder) -> None:
        pixels = _colour_patches()
        latents = vae.encode_mean(pixels)
        colours = torch.nn.functional.avg_pool2d(pixels, vae.scale)
        knowns = _with_bias(latents.cpu()).flatten(2)[0].T
        wanted = colours.flatten(2)[0].T
        self._rgb_factors = torch.linalg.lstsq(knowns, wanted, driver="gelsd").solution.to(latents.device)

    def render(self, latents: Tensor) -> bytes:
        """Give a JPEG sheet of what `latents` will look like."""
        colours = torch.einsum("nchw,cd->ndhw", _with_bias(latents), self._rgb_factors)
        tiles = to_images(colours)
        sheet = make_grid(tiles)
        factor = PREVIEW_SIZE / max(sheet.size)
        large = sheet.resize((round(sheet.width * factor), round(sheet.height * factor)), Image.Resampling.BICUBIC)
        file = io.BytesIO()
        large.save(file, "JPEG", quality=75)
        return file.getvalue()


def _with_bias(latents: Tensor) -> Tensor:
    return torch.cat([latents, torch.ones_like(latents[:, :1])], dim=1)


def _colour_patches() -> Tensor:
    """Give a picture of soft and hard patches in all colours, 1×3×H×W between −1 and 1."""
    generator = Generator("cpu").manual_seed(0)
    size = (FIT_IMAGE_SIZE, FIT_IMAGE_SIZE)
    soft = torch.nn.functional.interpolate(torch.rand(1, 3, 6, 6, generator=generator), size, mode="bilinear")
    hard = torch.nn.functional.interpolate(torch.rand(1, 3, 12, 12, generator=generator), size)
    return (soft * 2 - 1).lerp(hard * 2 - 1, 0.5)
