"""The way between pictures and latents."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image
from torch import Generator, Tensor

from generation.engine.loading import Pipeline, scale_of
from generation.engine.pictures import to_images


class Vae:
    """Encodes and decodes with the pipeline's `AutoencoderKL`; latents are 32-bit floats on its device."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._vae: Any = pipeline.vae
        self.scale = scale_of(pipeline.vae)
        self.channels = int(pipeline.vae.config.latent_channels)

    def noise(self, width: int, height: int, generators: list[Generator]) -> Tensor:
        """Give unit noise in the shape of latents, one draw for each generator."""
        shape = (self.channels, height // self.scale, width // self.scale)
        draws = [torch.randn(shape, generator=generator) for generator in generators]
        return torch.stack(draws).to(self._vae.device)

    def shrink(self, mask: Tensor) -> Tensor:
        """Give a mask over pixels as one over latents."""
        return torch.nn.functional.interpolate(mask.to(self._vae.device), scale_factor=1 / self.scale)

    @torch.inference_mode()
    def encode(self, pixels: Tensor, generators: list[Generator]) -> Tensor:
        """Give latents of one picture for each generator, drawn from what the encoder thinks possible."""
        mean, deviation = self._encode(pixels)
        draws = [torch.randn(mean.shape, generator=generator) for generator in generators]
        return mean + deviation * torch.cat(draws).to(mean.device)

    @torch.inference_mode()
    def encode_mean(self, pixels: Tensor) -> Tensor:
        """Give the likeliest latents of pictures."""
        return self._encode(pixels)[0]

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> list[Image.Image]:
        """Give the pictures of latents."""
        scaled = (latents / self._vae.config.scaling_factor).to(self._vae.dtype)
        return to_images(self._vae.decode(scaled, return_dict=False)[0].float())

    def _encode(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        distribution = self._vae.encode(pixels.to(self._vae.device, self._vae.dtype)).latent_dist
        factor = self._vae.config.scaling_factor
        return distribution.mean.float() * factor, distribution.std.float() * factor
