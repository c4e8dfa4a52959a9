"""Read what a LoRA adds to the layers of a model's networks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import Conv2d, Linear

from generation.errors import UserError
from generation.models.files.lora import NETWORKS, Lora, LoraTensor, effective_alpha, parse_key, peft_settings
from generation.models.files.safetensors_header import read_header
from generation.text import Text

_TEXT_LAYER = re.compile(r"encoder_layers_\d+_")


class LoraDelta(NamedTuple):
    """The low-rank addition to a layer's output: `up` (out × rank) of `down` (rank × in × kernel) of its input."""

    down: Tensor
    up: Tensor


def merge_lora(networks: Mapping[str, Any], lora: Lora, model_name: str) -> None:
    """Add a LoRA to the weights of networks for good."""
    for network, layer, delta in read_deltas(lora, 1.0, networks, model_name):
        weight = networks[network].get_submodule(layer).weight
        added = (delta.up @ delta.down.flatten(1)).reshape(weight.shape)
        weight.data = (weight.data.float() + added.to(weight.device)).to(weight.dtype)


def read_deltas(
    lora: Lora, weight: float, networks: Mapping[str, Any], model_name: str
) -> Iterator[tuple[str, str, LoraDelta]]:
    """Yield the network, the layer and the delta for each layer that a LoRA changes, times `weight`.

    Raises UserError for a file that is missing, damaged, or made for another kind of model.
    """
    parts, settings = _load_tensors(lora)
    paths = {network: layers_by_name(networks[network]) for network in NETWORKS}
    for part in parts:
        if part.role != "down" or _is_unused_layer(part, paths[part.network]):
            continue
        try:
            path = paths[part.network][part.layer]
            delta = _build_delta(part, parts, effective_alpha(settings, part, len(parts[part])), weight)
            yield part.network, path, _match_layer_shape(delta, networks[part.network].get_submodule(path))
        except (KeyError, ValueError, RuntimeError) as error:
            text = Text(
                "The LoRA {lora} does not fit {model}: it was made for another kind of model.",
                lora=lora.name,
                model=model_name,
            )
            raise UserError(text) from error


def _is_unused_layer(part: LoraTensor, paths: Mapping[str, str]) -> bool:
    """Return whether a layer is one of the text encoder's last ones, which were trained but are not loaded."""
    first = _TEXT_LAYER.sub("encoder_layers_0_", part.layer)
    return part.network != "unet" and part.layer not in paths and first != part.layer and first in paths


def _load_tensors(lora: Lora) -> tuple[dict[LoraTensor, Tensor], Mapping[str, Any]]:
    try:
        settings, tensors = peft_settings(lora.path, read_header(lora.path)), load_file(lora.path)
    except (OSError, ValueError, SafetensorError, UserError) as error:
        raise UserError(Text("The file of the LoRA {lora} is missing or damaged.", lora=lora.name)) from error
    parts = {part: tensor.float() for key, tensor in tensors.items() if (part := parse_key(key))}
    if not all(tensor.isfinite().all() for tensor in parts.values()):
        text = Text("The LoRA {lora} is unusable: its file has values that are no numbers (NaN).", lora=lora.name)
        raise UserError(text)
    return parts, settings


def _build_delta(part: LoraTensor, parts: dict[LoraTensor, Tensor], default_alpha: float, weight: float) -> LoraDelta:
    """Combine a layer's matrices with alpha, rank and weight; a middle matrix (LoCon) is merged into `down`."""
    down, up = parts[part], parts[part._replace(role="up")]
    rank = len(down)
    if (middle := parts.get(part._replace(role="mid"))) is not None:
        down = torch.einsum("mrhw,ri->mihw", middle, down.flatten(1))
    own = parts.get(part._replace(role="alpha"))
    alpha = float(own) if own is not None else default_alpha
    return LoraDelta(down, up.flatten(1) * (alpha / rank * weight))


def _match_layer_shape(delta: LoraDelta, layer: Any) -> LoraDelta:
    """Reshape a delta for its layer: what was trained as a matrix may be a 1×1 convolution here."""
    out_channels, *input_shape = layer.weight.shape
    if len(delta.up) != out_channels:
        raise ValueError("wrong number of output channels")
    return LoraDelta(delta.down.reshape(len(delta.down), *input_shape), delta.up)


def layers_by_name(network: Any) -> dict[str, str]:
    """Return the paths of a network's layers by the names that LoRAs use for them, with `_` for every dot.

    A UNet's layers are also listed by their LDM names, which kohya's scripts use for SDXL. Without a network the
    result is empty.
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
    """Return the name of a UNet's layer in the LDM layout."""
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
    upsampler = 2 if hasattr(unet.up_blocks[int(level)], "attentions") else 1  # it comes after the attention
    place = {"resnets": 0, "attentions": 1, "upsamplers": upsampler}[kind]
    return f"output_blocks.{block}.{place}.{_ldm_name_in_block(kind, inner)}"


def _ldm_name_in_block(kind: str, inner: list[str]) -> str:
    match kind:
        case "resnets":
            return _LDM_RESNET_NAMES.get(inner[0], inner[0])
        case "downsamplers":
            return "op"
    return ".".join(inner)
