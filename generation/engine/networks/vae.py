"""Encode images to latents, and decode latents to images."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from generation.engine.device.oom import release_memory, suppress_oom
from generation.engine.device.transfer import to_device
from generation.engine.images.noise import Noise, draw_noise
from generation.engine.images.windows import Windows, layout_windows
from generation.engine.networks.pipeline_loader import Pipeline, vae_scale_factor
from generation.engine.networks.seamless import seamless_copy
from generation.params import Params
from generation.planning.tiling import window_size

ResultT = TypeVar("ResultT")

RESIZE_PADDING = 2  # pixels beyond an edge that bicubic interpolation reads


class Moments(NamedTuple):
    """The distribution of an image's latents: their mean and standard deviation."""

    mean: Tensor
    std: Tensor


class Vae:
    """Encodes and decodes with the pipeline's `AutoencoderKL`; latents are float32 on its device.

    `side` is the model's native side in latents. Much larger images are processed window by window, so that memory use
    does not grow with them.
    """

    def __init__(self, pipeline: Pipeline, *, is_seamless: bool = False) -> None:
        self._pipeline, self._vae, self._is_seamless = pipeline, pipeline.vae, is_seamless
        # Read once: diffusers walks through all modules for a network's device or dtype.
        self.device: torch.device = pipeline.device
        self._dtype = pipeline.vae.dtype
        self.scale = vae_scale_factor(pipeline.vae)
        self.side = max(1, pipeline.model.native_size // self.scale)
        self.channels = int(pipeline.vae.config.latent_channels)

    def suited(self, params: Params) -> Vae:
        """Return the Vae for a job's images: if they are seamless, the one with circular padding."""
        return self.seamless if params.seamless else self

    @cached_property
    def seamless(self) -> Vae:
        """Return a Vae for seamless images, with circular padding and the same weights."""
        return Vae(replace(self._pipeline, vae=seamless_copy(self._vae)), is_seamless=True)

    def noise(self, width: int, height: int, noises: Sequence[Noise]) -> Tensor:
        """Return unit noise in the shape of latents, one sample for each of `noises`."""
        shape = (self.channels, height // self.scale, width // self.scale)
        return to_device(torch.stack([draw_noise(noise, shape) for noise in noises]), self.device)

    @torch.inference_mode()
    def encode(self, pixels: Tensor, side: int | None = None) -> Moments:
        """Return the moments of images' latents, in windows of `side` latents where they are too large."""
        height, width = (length // self.scale for length in pixels.shape[-2:])
        windows = self._windows(height, width, side or self.side)
        return Moments(*windows.merge(map(self._encode_window, windows.crop(pixels, self.scale))).chunk(2, dim=1))

    def sample(self, moments: Moments, noises: Sequence[Noise]) -> Tensor:
        """Sample latents of one image, once for each of `noises`."""
        samples = [draw_noise(noise, tuple(moments.mean.shape)) for noise in noises]
        return moments.mean + moments.std * to_device(torch.cat(samples), moments.mean.device)

    def encode_mean(self, pixels: Tensor) -> Tensor:
        """Return the mean latents of small images, each encoded whole."""
        return self.encode(pixels, max(pixels.shape[-2:]) // self.scale).mean

    @torch.inference_mode()
    def decode(self, latents: Tensor, side: int | None = None) -> Tensor:
        """Return the images of latents, N×3×H×W in −1…1, in windows of `side` latents where they are too large."""
        height, width = latents.shape[-2:]
        windows = self._windows(height, width, side or self.side)
        return windows.merge(map(self._decode, windows.crop(latents)), self.scale)

    @torch.inference_mode()
    def queue_decoding(self, latents: Tensor, side: int | None = None) -> Tensor:
        """Decode as `decode` does, but return values that overflowed as they are.

        So nothing waits for the device here; whoever reads the image decodes it again if it is not finite.
        """
        height, width = latents.shape[-2:]
        windows = self._windows(height, width, side or self.side)
        return windows.merge(
            (self._decode_with(self._vae, self._dtype, view) for view in windows.crop(latents)), self.scale
        )

    def queue_low_memory(self, unet_lock: threading.Lock, latents: Tensor) -> Tensor:
        """Queue the decoding in smaller windows if memory runs out (see `_with_low_memory`)."""
        return self._with_low_memory(unet_lock, lambda *side: self.queue_decoding(latents, *side))

    def decode_low_memory(self, unet_lock: threading.Lock, latents: Tensor) -> Tensor:
        """Decode in smaller windows if memory runs out (see `_with_low_memory`)."""
        return self._with_low_memory(unet_lock, lambda *side: self.decode(latents, *side))

    def encode_low_memory(self, unet_lock: threading.Lock, pixels: Tensor) -> Moments:
        """Encode in smaller windows if memory runs out (see `_with_low_memory`)."""
        return self._with_low_memory(unet_lock, lambda *side: self.encode(pixels, *side))

    def _with_low_memory(self, unet_lock: threading.Lock, work: Callable[..., ResultT]) -> ResultT:
        """Process everything at once; if memory runs out, retry in smaller and smaller windows while no UNet runs.

        `unet_lock` is held while a UNet runs, which may have taken the missing memory.
        """
        with suppress_oom():
            return work()
        with unet_lock:
            for side in (self.side, self.side // 2):
                release_memory(self.device)
                with suppress_oom():
                    return work(side)
            release_memory(self.device)
            return work(self.side // 4)

    def upscale(self, unet_lock: threading.Lock, latents: Tensor, factor: int) -> Tensor:
        """Return the latents of one image at `factor` times its size, by decoding, resizing and encoding it."""
        edge = "circular" if self._is_seamless else "replicate"
        padded = pad(self.decode_low_memory(unet_lock, latents), (RESIZE_PADDING,) * 4, mode=edge)
        larger = interpolate(padded, scale_factor=factor, mode="bicubic").clamp(-1, 1)
        cut = RESIZE_PADDING * factor
        return self.encode_low_memory(unet_lock, larger[..., cut:-cut, cut:-cut]).mean

    def unscaled(self, latents: Tensor) -> Tensor:
        """Return latents as the VAE's own network gives and takes them."""
        latents_mean, latents_std = self._latent_statistics
        return latents * latents_std + latents_mean

    def _decode(self, latents: Tensor) -> Tensor:
        return self._retry_in_float32(lambda vae, dtype: self._decode_with(vae, dtype, latents))

    def _decode_with(self, vae: Any, dtype: torch.dtype, latents: Tensor) -> Tensor:
        decoded: Tensor = vae.decode(self.unscaled(latents).to(dtype), return_dict=False)[0]
        return decoded.float()

    def _encode_window(self, pixels: Tensor) -> Tensor:
        def moments(vae: Any, dtype: torch.dtype) -> Tensor:
            distribution = vae.encode(to_device(pixels, self.device, dtype)).latent_dist
            return torch.cat([distribution.mean, distribution.std], dim=1)

        mean, std = self._retry_in_float32(moments).chunk(2, dim=1)
        latents_mean, latents_std = self._latent_statistics
        return torch.cat([(mean - latents_mean) / latents_std, std / latents_std], dim=1)

    @cached_property
    def _latent_statistics(self) -> tuple[Tensor, Tensor]:
        """Return the mean and the standard deviation of the VAE's own latents; the UNet's are normalised by them."""
        config = self._vae.config
        named = config.get("latents_mean"), config.get("latents_std")
        known = all(values is not None for values in named)
        values = named if known else ([0.0] * self.channels, [1.0] * self.channels)
        latents_mean, latents_std = (
            to_device(torch.tensor(list(each), dtype=torch.float32), self.device).view(1, -1, 1, 1) for each in values
        )
        return latents_mean, latents_std / config.scaling_factor

    def _retry_in_float32(self, work: Callable[[Any, torch.dtype], Tensor]) -> Tensor:
        """Run the VAE in its own precision, and once more in float32 if that overflowed."""
        result = work(self._vae, self._dtype).float()
        if self._dtype is torch.float32 or result.isfinite().all():
            return result
        return work(self._float32_vae, torch.float32).float()

    @cached_property
    def _float32_vae(self) -> Any:
        return copy.deepcopy(self._vae).float()

    def _windows(self, height: int, width: int, side: int) -> Windows:
        return layout_windows((height, width), window_size((height, width), side, 1, side), wrap=self._is_seamless)
