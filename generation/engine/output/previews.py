"""Cheap previews of unfinished latents."""

from __future__ import annotations

import io
from typing import Protocol

import torch
from PIL import Image
from torch import Generator, Tensor

from generation.engine.images.io import from_bytes, to_bytes
from generation.files.grid_image import make_grid

PREVIEW_INTERVAL_S = 1.0  # rendering one takes 2 ms, and Discord shows one every two or three seconds
PREVIEW_SIZE = 384  # pixels of the grid's longer side
FIT_IMAGE_SIZE = 256


class PreviewEncoder(Protocol):
    """The encoder that previews are fitted to."""

    @property
    def scale(self) -> int:
        """How many pixels a side one latent stands for."""

    def encode_mean(self, pixels: Tensor) -> Tensor:
        """Return the mean latents of images, N×3×H×W in −1…1."""


class LatentPreviewer:
    """Renders latents with a linear map from latent channels to red, green and blue, fitted to the given VAE.

    The published factors are for one VAE only. A least-squares fit on one image of colour patches takes one encoder
    pass and works for every VAE.
    """

    def __init__(self, vae: PreviewEncoder) -> None:
        pixels = _colour_patches()
        latents = vae.encode_mean(pixels)
        colours = torch.nn.functional.avg_pool2d(pixels, vae.scale)
        inputs = _with_bias(latents.cpu()).flatten(2)[0].T
        targets = colours.flatten(2)[0].T
        self._rgb_factors = torch.linalg.lstsq(inputs, targets, driver="gelsd").solution.to(latents.device)

    def render(self, latents: Tensor) -> bytes:
        """Return a JPEG grid image that previews `latents`."""
        return preview_file(self.colours(latents).cpu())

    def colours(self, latents: Tensor) -> Tensor:
        """Return the pixels of a preview, N×H×W×3 in 0…255, on the latents' device."""
        return to_bytes(torch.einsum("nchw,cd->ndhw", _with_bias(latents), self._rgb_factors))


def preview_file(values: Tensor) -> bytes:
    """Return the pixels of a preview, on the CPU, as a JPEG grid image."""
    grid = make_grid(from_bytes(values))
    factor = PREVIEW_SIZE / max(grid.size)
    large = grid.resize((round(grid.width * factor), round(grid.height * factor)), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    large.save(file, "JPEG", quality=75)
    return file.getvalue()


def _with_bias(latents: Tensor) -> Tensor:
    return torch.cat([latents, torch.ones_like(latents[:, :1])], dim=1)


def _colour_patches() -> Tensor:
    """Return an image of soft and hard patches in all colours, 1×3×H×W in −1…1."""
    generator = Generator("cpu").manual_seed(0)
    size = (FIT_IMAGE_SIZE, FIT_IMAGE_SIZE)
    soft = torch.nn.functional.interpolate(torch.rand(1, 3, 6, 6, generator=generator), size, mode="bilinear")
    hard = torch.nn.functional.interpolate(torch.rand(1, 3, 12, 12, generator=generator), size)
    return (soft * 2 - 1).lerp(hard * 2 - 1, 0.5)
