"""Count the layers of a UNet that attend to texts, without torch: an IP-Adapter has weights for each of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from generation.models.catalogue import Family

_KEY = re.compile(r".*\.attn2\.to_k\.weight")
_CROSS, _CROSS_MIDDLE = "CrossAttn", "UNetMidBlock2DCrossAttn"
OF_FAMILY = {Family.SD1: 16, Family.SD2: 16, Family.SDXL: 70}  # of the models that their authors published


def count_in_weights(names: Iterable[str]) -> int:
    """Return how many such layers have weights of these names."""
    return sum(_KEY.fullmatch(name) is not None for name in names)


def count_in_config(unet: Mapping[str, Any]) -> int | None:
    """Return how many such layers a UNet of this configuration has; None if it does not tell."""
    try:
        return _count(unet, unet["down_block_types"], unet["up_block_types"])
    except (KeyError, IndexError, TypeError, ValueError):
        return None


def _count(unet: Mapping[str, Any], downs: Sequence[str], ups: Sequence[str]) -> int:
    blocks = _for_each(unet.get("layers_per_block", 2), len(downs))
    depths = _for_each(unet.get("transformer_layers_per_block", 1), len(downs))
    reverse = unet.get("reverse_transformer_layers_per_block") or depths[::-1]
    down = sum(_layers(*each) for each in zip(downs, blocks, depths, strict=True))
    up = sum(_layers(kind, count + 1, depth) for kind, count, depth in zip(ups, blocks[::-1], reverse, strict=True))
    middle = _layers("CrossAttn", 1, depths[-1]) if unet.get("mid_block_type", _CROSS_MIDDLE) == _CROSS_MIDDLE else 0
    return down + middle + up


def _for_each(value: Any, blocks: int) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value] * blocks


def _layers(kind: str, count: int, depth: Any) -> int:
    """Return the layers of a block of so many parts; each has the same depth, or one of its own."""
    if not kind.startswith(_CROSS):
        return 0
    return sum(_for_each(depth, count)[:count])
