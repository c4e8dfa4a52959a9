"""The way between pictures and latents."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Generator, Tensor
from torch.nn.functional import interpolate, pad

from generation.engine.device.oom import release_memory, suppress_oom
from generation.engine.images.windows import Windows, layout_windows
from generation.engine.networks.pipeline_loader import Pipeline, vae_scale_factor
from generation.engine.networks.seamless import seamless_copy
from generation.planning.tiling import window_size

ResultT = TypeVar("ResultT")

RESIZE_PADDING = 2  # pixels on each side of one that bicubic interpolation looks at


class Moments(NamedTuple):
    """The latents that may stand for a picture: the likeliest ones, and how far others may lie from them."""

    mean: Tensor
    std: Tensor


class Vae:
    """Encodes and decodes with the pipeline's `AutoencoderKL`; latents are 32-bit floats on its device.

    `side` is the model's native one in latents. Pictures that are much larger are done window by window, so that the
    memory needed does not grow with them.
    """

    def __init__(self, pipeline: Pipeline, *, is_seamless: bool = False) -> None:
        self._pipeline, self._vae, self._is_seamless = pipeline, pipeline.vae, is_seamless
        self.scale = vae_scale_factor(pipeline.vae)
        self.side = max(1, pipeline.model.native_size // self.scale)
        self.channels = int(pipeline.vae.config.latent_channels)

    @cached_property
    def seamless(self) -> Vae:
        """Give one with the same weights that takes every picture for endless, for seamless textures."""
        return Vae(replace(self._pipeline, vae=seamless_copy(self._vae)), is_seamless=True)

    def noise(self, width: int, height: int, generators: list[Generator]) -> Tensor:
        """Give unit noise in the shape of latents, one draw for each generator."""
        shape = (self.channels, height // self.scale, width // self.scale)
        draws = [torch.randn(shape, generator=generator) for generator in generators]
        return torch.stack(draws).to(self._vae.device)

    @torch.inference_mode()
    def encode(self, pixels: Tensor, side: int | None = None) -> Moments:
        """Give what the encoder thinks possible for pictures, in windows of `side` where they are too large."""
        height, width = (length // self.scale for length in pixels.shape[-2:])
        windows = self._windows(height, width, side or self.side)
        return Moments(*windows.merge(map(self._encode_window, windows.crop(pixels, self.scale))).chunk(2, dim=1))

    def sample(self, moments: Moments, generators: list[Generator]) -> Tensor:
        """Give latents of one picture for each generator, out of what is possible."""
        draws = [torch.randn(moments.mean.shape, generator=generator) for generator in generators]
        return moments.mean + moments.std * torch.cat(draws).to(moments.mean.device)

    def encode_mean(self, pixels: Tensor) -> Tensor:
        """Give the likeliest latents of pictures."""
        return self.encode(pixels).mean

    @torch.inference_mode()
    def decode(self, latents: Tensor, side: int | None = None) -> Tensor:
        """Give the pictures of latents, N×3×H×W between −1 and 1, in windows of `side` where they are too large."""
        height, width = latents.shape[-2:]
        windows = self._windows(height, width, side or self.side)
        return windows.merge(map(self._decode, windows.crop(latents)), self.scale)

    def decode_low_memory(self, unet_lock: threading.Lock, latents: Tensor) -> Tensor:
        """Decode with as much memory as there is (see `_beside`)."""
        return self._with_low_memory(unet_lock, lambda *side: self.decode(latents, *side))

    def encode_low_memory(self, unet_lock: threading.Lock, pixels: Tensor) -> Moments:
        """Encode with as much memory as there is (see `_beside`)."""
        return self._with_low_memory(unet_lock, lambda *side: self.encode(pixels, *side))

    def _with_low_memory(self, unet_lock: threading.Lock, work: Callable[..., ResultT]) -> ResultT:
        """Work on all at once, with the memory to itself if it must be, or else in smaller and smaller windows.

        `unet_call` is held by whoever uses the UNet, which may have taken the memory that is missing.
        """
        with suppress_oom():
            return work()
        with unet_lock:
            for side in (self.side, self.side // 2):
                release_memory(self._vae.device)
                with suppress_oom():
                    return work(side)
            release_memory(self._vae.device)
            return work(self.side // 4)

    def upscale(self, unet_lock: threading.Lock, latents: Tensor, factor: int) -> Tensor:
        """Give the latents of one picture at `factor` times its size, by way of its pixels, which can be resized."""
        edge = "circular" if self._is_seamless else "replicate"
        padded = pad(self.decode_low_memory(unet_lock, latents), (RESIZE_PADDING,) * 4, mode=edge)
        larger = interpolate(padded, scale_factor=factor, mode="bicubic").clamp(-1, 1)
        cut = RESIZE_PADDING * factor
        return self.encode_low_memory(unet_lock, larger[..., cut:-cut, cut:-cut]).mean

    def _decode(self, latents: Tensor) -> Tensor:
        latents_mean, latents_std = self._latent_statistics
        raw = latents * latents_std + latents_mean
        return self._retry_in_float32(lambda vae: vae.decode(raw.to(vae.dtype), return_dict=False)[0])

    def _encode_window(self, pixels: Tensor) -> Tensor:
        def moments(vae: Any) -> Tensor:
            found = vae.encode(pixels.to(vae.device, vae.dtype)).latent_dist
            return torch.cat([found.mean, found.std], dim=1)

        mean, std = self._retry_in_float32(moments).chunk(2, dim=1)
        latents_mean, latents_std = self._latent_statistics
        return torch.cat([(mean - latents_mean) / latents_std, std / latents_std], dim=1)

    @cached_property
    def _latent_statistics(self) -> tuple[Tensor, Tensor]:
        """Give the middle and the spread of the VAE's own latents; the UNet's are scaled by them."""
        config = self._vae.config
        named = config.get("latents_mean"), config.get("latents_std")
        known = all(values is not None for values in named)
        values = named if known else ([0.0] * self.channels, [1.0] * self.channels)
        latents_mean, latents_std = (
            torch.tensor(list(each), dtype=torch.float32, device=self._vae.device).view(1, -1, 1, 1) for each in values
        )
        return latents_mean, latents_std / config.scaling_factor

    def _retry_in_float32(self, work: Callable[[Any], Tensor]) -> Tensor:
        """Let the VAE work in its own precision; where the numbers grow too large for that, once more in full."""
        done = work(self._vae).float()
        return done if self._vae.dtype is torch.float32 or done.isfinite().all() else work(self._float32_vae).float()

    @cached_property
    def _float32_vae(self) -> Any:
        return copy.deepcopy(self._vae).float()

    def _windows(self, height: int, width: int, side: int) -> Windows:
        return layout_windows((height, width), window_size((height, width), side, 1, side), wrap=self._is_seamless)
