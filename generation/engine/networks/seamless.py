"""Copies of networks for seamless images, whose opposite edges meet."""

from __future__ import annotations

from typing import Any

from diffusers.models.downsampling import Downsample2D
from torch.nn import Conv2d

from generation.engine.networks.weight_sharing import clone_sharing_weights


def seamless_copy(network: Any) -> Any:
    """Return a copy of `network` with circular padding that shares its weights; `network` is unchanged."""
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
    """Make a convolution pad circularly; `margins` are the lines on the left, on the right, above and below."""
    convolution.padding_mode = "circular"
    convolution._reversed_padding_repeated_twice = list(margins)
