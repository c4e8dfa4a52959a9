"""Enlarge pictures with an RRDBNet (ESRGAN, Wang et al. 2018; Real-ESRGAN, Wang et al. 2021)."""

from __future__ import annotations

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from generation.engine.windows import lay
from generation.upscaler import Upscaler
from generation.windows import window_for

SIDE = 256  # pixels of a window
LEAK = 0.2
RESIDUE = 0.2  # how much of what a block has found is added


class Enlarger:
    """A loaded upscaler; it works window by window, so that the memory needed does not grow with the picture."""

    def __init__(self, upscaler: Upscaler, device: torch.device) -> None:
        self.factor = upscaler.factor
        self._upscaler, self._device = upscaler, device
        weights = load_file(upscaler.path, device=str(device))
        self._weights = {name: weights[key].float() for name, key in upscaler.keys.items()}

    @torch.inference_mode()
    def enlarge(self, pixels: Tensor) -> Tensor:
        """Give a picture, N×3×H×W between −1 and 1, at `factor` times its size."""
        height, width = pixels.shape[-2:]
        unit = self._upscaler.unshuffle
        padded = functional.pad(pixels, (0, -width % unit, 0, -height % unit), mode="replicate")
        canvas = padded.shape[-2], padded.shape[-1]
        windows = lay(canvas, window_for(canvas, SIDE, unit, SIDE))
        larger = windows.join((self._see(view) for view in windows.views(padded)), self.factor)
        return larger[..., : height * self.factor, : width * self.factor]

    def _see(self, view: Tensor) -> Tensor:
        values = functional.pixel_unshuffle(view.to(self._device) / 2 + 0.5, self._upscaler.unshuffle)
        first = self._convolve("conv_first", values)
        body = first
        for block in range(self._upscaler.blocks):
            body = self._block(f"body.{block}", body)
        values = first + self._convolve("conv_body", body)
        for number in range(self._upscaler.doublings):
            doubled = functional.interpolate(values, scale_factor=2)
            values = _leaky(self._convolve(f"conv_up{number + 1}", doubled))
        larger = self._convolve("conv_last", _leaky(self._convolve("conv_hr", values)))
        return (larger * 2 - 1).clamp(-1, 1).cpu()

    def _block(self, name: str, values: Tensor) -> Tensor:
        """Go through three dense blocks, each of which sees all that its layers have found before."""
        found = values
        for dense in (1, 2, 3):
            seen = [found]
            for layer in range(1, 5):
                seen.append(_leaky(self._convolve(f"{name}.rdb{dense}.conv{layer}", torch.cat(seen, dim=1))))
            found = found + RESIDUE * self._convolve(f"{name}.rdb{dense}.conv5", torch.cat(seen, dim=1))
        return values + RESIDUE * found

    def _convolve(self, name: str, values: Tensor) -> Tensor:
        return functional.conv2d(values, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"], padding=1)


def _leaky(values: Tensor) -> Tensor:
    return functional.leaky_relu(values, LEAK)
