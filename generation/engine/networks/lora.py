"""Apply LoRAs beside a layer's own weights, which other jobs keep using unchanged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import Conv2d
from torch.nn.functional import conv2d, linear

from generation.engine.networks.lora_deltas import LoraDelta, read_deltas
from generation.engine.networks.pipeline_loader import Pipeline
from generation.engine.networks.weight_sharing import clone_sharing_weights
from generation.models.files.lora import NETWORKS, Lora

LoraDeltas = dict[str, list[LoraDelta]]


def with_loras(pipeline: Pipeline, loras: Iterable[tuple[Lora, float]]) -> Pipeline:
    """Return a pipeline with copies of its networks, sharing weights, that apply `loras` with their weights.

    Raises UserError for a file that is missing, damaged, or made for another kind of model.
    """
    deltas: dict[str, LoraDeltas] = {part: defaultdict(list) for part in NETWORKS}
    networks = {part: getattr(pipeline, part) for part in NETWORKS}
    for lora, weight in loras:
        for network, layer, delta in read_deltas(lora, weight, networks, pipeline.model.name):
            deltas[network][layer].append(delta)
    return replace(pipeline, **{part: _patched(networks[part], deltas[part]) for part in NETWORKS if deltas[part]})


def _patched(network: Any, deltas: LoraDeltas) -> Any:
    clone = clone_sharing_weights(network)
    for path, layer_deltas in deltas.items():
        layer = clone.get_submodule(path)
        down = torch.cat([delta.down for delta in layer_deltas])
        up = torch.cat([delta.up for delta in layer_deltas], dim=1)
        layer.register_forward_hook(_lora_hook(*(part.to(layer.weight.device, network.dtype) for part in (down, up))))
    return clone


def _lora_hook(down: Tensor, up: Tensor) -> Callable[[Any, tuple[Tensor, ...], Tensor], Tensor]:
    """Return the hook that adds a delta; the layer itself convolves, with its own stride and padding."""

    def add(layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if isinstance(layer, Conv2d):
            return output + conv2d(layer._conv_forward(inputs[0], down, None), up[:, :, None, None])
        return output + linear(linear(inputs[0], down), up)

    return add
