"""ControlNets in the one loop: the pictures that a job follows, and what they add to the UNet's rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from generation.engine.denoising.rows import ControlledRows, Rows
from generation.engine.device.transfer import to_device
from generation.engine.images.edges import canny_edges, scribble_lines
from generation.engine.images.io import read_fitted, to_pixels
from generation.engine.images.windows import Windows
from generation.engine.networks.control import ControlNetwork
from generation.messages import Generate

# How a picture becomes what a kind of ControlNet follows; the others take the picture as it is.
_READERS: Mapping[str, Callable[[Image.Image], Image.Image]] = {"canny": canny_edges, "scribble": scribble_lines}


@dataclass(frozen=True, slots=True)
class Control:
    """A ControlNet that guides a job, its picture (1×C×H×W at the size of the latents), and how strongly it acts.

    The pixels that belong to a latent are its channels, so that windows cut both at the same places.
    """

    network: ControlNetwork
    picture: Tensor
    weight: float

    def cropped(self, windows: Windows) -> Control:
        """Return the control with a picture for each window."""
        return replace(self, picture=torch.cat(list(windows.crop(self.picture))))

    def rows(self, windows: Tensor) -> ControlledRows:
        """Return the part of a call that this guides: a row for each of these windows."""
        return ControlledRows(self.network, 0, self.picture[windows], self.weight)


def encode_controls(
    request: Generate, networks: Sequence[ControlNetwork], scale: int, factor: int = 1
) -> tuple[Control, ...]:
    """Return what guides a request at `factor` times its size; `scale` is the side of a latent in pixels.

    Raises UserError for a picture that cannot be read.
    """
    if request.control is None or not networks:
        return ()
    size = request.params.width * factor, request.params.height * factor
    image = read_fitted(request.control, size)
    return tuple(
        Control(network, _packed(network, image, scale), use.weight)
        for network, use in zip(networks, request.params.control_set, strict=True)
    )


def _packed(network: ControlNetwork, image: Image.Image, scale: int) -> Tensor:
    read = _READERS.get(network.kind)
    pixels = (to_pixels(read(image) if read else image) + 1) / 2
    return pixel_unshuffle(to_device(pixels, network.device, network.dtype), scale)


def control_conditions(rows: Rows, latents: Tensor, conditions: Mapping[str, Any], *, seamless: bool) -> dict[str, Any]:
    """Return the UNet's arguments for what the rows' ControlNets add to its blocks; none if no row has one."""
    totals: list[Tensor] = []
    for network in dict.fromkeys(part.network for part in rows.controls):
        parts = [part for part in rows.controls if part.network is network]
        found = network.residuals(
            _of(parts, latents),
            _of(parts, rows.timesteps),
            {name: _of(parts, value) for name, value in conditions.items()},
            torch.cat([_unpacked(part.pictures) for part in parts]),
            seamless=seamless,
        )
        totals = totals or [each.new_zeros(len(rows), *each.shape[1:]) for each in found]
        for total, residual in zip(totals, found, strict=True):
            for part, own in zip(parts, torch.split(residual, [len(part) for part in parts]), strict=True):
                total[part.places] += own * part.weight
    if not totals:
        return {}
    return {"down_block_additional_residuals": tuple(totals[:-1]), "mid_block_additional_residual": totals[-1]}


def _of(parts: Sequence[ControlledRows], values: Any) -> Any:
    """Return the entries of the rows of `parts`, also within a dictionary; what is no tensor stays as it is."""
    if isinstance(values, dict):
        return {name: _of(parts, value) for name, value in values.items()}
    return torch.cat([values[part.places] for part in parts]) if isinstance(values, Tensor) else values


def _unpacked(pictures: Tensor) -> Tensor:
    return pixel_shuffle(pictures, math.isqrt(pictures.shape[1] // 3))
