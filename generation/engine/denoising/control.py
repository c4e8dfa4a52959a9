"""ControlNets in the one loop: the pictures that a job follows, and what they add to the UNet's rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from generation.engine.denoising.rows import ControlledRows, Rows
from generation.engine.images.edges import canny_edges, scribble_lines
from generation.engine.images.io import read_fitted, to_pixels
from generation.engine.images.windows import Windows
from generation.engine.networks.control import ControlNetwork
from generation.messages import Generate

# How a picture becomes what a kind of ControlNet follows; the others take the picture as it is.
_READERS: Mapping[str, Callable[[Image.Image], Image.Image]] = {"canny": canny_edges, "scribble": scribble_lines}


@dataclass(frozen=True, slots=True)
class Control:
    """A ControlNet that guides a job, its embedded picture (1×C×H×W, as large as the latents), and its weight."""

    network: ControlNetwork
    picture: Tensor
    weight: float

    def cropped(self, windows: Windows) -> Control:
        """Return the control with a picture for each window."""
        return replace(self, picture=torch.cat(list(windows.crop(self.picture))))

    def rows(self, windows: Tensor) -> ControlledRows:
        """Return the part of a call that this guides: a row for each of these windows."""
        return ControlledRows(self.network, 0, self.picture[windows], self.weight)


@torch.inference_mode()
def encode_controls(request: Generate, networks: Sequence[ControlNetwork], factor: int = 1) -> tuple[Control, ...]:
    """Return what guides a request at `factor` times its size; raise UserError for a picture that cannot be read."""
    if request.control is None or not networks:
        return ()
    params = request.params
    image = read_fitted(request.control, (params.width * factor, params.height * factor))
    return tuple(
        Control(network, network.embed(_as_read(network.kind, image), seamless=params.seamless), use.weight)
        for network, use in zip(networks, params.control_set, strict=True)
    )


def _as_read(kind: str, image: Image.Image) -> Tensor:
    """Return what a kind of ControlNet sees of a picture, in 0…1."""
    read = _READERS.get(kind)
    return (to_pixels(read(image) if read else image) + 1) / 2


def control_conditions(rows: Rows, latents: Tensor, conditions: Mapping[str, Any], *, seamless: bool) -> dict[str, Any]:
    """Return the UNet's arguments for what the rows' ControlNets add to its blocks; none if no row has one."""
    totals: list[Tensor] = []
    for network in dict.fromkeys(part.network for part in rows.controls):
        parts = [part for part in rows.controls if part.network is network]
        found = network.residuals(
            _of(parts, latents),
            _of(parts, rows.timesteps),
            {name: _of(parts, value) for name, value in conditions.items()},
            torch.cat([part.pictures for part in parts]),
            seamless=seamless,
        )
        added = [_spread(each, parts, len(rows)) for each in found]
        totals = [total + each for total, each in zip(totals, added, strict=True)] if totals else added
    if not totals:
        return {}
    return {"down_block_additional_residuals": tuple(totals[:-1]), "mid_block_additional_residual": totals[-1]}


def _spread(residual: Tensor, parts: Sequence[ControlledRows], count: int) -> Tensor:
    """Return the weighted residuals of `parts` at their places among `count` rows, and zeros for the others."""
    spread = residual.new_zeros(count, *residual.shape[1:])
    for part, own in zip(parts, torch.split(residual, [len(part) for part in parts]), strict=True):
        spread[part.places] = own * part.weight
    return spread


def _of(parts: Sequence[ControlledRows], values: Any) -> Any:
    """Return the entries of the rows of `parts`, also within a dictionary; what is no tensor stays as it is."""
    if isinstance(values, dict):
        return {name: _of(parts, value) for name, value in values.items()}
    return torch.cat([values[part.places] for part in parts]) if isinstance(values, Tensor) else values
