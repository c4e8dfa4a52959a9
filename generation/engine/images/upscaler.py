"""Upscale images with an RRDBNet (ESRGAN, Wang et al. 2018; Real-ESRGAN, Wang et al. 2021)."""

from __future__ import annotations

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from generation.engine.images.windows import layout_windows
from generation.models.files.upscaler import UpscalerInfo
from generation.planning.tiling import window_size

WINDOW_SIZE = 256  # pixels of a window
NEGATIVE_SLOPE = 0.2
RESIDUAL_SCALE = 0.2  # the share of a block's output that is added to its input


class Upscaler:
    """A loaded upscaler; it works window by window, so that its memory use does not grow with the image."""

    def __init__(self, info: UpscalerInfo, device: torch.device) -> None:
        self.factor = info.factor
        self._info, self._device = info, device
        weights = load_file(info.path, device=str(device))
        self._weights = {name: weights[key].float() for name, key in info.keys.items()}

    @torch.inference_mode()
    def upscale(self, pixels: Tensor) -> Tensor:
        """Return images, N×3×H×W in −1…1, at `factor` times their size."""
        height, width = pixels.shape[-2:]
        unit = self._info.unshuffle
        padded = functional.pad(pixels, (0, -width % unit, 0, -height % unit), mode="replicate")
        canvas = padded.shape[-2], padded.shape[-1]
        windows = layout_windows(canvas, window_size(canvas, WINDOW_SIZE, unit, WINDOW_SIZE))
        larger = windows.merge((self._forward(view) for view in windows.crop(padded)), self.factor)
        return larger[..., : height * self.factor, : width * self.factor]

    def _forward(self, window: Tensor) -> Tensor:
        values = functional.pixel_unshuffle(window.to(self._device) / 2 + 0.5, self._info.unshuffle)
        first = self._convolve("conv_first", values)
        body = first
        for block in range(self._info.blocks):
            body = self._rrdb(f"body.{block}", body)
        values = first + self._convolve("conv_body", body)
        for number in range(self._info.doublings):
            doubled = functional.interpolate(values, scale_factor=2)
            values = _leaky_relu(self._convolve(f"conv_up{number + 1}", doubled))
        larger = self._convolve("conv_last", _leaky_relu(self._convolve("conv_hr", values)))
        return (larger * 2 - 1).clamp(-1, 1).cpu()

    def _rrdb(self, name: str, values: Tensor) -> Tensor:
        """Apply three dense blocks, in each of which every layer sees the outputs of all earlier ones."""
        output = values
        for dense in (1, 2, 3):
            features = [output]
            for layer in range(1, 5):
                convolved = self._convolve(f"{name}.rdb{dense}.conv{layer}", torch.cat(features, dim=1))
                features.append(_leaky_relu(convolved))
            residual = self._convolve(f"{name}.rdb{dense}.conv5", torch.cat(features, dim=1))
            output = output + RESIDUAL_SCALE * residual
        return values + RESIDUAL_SCALE * output

    def _convolve(self, name: str, values: Tensor) -> Tensor:
        return functional.conv2d(values, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"], padding=1)


def _leaky_relu(values: Tensor) -> Tensor:
    return functional.leaky_relu(values, NEGATIVE_SLOPE)
