"""Networks that take a picture for endless: what leaves it on one side comes in on the other."""

from __future__ import annotations

from typing import Any

from diffusers.models.downsampling import Downsample2D
from torch.nn import Conv2d

from generation.engine.networks.weight_sharing import clone_sharing_weights


def seamless_copy(network: Any) -> Any:
    """Give a twin of `network` with circular padding, which shares its weights and leaves it as it is."""
    clone = clone_sharing_weights(network)
    for module in clone.modules():
        match module:
            case Downsample2D(use_conv=True, padding=0):  # pads with zeros by itself, on the right and below
                _pad(module.conv, (0, 1, 0, 1))
                module.padding = 1
            case Conv2d() if any(module.padding):
                _pad(module, tuple(module._reversed_padding_repeated_twice))
    return clone


def _pad(convolution: Conv2d, margins: tuple[int, ...]) -> None:
    """Let a convolution pad around the edges: so many lines on the left, on the right, above and below."""
    convolution.padding_mode = "circular"
    convolution._reversed_padding_repeated_twice = list(margins)
