"""Describe a Real-ESRGAN style upscaler by its file's header, without torch."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from generation.errors import UserError
from generation.models.files.errors import UNEXPECTED_CONTENT, absence
from generation.models.files.safetensors_header import read_header

# Key names of the first ESRGAN release; they are mapped to BasicSR's, which all later files use.
_LEGACY_BODY = re.compile(r"model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0$")


@dataclass(frozen=True, slots=True)
class UpscalerInfo:
    """An RRDBNet in a safetensors file: its dimensions, and the file's key for each of its layers.

    The image is first pixel-unshuffled by the factor `unshuffle`, and at the end doubled `doublings` times.
    """

    path: Path
    blocks: int
    features: int
    growth: int
    unshuffle: int
    doublings: int
    keys: dict[str, str]

    @property
    def factor(self) -> int:
        """Return the upscaling factor."""
        return (1 << self.doublings) // self.unshuffle


def describe_upscaler(path: Path) -> UpscalerInfo:
    """Describe the upscaler in the file at `path`; raise FileNotFoundError, and UserError for any other file."""
    if not path.is_file():
        raise FileNotFoundError(absence("upscaler", path))
    shapes = read_header(path).shapes
    try:
        found = _inspect(path, shapes)
    except UNEXPECTED_CONTENT as error:
        raise _unsupported(path) from error
    for name, shape in _expected_shapes(found):
        if shapes.get(found.keys.get(name, "")) != shape:
            raise _unsupported(path)
    return found


def _unsupported(path: Path) -> UserError:
    return UserError(
        f"The upscaler {path} is not an RRDBNet (ESRGAN, Real-ESRGAN x2plus, x4plus) in a safetensors file."
    )


def _inspect(path: Path, shapes: dict[str, tuple[int, ...]]) -> UpscalerInfo:
    keys = _map_keys(shapes)
    features, colours, *_ = shapes[keys["conv_first.weight"]]
    unshuffle = math.isqrt(colours // 3)
    if unshuffle not in (1, 2, 4):
        raise ValueError(f"{colours} channels")
    return UpscalerInfo(
        path=path,
        blocks=sum(name.startswith("body.") and name.endswith("rdb1.conv1.weight") for name in keys),
        features=features,
        growth=shapes[keys["body.0.rdb1.conv1.weight"]][0],
        unshuffle=unshuffle,
        doublings=sum(name.startswith("conv_up") and name.endswith("weight") for name in keys),
        keys=keys,
    )


def _map_keys(shapes: dict[str, tuple[int, ...]]) -> dict[str, str]:
    """Return the file's key for each layer name; prefixes of the training run, such as `params_ema.`, are ignored."""
    first = next((key for key in sorted(shapes) if key.endswith(("conv_first.weight", "model.0.weight"))), None)
    if first is None:
        raise ValueError("no first layer")
    prefix = first.removesuffix("conv_first.weight").removesuffix("model.0.weight")
    plain = {key.removeprefix(prefix): key for key in shapes if key.startswith(prefix)}
    if first.endswith("conv_first.weight"):
        return plain
    last = max(int(name.split(".")[1]) for name in plain)
    blocks = max(int(name.split(".")[3]) for name in plain if name.startswith("model.1.sub."))
    return {_basicsr_name(name, blocks, last): key for name, key in plain.items()}


def _basicsr_name(name: str, blocks: int, last: int) -> str:
    layer, _, kind = name.rpartition(".")
    if match := _LEGACY_BODY.match(layer):
        return f"body.{match[1]}.rdb{match[2]}.conv{match[3]}.{kind}"
    ends = {"model.0": "conv_first", f"model.1.sub.{blocks}": "conv_body"}
    ends |= {f"model.{last}": "conv_last", f"model.{last - 2}": "conv_hr"}
    number = int(layer.split(".")[1])
    return f"{ends.get(layer, f'conv_up{number // 3}')}.{kind}"


def _expected_shapes(upscaler: UpscalerInfo) -> Iterator[tuple[str, tuple[int, ...]]]:
    for name, in_channels, out_channels in convolutions(upscaler):
        yield f"{name}.weight", (out_channels, in_channels, 3, 3)
        yield f"{name}.bias", (out_channels,)


def convolutions(upscaler: UpscalerInfo) -> Iterator[tuple[str, int, int]]:
    """Yield the network's layers, all of them 3×3 convolutions: name, input channels and output channels."""
    features, growth = upscaler.features, upscaler.growth
    yield "conv_first", 3 * upscaler.unshuffle**2, features
    for block in range(upscaler.blocks):
        for dense in (1, 2, 3):
            for layer in range(5):
                out_channels = growth if layer < 4 else features
                yield f"body.{block}.rdb{dense}.conv{layer + 1}", features + layer * growth, out_channels
    names = ("conv_body", *(f"conv_up{number + 1}" for number in range(upscaler.doublings)), "conv_hr")
    yield from ((name, features, features) for name in names)
    yield "conv_last", features, 3
