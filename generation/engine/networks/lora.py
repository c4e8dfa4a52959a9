"""Networks that draw with LoRAs: low-rank changes beside the layers' own weights, which others go on drawing with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import Conv2d, Linear
from torch.nn.functional import conv2d, linear

from generation.engine.networks.pipeline_loader import Pipeline
from generation.engine.networks.weight_sharing import clone_sharing_weights
from generation.errors import UserError
from generation.models.lora import NETWORKS, Lora, LoraTensor, metadata_alphas, parse_key
from generation.models.safetensors_header import read_header


class LoraDelta(NamedTuple):
    """What a layer's output is given besides: `up` (out × rank) of `down` (rank × in × kernel) of its input."""

    down: Tensor
    up: Tensor


LoraDeltas = dict[str, list[LoraDelta]]


def with_loras(pipeline: Pipeline, loras: Iterable[tuple[Lora, float]]) -> Pipeline:
    """Give twins of a pipeline's networks that draw with `loras`, each as strongly as its number says.

    Raises Complaint for a file that is gone or damaged, or made for another model.
    """
    deltas: dict[str, LoraDeltas] = {part: defaultdict(list) for part in NETWORKS}
    for lora, weight in loras:
        for network, layer, delta in _read_deltas(lora, weight, pipeline):
            deltas[network][layer].append(delta)
    return replace(
        pipeline, **{part: _patched(getattr(pipeline, part), deltas[part]) for part in NETWORKS if deltas[part]}
    )


def _patched(network: Any, deltas: LoraDeltas) -> Any:
    clone = clone_sharing_weights(network)
    for path, of_layer in deltas.items():
        layer = clone.get_submodule(path)
        down = torch.cat([change.down for change in of_layer])
        up = torch.cat([change.up for change in of_layer], dim=1)
        layer.register_forward_hook(
            _lora_hook(*(part.to(layer.weight.device, layer.weight.dtype) for part in (down, up)))
        )
    return clone


def _lora_hook(down: Tensor, up: Tensor) -> Callable[[Any, tuple[Tensor, ...], Tensor], Tensor]:
    """Give the hook that adds a change; the layer itself convolves, since it may stride, and pad around the edges."""

    def add(layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if isinstance(layer, Conv2d):
            return output + conv2d(layer._conv_forward(inputs[0], down, None), up[:, :, None, None])
        return output + linear(linear(inputs[0], down), up)

    return add


def _read_deltas(lora: Lora, weight: float, pipeline: Pipeline) -> Iterator[tuple[str, str, LoraDelta]]:
    parts, metadata_alpha = _load_tensors(lora)
    paths = {network: layers_by_name(getattr(pipeline, network)) for network in NETWORKS}
    for part in parts:
        if part.role != "down":
            continue
        if part.network == "text_encoder" and part.layer not in paths[part.network]:
            continue  # it was trained with a last layer that drawing has no use for
        try:
            path = paths[part.network][part.layer]
            delta = _build_delta(part, parts, metadata_alpha(part), weight)
            yield part.network, path, _match_layer_shape(delta, getattr(pipeline, part.network).get_submodule(path))
        except (KeyError, ValueError, RuntimeError) as error:
            text = f"The LoRA {lora.name} is made for another kind of model than {pipeline.model.name}."
            raise UserError(text) from error


def _load_tensors(lora: Lora) -> tuple[dict[LoraTensor, Tensor], Callable[[LoraTensor], float | None]]:
    try:
        notes, tensors = read_header(lora.path).metadata, load_file(lora.path)
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(f"The file of the LoRA {lora.name} is gone or damaged.") from error
    return {part: tensor.float() for key, tensor in tensors.items() if (part := parse_key(key))}, metadata_alphas(notes)


def _build_delta(
    part: LoraTensor, parts: dict[LoraTensor, Tensor], metadata_alpha: float | None, weight: float
) -> LoraDelta:
    """Join a layer's matrices and the factors that they count with; what is between them becomes part of the first."""
    down, up = parts[part], parts[part._replace(role="up")]
    rank = len(down)
    if (middle := parts.get(part._replace(role="mid"))) is not None:
        down = torch.einsum("mrhw,ri->mihw", middle, down.flatten(1))
    own = parts.get(part._replace(role="alpha"))
    alpha = float(own) if own is not None else metadata_alpha if metadata_alpha is not None else rank
    return LoraDelta(down, up.flatten(1) * (alpha / rank * weight))


def _match_layer_shape(delta: LoraDelta, layer: Any) -> LoraDelta:
    """Bring a change into its layer's shape: what was learnt as a matrix may be a 1×1 convolution here."""
    given, *taken = layer.weight.shape
    if len(delta.up) != given:
        raise ValueError("of another width")
    return LoraDelta(delta.down.reshape(len(delta.down), *taken), delta.up)


def layers_by_name(network: Any) -> dict[str, str]:
    """Give the paths of a network's layers by the names that LoRAs have for them, with `_` for every dot.

    Those of a UNet go also by their names in the first releases, which kohya's scripts use for SDXL. No network, no
    names.
    """
    if network is None:
        return {}
    paths = [path for path, layer in network.named_modules() if isinstance(layer, Linear | Conv2d)]
    names = {path.removeprefix("text_model.").replace(".", "_"): path for path in paths}
    if hasattr(network, "down_blocks"):
        names |= {_ldm_name(path, network).replace(".", "_"): path for path in paths}
    return names


_LDM_NAMES = {
    "conv_in": "input_blocks.0.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}
_LDM_RESNET_NAMES = {
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}


def _ldm_name(path: str, unet: Any) -> str:
    """Give the name that a UNet's layer had in the first releases."""
    where, *rest = path.split(".")
    if where == "mid_block":
        kind, number, *inner = rest
        return f"middle_block.{2 * int(number) if kind == 'resnets' else 1}.{_ldm_name_in_block(kind, inner)}"
    if where not in ("down_blocks", "up_blocks"):
        return _LDM_NAMES.get(path, path)
    level, kind, number, *inner = rest
    blocks = unet.config.layers_per_block
    if where == "down_blocks":
        block = 1 + int(level) * (blocks + 1) + (blocks if kind == "downsamplers" else int(number))
        return f"input_blocks.{block}.{int(kind == 'attentions')}.{_ldm_name_in_block(kind, inner)}"
    block = int(level) * (blocks + 1) + (blocks if kind == "upsamplers" else int(number))
    upsampler = 2 if hasattr(unet.up_blocks[int(level)], "attentions") else 1  # it comes after them
    place = {"resnets": 0, "attentions": 1, "upsamplers": upsampler}[kind]
    return f"output_blocks.{block}.{place}.{_ldm_name_in_block(kind, inner)}"


def _ldm_name_in_block(kind: str, inner: list[str]) -> str:
    match kind:
        case "resnets":
            return _LDM_RESNET_NAMES.get(inner[0], inner[0])
        case "downsamplers":
            return "op"
    return ".".join(inner)
